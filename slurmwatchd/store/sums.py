"""The hourly sums in the store: written in the transaction that stores what they are of, so neither is ahead.

What a store held before it had sums is added afterwards, some hundred attempts at a time (`fill`). An attempt that
has expired stays in the sums; if it is read again, by a backfill, the first and the last end that expired in its
hour say that it is in them.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

import aiosqlite
import anyio.to_thread
import orjson

from slurmwatchd.model.outcomes import outcome_of
from slurmwatchd.model.sums import (
    HOUR,
    OF_END,
    OF_TIME,
    OF_WHOLE,
    Attempt,
    Group,
    Results,
    Sums,
    attempt_of,
)
from slurmwatchd.model.waits import NO_WAITS, waits_added, waits_text
from slurmwatchd.store.bodies import RECORD, added
from slurmwatchd.store.bulk_insert import insert_rows
from slurmwatchd.store.codes import OUTCOMES
from slurmwatchd.store.database import Database
from slurmwatchd.store.expired_hours import EXPIRED
from slurmwatchd.store.json_array import IN_ARRAY, json_array

FILL_JOBS = 500

MANY_GROUPS = 20_000
"""So many are remembered: bounds memory, not correctness."""


_EXACT = 1 << 53
"""Above it a number of the store is not exact. No cluster has as much in an hour: only a wrong record says so."""

_GROUPS = ", ".join(f'"{name}"' for name in Group._fields)
_GROUP_IS = " AND ".join(
    f'sum_groups."{name}" = wanted.value ->> {place}' for place, name in enumerate(Group._fields)
)
_KNOWN = f"SELECT wanted.key, sum_groups.id FROM json_each(?) AS wanted CROSS JOIN sum_groups ON {_GROUP_IS}"  # noqa: S608
_NEWEST = "SELECT coalesce(max(id), 0) FROM sum_groups"


def _adding(key: Sequence[str], values: Sequence[str]) -> str:
    """Return the clause that adds values to a row that is there."""
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in values)
    return f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}"


_HOUR_OF_GROUP = ("hour", "grp")
_ADD_TRES = _adding((*_HOUR_OF_GROUP, "name"), ("seconds",))
_ADD_WAITS = f"ON CONFLICT (hour, grp) DO UPDATE SET buckets = {waits_added.__name__}(buckets, excluded.buckets)"


class _Part(NamedTuple):
    """Some of the amounts of an hour, where the others are 0: what is not written costs nothing.

    Attributes:
        table: Where they stand.
        names: Which.
        others: Other columns of the table.
        ending: What adds them to a row that is there.
    """

    table: str
    names: tuple[str, ...]
    others: Mapping[str, int]
    ending: str

    @classmethod
    def of(cls, table: str, names: tuple[str, ...], others: Sequence[str] = ()) -> "_Part":
        """Take some of `AMOUNTS`."""
        return cls(table, names, dict.fromkeys(others, 0), _adding(_HOUR_OF_GROUP, names))


_PARTS = (
    _Part.of("hourly_time", OF_TIME),
    _Part.of("hourly_sums", (*OF_TIME, *OF_END), OF_WHOLE),
    _Part.of("hourly_used", OF_WHOLE),
)
"""Those of an hour that attempts only ran in; those of one in which some ended; what they used."""

_TO_TIME, _TO_END = len(OF_TIME), len((*OF_TIME, *OF_END))

_EXPIRED_OF_HOURS = f"{EXPIRED} AND hour {IN_ARRAY}"
# NULL stays NULL: the whole hour.
_EXPIRE = (
    "INSERT INTO summed_hours (cluster, hour, first_end, last_end) "  # noqa: S608 - constants
    f"SELECT cluster, moment - moment % {HOUR} AS begun, min(moment), max(moment) FROM "
    f'(SELECT cluster, coalesce("end", start, submit) AS moment FROM jobs WHERE id {IN_ARRAY}) GROUP BY 1, 2 '
    "ON CONFLICT (cluster, hour) DO UPDATE SET first_end = min(first_end, excluded.first_end), "
    "last_end = max(last_end, excluded.last_end)"
)
_BEFORE = f"SELECT job FROM summed_before WHERE job {IN_ARRAY}"  # noqa: S608 - a constant
_USED = f"SELECT job, {added('events')} FROM events WHERE seq {IN_ARRAY}"  # noqa: S608 - constants

_UNSUMMED = (
    f"SELECT jobs.id, {RECORD}, {added('used')} FROM jobs "  # noqa: S608 - constants
    "JOIN events ON events.seq = jobs.seq LEFT JOIN events AS used ON used.seq = jobs.usage_seq "
    "WHERE jobs.id > ? AND jobs.id <= ? ORDER BY jobs.id LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Backlog:
    """Attempts of before that are in no sum yet: their row ids are above `summed`, up to `last`."""

    summed: int
    last: int

    def __contains__(self, job: int) -> bool:
        """Tell whether an attempt is yet to be added."""
        return self.summed < job <= self.last


_NO_BACKLOG = Backlog(0, 0)


async def _backlog(connection: aiosqlite.Connection) -> Backlog:
    """Return which attempts are in no sum yet; inside a transaction."""
    rows = list(await connection.execute_fetchall("SELECT summed, last FROM unsummed"))
    return Backlog(*rows[0]) if rows else _NO_BACKLOG


async def is_behind(database: Database) -> bool:
    """Tell whether attempts of before are in no sum yet."""
    return bool(await database.read("SELECT 1 FROM unsummed"))


class Booking:
    """What a transaction changes in the sums, in the making."""

    def __init__(
        self,
        expired: Mapping[int, tuple[int, int]],
        left_out: Collection[int],
        used: Mapping[int, Mapping[str, Any]],
    ) -> None:
        """Begin with nothing; see `begin`."""
        self._expired = expired
        self._left_out = left_out
        self._used = used
        self.sums = Sums()
        self.again: list[tuple[int]] = []
        """Row ids of new attempts that are in the sums already."""

    def stored(self, jobs: Iterable[int], attempts: Iterable[tuple[Any, ...]]) -> None:
        """Add new attempts, but for those that ended between the first and the last that expired in an hour."""
        if not self._expired:
            self.sums.add(attempts)
            return
        for job, attempt in zip(jobs, map(Attempt._make, attempts), strict=True):
            end = attempt.end
            first, last = (0, 0) if end is None else self._expired.get(end - end % HOUR, (0, 0))
            if end is not None and first <= end <= last:
                self.again.append((job,))
            else:
                self.sums.add((attempt,))

    def revised(self, job: int, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Take an attempt out as it was, and add it as it is, with what it used."""
        if job in self._left_out or not before:
            return
        for record, sign in ((before, -1), (after, 1)):
            attempt = attempt_of(record)
            self.sums.add((attempt,), sign)
            if job in self._used:
                self.sums.add_usage(attempt, self._used[job], sign)

    def used(self, job: int, record: Mapping[str, Any], usage: Mapping[str, Any]) -> None:
        """Add what an attempt used."""
        if job not in self._left_out:
            self.sums.add_usage(attempt_of(record), usage)


