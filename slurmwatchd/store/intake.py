"""Attempts going in: each written once, an event made only for a new one or a real change.

Reading a stretch of end times again is free because of this module: rows are matched on their key, and a row
whose digest is the stored one costs a comparison.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiosqlite
import anyio.to_thread
import orjson

from slurmwatchd.model.attempts import NOTHING, AttemptBatch, AttemptKey
from slurmwatchd.model.event_columns import IN_MEMORY
from slurmwatchd.model.event_ids import event_id, event_ids
from slurmwatchd.model.records import EventKind
from slurmwatchd.model.sums import Attempt
from slurmwatchd.store import bodies, dictionaries, ledger, nodelists, placements, quarantine, sums, usage_queue
from slurmwatchd.store.batch import Batch, Committed
from slurmwatchd.store.bulk_insert import BulkRows
from slurmwatchd.store.changes import changes
from slurmwatchd.store.codes import OUTCOMES, STATES, coded
from slurmwatchd.store.database import Database
from slurmwatchd.store.dictionaries import Dictionary, DictionaryKind
from slurmwatchd.store.json_array import IN_ARRAY, json_array
from slurmwatchd.store.repair import already_delivered

_KEPT = ("job_id_raw", "submit", "job_id", "user", "account", "partition", "start", "end")
"""The fields of a record that stand in columns of their own, but for the cluster's name and codes."""

_CHANGING = ("state", "user", "account", "partition", "start", "outcome", "end", "node_list")
"""Those of them that may change, and what a row of `nodelists` stands for."""

_UPDATE = (
    'UPDATE jobs SET state_code = ?, "user" = ?, account = ?, "partition" = ?, start = ?, outcome_code = ?, '
    '"end" = ?, nodelist = ?, digest = ?, revision = ?, seq = ? WHERE id = ?'
)

_EVENT = ("seq", "id", "job", "revision", "time", "nodelist", "changed", "body")


@dataclass(slots=True)
class _Plan:
    """The rows to write.

    Attributes:
        events: As sinks will get them.
        packed: The same as the store keeps them.
        dictionary: What they were packed with, where it is new.
        revised_ends: When attempts ended that were revised: as they were, and as they are.
        lists: Node list to its row in `nodelists`.
    """

    jobs: BulkRows = field(default_factory=BulkRows)
    events: list[BulkRows] = field(default_factory=list)
    updates: list[tuple[Any, ...]] = field(default_factory=list)
    earlier: list[tuple[int, int]] = field(default_factory=list)
    digests: list[tuple[int, int]] = field(default_factory=list)
    packed: list[BulkRows] = field(default_factory=list)
    dictionary: Dictionary | None = None
    shown: int = 0
    back: list[tuple[int]] = field(default_factory=list)
    revised_ends: set[int | None] = field(default_factory=set)
    lists: Mapping[str, int] = field(default_factory=dict)

    @property
    def told(self) -> int:
        """How many events there are."""
        return sum(map(len, self.events))


