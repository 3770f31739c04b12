"""Coverage and ledger in the store: which end times were read completely, when, and what they held."""

from dataclasses import dataclass, replace

import aiosqlite

from slurmwatchd.model.ledger import Ledger, Stretch, overlapping
from slurmwatchd.model.records import FoundBy
from slurmwatchd.model.windows import Window
from slurmwatchd.store.database import Database
from slurmwatchd.store.known_attempts import Readable
from slurmwatchd.store.schema import COVERAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerUpdate:
    """One complete reading, and the ledger as it stands after it.

    Attributes:
        cluster: Whose.
        window: What was asked for.
        read_at: Epoch seconds at which the call began: what became visible later was not seen.
        ledger: What is read now, this window included.
        rows: How many rows sacct printed.
        seconds: How long sacct took.
    """

    cluster: str
    window: Window
    read_at: int
    ledger: Ledger
    rows: int
    new: int
    revised: int
    rejected: int
    seconds: float

    def plus(self, new: int, revised: int, rejected: int) -> "LedgerUpdate":
        """Add what the last batch held."""
        return replace(self, new=self.new + new, revised=self.revised + revised, rejected=self.rejected + rejected)


async def load(database: Readable, cluster: str, *, horizon: int) -> Ledger:
    """Return what was read of a cluster; for one never seen before, an empty ledger from `horizon` on."""
    ledger = await ledger_of(database, cluster) or Ledger(horizon)
    return Ledger(ledger.horizon) if overlapping(ledger.stretches) else ledger


async def ledger_of(store: Readable, cluster: str) -> Ledger | None:
    """Return what was read of a cluster; None where it never was."""
    rows = await store.read("SELECT horizon FROM horizons WHERE cluster = ?", (cluster,))
    if not rows:
        return None
    return Ledger(rows[0]["horizon"], tuple(Stretch(*row) for row in await store.read(COVERAGE, (cluster,))))


async def save(connection: aiosqlite.Connection, completed: LedgerUpdate) -> None:
    """Write one complete reading; called inside the transaction of its last rows."""
    cluster, window, ledger = completed.cluster, completed.window, completed.ledger
    start, end = window.covered(ledger.horizon)
    await connection.execute(
        "INSERT INTO horizons VALUES (?, ?, ?) ON CONFLICT (cluster) DO UPDATE "
        "SET horizon = excluded.horizon, watermark = excluded.watermark",
        (cluster, ledger.horizon, ledger.watermark),
    )
    await connection.execute("DELETE FROM coverage WHERE cluster = ?", (cluster,))
    await connection.executemany(
        "INSERT INTO coverage VALUES (?, ?, ?, ?)",
        [(cluster, stretch.start, stretch.end, stretch.read_at) for stretch in ledger.stretches],
    )
    await connection.execute(
        'INSERT INTO ledger (cluster, start, "end", found_by, read_at, "rows", new, revised, rejected, seconds) '
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            cluster,
            start,
            end,
            window.found_by,
            completed.read_at,
            completed.rows,
            completed.new,
            completed.revised,
            completed.rejected,
            completed.seconds,
        ),
    )
    # A reading of the open jobs is none of end times.
    if window.found_by is FoundBy.OPEN_SET:
        return
    await connection.execute(
        'UPDATE backfills SET reached = max(?2, start), moved = ?4, "rows" = "rows" + ?5, new = new + ?6 '
        "WHERE cluster = ?1 AND reached > ?2 AND reached <= ?3 AND reached > start",
        (cluster, start, end, completed.read_at, completed.rows, completed.new),
    )


async def begin_later(connection: aiosqlite.Connection, cluster: str, start: int) -> None:
    """Take what ended before a moment out of a cluster's ledger, see `Ledger.since`; inside a transaction."""
    rows = list(await connection.execute_fetchall("SELECT horizon FROM horizons WHERE cluster = ?", (cluster,)))
    if not rows or start <= rows[0][0]:
        return
    await connection.execute(
        "UPDATE horizons SET horizon = ?2, watermark = max(watermark, ?2) WHERE cluster = ?1", (cluster, start)
    )
    await connection.execute('DELETE FROM coverage WHERE cluster = ? AND "end" <= ?', (cluster, start))
    await connection.execute("UPDATE coverage SET start = ?2 WHERE cluster = ?1 AND start < ?2", (cluster, start))


async def rename(database: Database, old: str, new: str) -> None:
    """Give a cluster's ledger the name it should have had; a ledger of the new name is kept instead."""

    async def work(connection: aiosqlite.Connection) -> None:
        await connection.execute("UPDATE usage_queue SET cluster = ? WHERE cluster = ?", (new, old))
        if list(await connection.execute_fetchall("SELECT 1 FROM horizons WHERE cluster = ?", (new,))):
            return
        for table in ("horizons", "first_horizons", "coverage", "ledger", "open_jobs", "backfills"):
            await connection.execute(f"UPDATE {table} SET cluster = ? WHERE cluster = ?", (new, old))  # noqa: S608 - constants

    await database.write(work)