async def begin(
    connection: aiosqlite.Connection,
    *,
    cluster: str = "",
    ends: Iterable[int | None] = (),
    jobs: Mapping[int, int | None],
) -> Booking:
    """Look up what decides how a transaction changes the sums; inside it.

    Args:
        connection: The store.
        cluster: Of the attempts that may be new.
        ends: Their ends.
        jobs: The row ids of attempts in the store that may change, to the event that has their usage.
    """
    hours = json_array({end - end % HOUR for end in ends if end is not None})
    expired = await connection.execute_fetchall(_EXPIRED_OF_HOURS, (cluster, hours))
    left_out: set[int] = set()
    used: dict[int, Mapping[str, Any]] = {}
    if jobs:
        left = await _backlog(connection)
        before = await connection.execute_fetchall(_BEFORE, (json_array(jobs),))
        left_out = {row[0] for row in before} | {job for job in jobs if job in left}
        told = await connection.execute_fetchall(_USED, (json_array(filter(None, jobs.values())),))
        used = {row[0]: orjson.loads(row[1])["usage"] for row in told}
    return Booking({row[0]: (row[1], row[2]) for row in expired}, left_out, used)


async def book(connection: aiosqlite.Connection, booking: Booking, known: dict[Group, int]) -> None:
    """Write what a booking holds; inside the transaction that writes what it is of. See `add`."""
    await add(connection, booking.sums, known)
    if booking.again:
        await connection.executemany("INSERT INTO summed_before VALUES (?)", booking.again)


async def add(connection: aiosqlite.Connection, sums: Sums, known: dict[Group, int]) -> None:
    """Add to the sums in the store; inside the transaction that writes what they are of.

    Args:
        connection: Of the daemon, see `waits_added`.
        sums: What to add.
        known: Groups to their row ids; those met are added.
    """
    if not sums:
        return
    results = await anyio.to_thread.run_sync(sums.results)
    ids = await _group_ids(connection, results.groups, known)
    rows = await anyio.to_thread.run_sync(_rows, results, ids)
    for (table, names, others, ending), some in zip(_PARTS, rows.amounts, strict=True):
        await insert_rows(connection, table, (*_HOUR_OF_GROUP, *names), some, common=others, ending=ending)
    await insert_rows(connection, "hourly_tres", (*_HOUR_OF_GROUP, "name", "seconds"), rows.tres, ending=_ADD_TRES)
    await insert_rows(connection, "hourly_waits", (*_HOUR_OF_GROUP, "buckets"), rows.waits, ending=_ADD_WAITS)