class Intake:
    """Writes batches. There is one to a store, since it hands out positions and row ids."""

    def __init__(
        self, database: Database, *, next_job: int, next_seq: int, resumes: bool = False, usage: bool = False
    ) -> None:
        """Go on from where the store stands; see `Intake.load`.

        With `resumes` some attempts were told of by an earlier store, see `already_delivered.resume_revisions`.
        """
        self._resumes = resumes
        self.database = database
        self._next_job = next_job
        self._next_seq = next_seq
        self._usage = usage

    @classmethod
    async def load(cls, database: Database, *, usage: bool = False) -> "Intake":
        """Read where the store stands. Positions are never used twice, also after the newest were pruned.

        Args:
            database: The store.
            usage: Whether new attempts are to wait for their usage.
        """
        rows = await database.read(
            "SELECT (SELECT coalesce(max(id), 0) FROM jobs) AS job, "
            "coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'last seq'), 0) AS seq"
        )
        resumes = await already_delivered.are_revised(database)
        row = rows[0]
        return cls(database, next_job=row["job"] + 1, next_seq=row["seq"] + 1, resumes=resumes, usage=usage)

    @property
    def last_seq(self) -> int:
        """The position of the newest event committed; 0 before the first."""
        return self._next_seq - 1

    async def commit(self, batch: Batch, completed: ledger.LedgerUpdate | None = None) -> Committed:
        """Write a batch, and with the last one of a reading its place in the ledger, in one transaction.

        Raises:
            StoreBusyError: Nothing was written.
        """

        async def work(connection: aiosqlite.Connection) -> tuple[Committed, _Plan]:
            done, plan = await self._write(connection, batch)
            if completed is not None:
                await ledger.save(connection, completed.plus(done.new, done.revised, done.rejected))
            return done, plan

        committed, plan = await self.database.write(work)
        self._next_job += len(plan.jobs)
        self._next_seq += plan.told
        expanded = batch.expanded.items()
        self.database.recent_nodelists.put(
            (plan.lists[text], nodelists.written(nodes)) for text, nodes in expanded if text in plan.lists
        )
        for rows in plan.events:
            self.database.recent.put(rows)
        return committed

    async def append(self, work: Callable[[aiosqlite.Connection, int], Awaitable[tuple[int, BulkRows]]]) -> int:
        """Run a transaction that writes events of its own, from a position on.

        Args:
            work: Gets the first free position; returns how many it used, one after the other, and the events as
                sinks will get them: no rows where they are to be read from the store.

        Returns:
            The same number.

        Raises:
            StoreBusyError: Nothing was written.
        """

        async def numbered(connection: aiosqlite.Connection) -> tuple[int, BulkRows]:
            count, rows = await work(connection, self._next_seq)
            if count:
                await _keep_last_seq(connection, self._next_seq + count - 1)
            return count, rows

        count, rows = await self.database.write(numbered)
        self._next_seq += count
        if rows:
            self.database.recent.put(rows)
        elif count:
            self.database.recent.clear()
        return count

    async def _write(  # noqa: C901 - a statement for each kind of row
        self, connection: aiosqlite.Connection, batch: Batch
    ) -> tuple[Committed, _Plan]:
        quarantined = 0
        if batch.rejected:
            quarantined = await quarantine.keep(connection, batch.cluster, batch.rejected, observed=batch.observed)
        if batch.released:
            await quarantine.release(connection, batch.released)
        if not batch.readings:
            return (
                Committed(rejected=len(batch.rejected), quarantined=quarantined, seq=self.last_seq),
                _Plan(),
            )
        layout = await _layout_id(connection, batch.slots)
        ids = await nodelists.keep(connection, set(batch.readings.columns["node_list"]) - {None}, batch.expanded)
        existing = await _existing(connection, batch)
        earlier = await _earlier(connection, batch, existing)
        booking = await _booking(connection, batch, existing, earlier)
        plan = await anyio.to_thread.run_sync(self._plan, batch, existing, earlier, ids, layout, booking)
        plan.lists = ids
        await plan.jobs.insert(connection, "jobs")
        if self._resumes and plan.jobs:
            await already_delivered.resume_revisions(connection, self._next_job)
        if plan.dictionary is not None:
            await dictionaries.keep(connection, self.database.packer, plan.dictionary, since=self._next_seq)
        for rows in plan.packed:
            await rows.insert(connection, "events")
        await sums.book(connection, booking, self.database.sum_groups)
        await placements.forget(
            connection,
            batch.readings.columns["cluster"][0],
            plan.revised_ends.union(plan.jobs.columns.get("end", ())),
        )
        # Each statement is a way to SQLite's thread and back, so those with nothing to do are left out.
        if plan.updates:
            await connection.executemany(_UPDATE, plan.updates)
            await connection.executemany("INSERT INTO earlier_events VALUES (?, ?)", plan.earlier)
        if plan.digests:
            await connection.executemany("UPDATE jobs SET digest = ? WHERE id = ?", plan.digests)
        if plan.back:
            await connection.executemany("DELETE FROM gone WHERE job = ?", plan.back)
        if self._usage and plan.jobs:
            await usage_queue.enqueue(
                connection, plan.jobs.columns["id"], batch.cluster, batch.found_by, batch.observed
            )
        if plan.told:
            await _keep_last_seq(connection, self._next_seq + plan.told - 1)
        committed = Committed(
            new=len(plan.jobs),
            revised=len(plan.updates),
            rejected=len(batch.rejected),
            quarantined=quarantined,
            shown=plan.shown,
            seq=self._next_seq + plan.told - 1,
        )
        return committed, plan

    def _plan(
        self,
        batch: Batch,
        existing: Mapping[AttemptKey, sqlite3.Row],
        earlier: Mapping[int, tuple[bytes, str]],
        ids: Mapping[str, int],
        layout: int,
        booking: sums.Booking,
    ) -> _Plan:
        """Decide what each reading means; runs in a worker thread."""
        fresh, changed = _sorted(batch, existing)
        plan = self._plan_fresh(batch, fresh, ids, layout) if fresh else _Plan()
        booking.stored(plan.jobs.columns.get("id", ()), fresh.values(*Attempt._fields))
        if existing:
            keys = set(batch.readings.keys)
            met = [stored for key, stored in existing.items() if key in keys]
            plan.back = [(stored["id"],) for stored in met if stored["gone"] is not None]
            plan.shown = sum(_is_held(stored, batch.span) for stored in met)
        seq = self._next_seq + plan.told
        kind = EventKind.JOB_REVISED
        events: list[tuple[Any, ...]] = []
        for values, key, digest, body in zip(
            changed.values(*_CHANGING), changed.keys, changed.digests, changed.bodies, strict=True
        ):
            state, *whose, outcome, end, node_list = values
            updated = (STATES[state], *whose, OUTCOMES[outcome])
            stored = existing[key]
            text_before, slots_then = earlier.get(stored["seq"], (b"{}", ""))
            before, after = orjson.loads(text_before), orjson.loads(body)
            differences = changes(before, slots_then, after, batch.slots, batch.revising)
            if not differences:
                plan.digests.append((digest, stored["id"]))
                continue
            booking.revised(stored["id"], before, after)
            nodelist, revision = ids.get(node_list), stored["revision"] + 1
            identity = event_id(changed.columns["cluster"][0], *key, kind.value, revision)
            events.append((seq, identity, stored["id"], revision, end, nodelist, orjson.dumps(differences), body))
            plan.revised_ends |= {stored["end"], end}
            plan.earlier.append((stored["id"], stored["seq"]))
            plan.updates.append((*updated, end, nodelist, digest, revision, seq, stored["id"]))
            seq += 1
        plan.events.append(BulkRows.of(_EVENT, events, _origin(batch, kind, layout)))
        self._pack(plan)
        return plan

    def _pack(self, plan: _Plan) -> None:
        """Make the rows that the store keeps."""
        packer = self.database.packer
        # Before there is a dictionary bodies stay as they are, see `packing.py`.
        plan.dictionary = packer.learnt(DictionaryKind.RECORD, plan.events[0].columns.get("body", ()))
        for rows in filter(None, plan.events):
            packed = packer.packed(DictionaryKind.RECORD, rows.columns["body"], plan.dictionary)
            columns = {name: values for name, values in rows.columns.items() if name != "id"}
            plan.packed.append(BulkRows({**columns, "body": packed}, {**coded(rows.common), "id": ""}))

    def _plan_fresh(self, batch: Batch, fresh: AttemptBatch, ids: Mapping[str, int], layout: int) -> _Plan:
        """Make the rows of new attempts, a column at a time."""
        count = len(fresh)
        jobs = range(self._next_job, self._next_job + count)
        seqs = range(self._next_seq, self._next_seq + count)
        columns = fresh.columns
        cluster = columns["cluster"][0]
        lists = list(map(ids.get, columns["node_list"]))
        kept: dict[str, Sequence[Any]] = {name: columns[name] for name in _KEPT}
        kept["state_code"] = list(map(STATES.__getitem__, columns["state"]))
        kept["outcome_code"] = list(map(OUTCOMES.__getitem__, columns["outcome"]))
        names = event_ids(cluster, fresh.keys, EventKind.JOB_ENDED.value, 1)
        events = (seqs, names, jobs, [1] * count, columns["end"], lists, [None] * count, fresh.bodies)
        return _Plan(
            jobs=BulkRows(
                {"id": jobs, **kept, "nodelist": lists, "digest": fresh.digests, "seq": seqs},
                {"cluster": cluster, "revision": 1, **usage_queue.place(self._next_seq, wanted=self._usage)},
            ),
            events=[
                BulkRows(
                    dict(zip(_EVENT, events, strict=True)),
                    _origin(batch, EventKind.JOB_ENDED, layout),
                    {} if None in columns["outcome"] else {name: columns[name] for name in IN_MEMORY},
                )
            ],
        )


