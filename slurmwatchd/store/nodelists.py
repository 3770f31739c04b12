"""Node lists in the store: each distinct one once, with its nodes."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import aiosqlite

from slurmwatchd.store.database import Database
from slurmwatchd.store.json_array import IN_ARRAY, json_array

# Each is looked up as it comes: `IN` would sort them first.
_IDS = (
    "SELECT wanted.key, nodelists.id FROM json_each(?) AS wanted CROSS JOIN nodelists ON expression = wanted.value"
)


async def known(database: Database, expressions: Iterable[str]) -> set[str]:
    """Return which of these were expanded before."""
    wanted = list(expressions)
    return {
        wanted[row[0]] for row in await database.read(f"{_IDS} WHERE nodes IS NOT NULL", (json_array(wanted),))
    }


async def keep(
    connection: aiosqlite.Connection,
    expressions: Collection[str],
    expanded: Mapping[str, tuple[str, ...]],
) -> dict[str, int]:
    """Write what was expanded and return the ids of all the expressions.

    A list that could not be expanded is kept without nodes, and expanded when it is met again.

    Args:
        connection: Inside a transaction.
        expressions: Every list of the batch, known or not.
        expanded: The new ones' nodes.
    """
    ids = await _ids(connection, list(expressions))
    missing = [text for text in expressions if text not in ids]
    if missing:
        await connection.executemany("INSERT INTO nodelists (expression) VALUES (?)", zip(missing, strict=True))
        ids |= await _ids(connection, missing)
    # What is met again is not idle any more, see `retention`; most often none is.
    if list(await connection.execute_fetchall("SELECT 1 FROM idle_nodelists LIMIT 1")):
        met = json_array(ids.values())
        await connection.execute(f"DELETE FROM idle_nodelists WHERE nodelist {IN_ARRAY}", (met,))  # noqa: S608
    if expanded:
        await _fill(connection, [(ids[text], nodes) for text, nodes in expanded.items()])
    return ids


def written(nodes: tuple[str, ...]) -> bytes:
    """Return names of nodes as they stand in the store."""
    return json_array(nodes).encode()


async def _ids(connection: aiosqlite.Connection, expressions: Sequence[str]) -> dict[str, int]:
    """Return the ids of those that are there."""
    rows = await connection.execute_fetchall(_IDS, (json_array(expressions),))
    return {expressions[row[0]]: row[1] for row in rows}


async def _fill(connection: aiosqlite.Connection, lists: list[tuple[int, tuple[str, ...]]]) -> None:
    """Give lists their nodes, and nodes their lists; a repetition of a node in a list stands once in the index."""
    arrays = [(identity, len(nodes), json_array(nodes)) for identity, nodes in lists]
    await connection.executemany(
        "UPDATE nodelists SET node_count = ?2, nodes = CAST(?3 AS BLOB) WHERE id = ?1", arrays
    )
    pairs = [(identity, array) for identity, _, array in arrays]
    await connection.executemany(
        "INSERT OR IGNORE INTO nodes (name) SELECT value FROM json_each(?2) WHERE ?1 NOT NULL", pairs
    )
    await connection.executemany(
        "INSERT OR IGNORE INTO nodelist_nodes "
        "SELECT nodes.id, ?1 FROM json_each(?2) AS wanted JOIN nodes ON nodes.name = wanted.value",
        pairs,
    )
