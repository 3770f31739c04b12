"""What can still be read of a damaged store, and is worth having in the new one: small tables, row by row.

The attempts themselves are not among it. sacct has them, and what it says is the truth.
"""

import re
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiosqlite

from slurmwatchd.store.database import Database
from slurmwatchd.store.repair import already_delivered

_NOT_KEPT = ("last seq", "last room")
_NUMBER = re.compile("[0-9]{1,18}")


@dataclass(slots=True)
class Salvaged:
    """What was read.

    Attributes:
        horizons: Cluster to where its reading began, epoch seconds.
        watermark: Everything that ended before it was read, in every cluster; 0 where nothing says so.
        last_seq: The highest position that was given out.
        states: Sink to what it had asked to be kept.
    """

    meta: dict[str, str] = field(default_factory=dict)
    horizons: dict[str, int] = field(default_factory=dict)
    watermark: int = 0
    last_seq: int = 0
    states: dict[str, dict[str, bytes]] = field(default_factory=dict)


def read(aside: Path) -> Salvaged:
    """Read a store that was set aside, as far as it lets itself be read; runs in a worker thread."""
    found = Salvaged()
    try:
        store = sqlite3.connect(aside)
    except sqlite3.Error:
        return found
    with closing(store):
        found.meta = dict(_rows(store, "SELECT key, value FROM meta"))
        ledgers = [
            (cluster, horizon, watermark)
            for cluster, horizon, watermark in _rows(store, "SELECT cluster, horizon, watermark FROM horizons")
            if isinstance(cluster, str) and isinstance(horizon, int) and isinstance(watermark, int)
        ]
        found.horizons = {cluster: horizon for cluster, horizon, _ in ledgers}
        found.watermark = min((watermark for _, _, watermark in ledgers), default=0)
        for sink, key, value in _rows(store, "SELECT sink, key, value FROM sink_state"):
            found.states.setdefault(sink, {})[key] = value
        positions = [seq for (seq,) in _rows(store, "SELECT seq FROM cursors")]
        positions += [seq for (seq,) in _rows(store, "SELECT seq FROM events ORDER BY seq DESC LIMIT 1")]
        kept = str(found.meta.get("last seq"))
        positions += [int(kept)] if _NUMBER.fullmatch(kept) else []
        found.last_seq = max((seq for seq in positions if isinstance(seq, int)), default=0)
    return found


async def keep(database: Database, found: Salvaged, *, sinks: Collection[str]) -> None:
    """Write it into the new store.

    Args:
        database: The new one.
        found: What was read.
        sinks: Whose state is kept; a file's says where in the file the old store was, which the file itself shows.
    """

    async def work(connection: aiosqlite.Connection) -> None:
        await connection.executemany(
            "INSERT OR IGNORE INTO meta VALUES (?, ?)",
            [(key, value) for key, value in found.meta.items() if key not in _NOT_KEPT],
        )
        await connection.executemany(
            "INSERT OR IGNORE INTO horizons VALUES (?1, ?2, ?2)", list(found.horizons.items())
        )
        await connection.executemany(
            "INSERT OR REPLACE INTO sink_state VALUES (?, ?, ?)",
            [(sink, key, value) for sink in sinks for key, value in found.states.get(sink, {}).items()],
        )
        await already_delivered.raise_last_seq(connection, found.last_seq)

    await database.write(work)


def _rows(store: sqlite3.Connection, sql: str) -> Iterator[tuple[Any, ...]]:
    """Give rows until one cannot be read."""
    try:
        yield from store.execute(sql)
    except sqlite3.Error:
        return