def _origin(batch: Batch, kind: EventKind, layout: int) -> dict[str, Any]:
    """Return what events of one kind that one batch makes have in common."""
    # Plain text: SQLite's module looks for an adapter for anything that is a subclass of str.
    return {
        "kind": kind.value,
        "observed": batch.observed,
        "found_by": batch.found_by.value,
        "layout": layout,
    }


def _sorted(batch: Batch, existing: Mapping[AttemptKey, sqlite3.Row]) -> tuple[AttemptBatch, AttemptBatch]:
    """Return the readings that are new, and those that may have changed, each key once.

    Sacct repeats a row when its reservation has several revisions (Bug 7745).
    """
    readings, keys = batch.readings, batch.readings.keys
    if not existing and len(set(keys)) == len(keys):
        return readings, NOTHING
    fresh: list[int] = []
    changed: list[int] = []
    met: set[AttemptKey] = set()
    for place, (key, digest) in enumerate(zip(keys, readings.digests, strict=True)):
        if key in met:
            continue
        met.add(key)
        stored = existing.get(key)
        if stored is None:
            fresh.append(place)
        elif stored["digest"] != digest and not batch.released:
            changed.append(place)
    return readings.take(fresh), readings.take(changed)


def _is_held(stored: sqlite3.Row, span: tuple[int, int] | None) -> bool:
    """Tell whether an answer about a span is held to show an attempt."""
    end = stored["end"]
    return stored["gone"] is None and span is not None and end is not None and span[0] <= end < span[1]