class _Rows(NamedTuple):
    """What is to be added to each table, in the order of its pages; amounts by `_PARTS`."""

    amounts: Sequence[Sequence[tuple[int, ...]]]
    tres: Sequence[tuple[int | str, ...]]
    waits: Sequence[tuple[int | str, ...]]


def _rows(results: Results, ids: Sequence[int]) -> _Rows:
    """Return the rows that change something; runs in a worker thread."""
    is_exact = results.limit <= _EXACT
    time, ended, used = parts = [defaultdict[int, list[tuple[int, ...]]](list) for _ in _PARTS]
    # By group and then by hour, so that rows need not be compared.
    for row_id, hours in sorted(zip(ids, results.amounts, strict=True), key=itemgetter(0)):
        for hour, amounts in hours.items():
            if not any(amounts):
                continue
            exact = amounts if is_exact else [*map(_exact, amounts)]
            if len(exact) > _TO_END:
                if any(whole := exact[_TO_END:]):
                    used[hour].append((hour, row_id, *whole))
                exact = exact[:_TO_END]
            if any(exact[_TO_TIME:]):
                ended[hour].append((hour, row_id, *exact))
            elif any(had := exact[:_TO_TIME]):
                time[hour].append((hour, row_id, *had))
    waits = {(hour, ids[group]): counts for (hour, group), counts in results.waits.items()}
    texts = ((*place, waits_text(waits[place])) for place in sorted(waits))
    tres = results.tres.items()
    return _Rows(
        [[row for hour in sorted(some) for row in some[hour]] for some in parts],
        sorted((hour, ids[group], name, _exact(seconds)) for (hour, group, name), seconds in tres if seconds),
        [row for row in texts if row[2] != NO_WAITS],
    )


def _exact(amount: int) -> int:
    """Return an amount, or the nearest to it that the store holds exactly."""
    return max(-_EXACT, min(_EXACT, amount))


async def _group_ids(
    connection: aiosqlite.Connection, groups: Sequence[Group], known: dict[Group, int]
) -> list[int]:
    """Return the row ids of groups, making those that are not there."""
    if missing := [group for group in groups if group not in known]:
        if len(known) > MANY_GROUPS:
            known.clear()
            missing = list(groups)
        wanted = orjson.dumps(list(map(list, missing))).decode()
        # What is made here is not known before it is committed.
        known.update((missing[place], row) for place, row in await connection.execute_fetchall(_KNOWN, (wanted,)))
    new = [group for group in missing if group not in known]
    if not new:
        return [known[group] for group in groups]
    ((newest,),) = await connection.execute_fetchall(_NEWEST)
    made = {group: row for row, group in enumerate(new, newest + 1)}
    rows = [(row, *group) for group, row in made.items()]
    await insert_rows(connection, "sum_groups", ("id", *Group._fields), rows)
    return [made[group] if group in made else known[group] for group in groups]


async def expire(connection: aiosqlite.Connection, jobs: str) -> None:
    """Note when attempts ended that expire; inside the transaction that removes them, before it does.

    Args:
        connection: The store.
        jobs: Their row ids, as a JSON array.
    """
    await connection.execute(_EXPIRE, (jobs,))
    await connection.execute(f"DELETE FROM summed_before WHERE job {IN_ARRAY}", (jobs,))  # noqa: S608 - a constant


async def fill(database: Database) -> int:
    """Add some of the attempts that were stored before there were sums, the oldest first.

    Returns:
        How many; 0 where none is left.
    """

    async def work(connection: aiosqlite.Connection) -> int:
        left = await _backlog(connection)
        if left == _NO_BACKLOG:
            return 0
        rows = list(await connection.execute_fetchall(_UNSUMMED, (left.summed, left.last, FILL_JOBS)))
        if not rows:
            await connection.execute("DELETE FROM unsummed")
            return 0
        sums, outcomes = await anyio.to_thread.run_sync(_filled, [tuple(row) for row in rows])
        await add(connection, sums, database.sum_groups)
        await connection.executemany(
            "UPDATE jobs SET outcome_code = ? WHERE id = ? AND outcome_code IS NULL", outcomes
        )
        await connection.execute("UPDATE unsummed SET summed = ?", (rows[-1][0],))
        return len(rows)

    return await database.write(work)


def _filled(bodies: Iterable[tuple[int, bytes, bytes | None]]) -> tuple[Sums, list[tuple[str | None, int]]]:
    """Add up stored attempts, and say why each ended; runs in a worker thread."""
    sums, outcomes = Sums(), []
    for job, body, used in bodies:
        record: Mapping[str, Any] = orjson.loads(body)
        attempt = attempt_of(record)
        sums.add((attempt,))
        if used is not None:
            sums.add_usage(attempt, orjson.loads(used)["usage"])
        outcomes.append((OUTCOMES[record.get("outcome") or outcome_of(record)], job))
    return sums, outcomes
