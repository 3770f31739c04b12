"""Which events each sink was to be given, from which position on.

`verify` holds an event to what was asked for when it was delivered, not to what is asked for now.
"""

from typing import Any, NamedTuple

import orjson

from slurmwatchd.store import meta
from slurmwatchd.store.database import Database
from slurmwatchd.store.read.second_process import ComparisonReader


class Since(NamedTuple):
    """What was asked for behind a position.

    Attributes:
        seq: The newest event for which something else was asked.
        settings: As `sinks.selection` has them.
    """

    seq: int
    settings: dict[str, Any]


async def note(database: Database, sink: str, seq: int, settings: dict[str, Any]) -> None:
    """Write down what a sink is to be given behind its cursor, where that is not what it was given until now.

    Args:
        database: The store.
        sink: Its name.
        seq: Where its cursor is.
        settings: What it is to be given.
    """
    known = _decoded(await meta.get(database, _key(sink)))
    # A store of a release without selections has given all, but perhaps for what backfills found.
    until_now = known[-1].settings if known else {name: settings[name] for name in settings if name == "backfill"}
    if settings == until_now:
        return
    if not known:
        known = [Since(0, until_now)]
    # Of a named tuple orjson knows nothing.
    entries = [tuple(entry) for entry in (*known, Since(seq, settings))]
    await meta.put(database, _key(sink), orjson.dumps(entries).decode())


async def load(reader: ComparisonReader, sink: str) -> list[Since]:
    """Return what a sink was to be given, the oldest first; nothing if it always got all events."""
    rows = await reader.read("SELECT value FROM meta WHERE key = ?", (_key(sink),))
    return _decoded(rows[0][0] if rows else None)


def _key(sink: str) -> str:
    return f"selections of {sink}"


def _decoded(text: str | None) -> list[Since]:
    return [Since(*entry) for entry in orjson.loads(text)] if text else []