async def _existing(connection: aiosqlite.Connection, batch: Batch) -> dict[AttemptKey, sqlite3.Row]:
    """Return what the store has of the batch's keys."""
    numbers = json_array(set(batch.readings.columns["job_id_raw"]))
    found = await connection.execute_fetchall(
        'SELECT job_id_raw, submit, id, digest, revision, seq, usage_seq, "end", gone.job AS gone FROM jobs '  # noqa: S608
        f"LEFT JOIN gone ON gone.job = jobs.id WHERE cluster = ? AND job_id_raw {IN_ARRAY}",
        (batch.readings.columns["cluster"][0], numbers),
    )
    return {(row[0], row[1]): row for row in found}


async def _earlier(
    connection: aiosqlite.Connection, batch: Batch, existing: Mapping[AttemptKey, sqlite3.Row]
) -> dict[int, tuple[bytes, str]]:
    """Return seq to (body, slots) of the stored attempts whose digest is another now."""
    if not existing:
        return {}
    known = zip(map(existing.get, batch.readings.keys), batch.readings.digests, strict=True)
    wanted = [stored["seq"] for stored, digest in known if stored is not None and stored["digest"] != digest]
    if not wanted:
        return {}
    rows = await connection.execute_fetchall(
        f"SELECT events.seq, {bodies.RECORD}, layouts.slots FROM events "  # noqa: S608 - constants
        "JOIN layouts ON layouts.id = events.layout "
        f"WHERE events.seq {IN_ARRAY}",
        (json_array(wanted),),
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def _booking(
    connection: aiosqlite.Connection,
    batch: Batch,
    existing: Mapping[AttemptKey, sqlite3.Row],
    earlier: Mapping[int, tuple[bytes, str]],
) -> sums.Booking:
    """Look up what decides how a batch changes the sums."""
    columns = batch.readings.columns
    changed = {row["id"]: row["usage_seq"] for row in existing.values() if row["seq"] in earlier}
    return await sums.begin(connection, cluster=columns["cluster"][0], ends=columns["end"], jobs=changed)


async def _keep_last_seq(connection: aiosqlite.Connection, seq: int) -> None:
    await connection.execute(
        "INSERT INTO meta VALUES ('last seq', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (str(seq),),
    )


async def _layout_id(connection: aiosqlite.Connection, slots: frozenset[str]) -> int:
    text = " ".join(sorted(slots))
    rows = list(await connection.execute_fetchall("SELECT id FROM layouts WHERE slots = ?", (text,)))
    if not rows:
        rows = list(
            await connection.execute_fetchall("INSERT INTO layouts (slots) VALUES (?) RETURNING id", (text,))
        )
    return int(rows[0][0])
