"""Which of sacct's fields are asked for, and how a row of them becomes a `JobRecord`.

Every release prints other fields (109 in 22.05, 118 in 24.11, 123 in 26.05), and one unknown name makes
sacct fail, so a `Layout` holds just what the sacct at hand prints.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from operator import itemgetter
from struct import unpack
from typing import Any

from slurmwatchd.model.attempts import Reading
from slurmwatchd.model.records import REVISING, WHOLE_EXIT_CODES, JobRecord, Rejected
from slurmwatchd.model.usage import WATTS_A_NODE, node_seconds
from slurmwatchd.sources.sacct import grammar
from slurmwatchd.sources.sacct.framing import Row

Reader = Callable[[bytes], Any]

_KEYED = ("Cluster", "JobIDRaw", "Submit", "JobID")
KEY_FIELDS = (*_KEYED, "State")
"""Without these a row cannot be kept; every supported release prints them."""

EVERYWHERE = frozenset(
    {
        "Account", "AdminComment", "AllocTRES", "Cluster", "Comment", "Constraints", "DBIndex",
        "DerivedExitCode", "ElapsedRaw", "Eligible", "End", "ExitCode", "Flags", "GID", "JobID",
        "JobIDRaw", "JobName", "McsLabel", "NCPUS", "NNodes", "NodeList", "Partition", "Priority", "QOS",
        "Reason", "ReqTRES", "Reservation", "ReservationId", "Start", "State", "Submit", "Suspended",
        "SystemComment", "TimelimitRaw", "UID", "User", "WCKey", "WorkDir",
    }
)  # fmt: skip
"""What is asked for of every release from 20.11 to 26.05, the list's first and last among it, so that it proves a
list. That of each version is kept: half of one would leave columns out for good."""


SLOT = {name: index for index, name in enumerate(JobRecord._fields)}

# What a text column is read with: plain decoding, which costs least; broken UTF-8 is looked at afterwards.
TEXT: Reader = bytes.decode


@dataclass(frozen=True, slots=True)
class _Column:
    """One of sacct's fields and where its value goes.

    Attributes:
        names: What sacct calls it, the newest name first.
        slot: The field of `JobRecord`.
        read: See `grammar`.
        width: How many fields of `JobRecord` it fills, from `slot` on; `read` returns as many values.
    """

    names: tuple[str, ...]
    slot: str
    read: Reader
    width: int = 1

    @property
    def slots(self) -> tuple[str, ...]:
        """The fields of `JobRecord` it fills."""
        first = SLOT[self.slot]
        return JobRecord._fields[first : first + self.width]


def _column(names: str, slot: str, read: Reader = TEXT, *, width: int = 1) -> _Column:
    return _Column(tuple(names.split("|")), slot, read, width)


# Cluster, JobIDRaw, Submit and JobID are read by Layout itself.
_COLUMNS = (
    _column("State", "state", grammar.state, width=2),
    _column("Start", "start", grammar.moment),
    _column("NodeList", "node_list", grammar.node_list),
    _column("ExitCode", "exit_code", grammar.exit_code, width=2),
    _column("DerivedExitCode", "derived_exit_code", grammar.exit_code, width=2),
    _column("DBIndex", "db_index", grammar.digits),
    _column("SLUID", "sluid", grammar.sluid),
    _column("Restarts", "restarts", grammar.count),
    _column("JobName", "name"),
    _column("User", "user"),
    _column("UID", "uid", grammar.integer),
    _column("GID", "gid", grammar.integer),
    _column("Account", "account"),
    _column("Partition", "partition"),
    _column("QOS", "qos"),
    _column("Reservation", "reservation"),
    _column("WCKey", "wckey"),
    _column("Eligible", "eligible", grammar.moment),
    _column("End", "end", grammar.epoch),
    # "Reserved" became "Planned" in 23.02; sacct matches names by prefix, so only the exact one will do.
    _column("Planned|Reserved", "wait_seconds", grammar.duration),
    _column("ElapsedRaw", "elapsed_seconds", grammar.seconds),
    _column("Suspended", "suspended_seconds", grammar.duration),
    _column("TimelimitRaw", "timelimit_seconds", grammar.minutes),
    _column("NNodes", "node_count", grammar.count),
    _column("NCPUS", "cpus", grammar.count),
    _column("ReqTRES", "req_tres", grammar.tres),
    _column("AllocTRES", "alloc_tres", grammar.tres),
    _column("WorkDir", "work_dir"),
    _column("SubmitLine", "submit_line"),
    _column("Comment", "comment"),
    _column("AdminComment", "admin_comment"),
    _column("SystemComment", "system_comment"),
    _column("Constraints", "constraints", grammar.constraints),
    _column("Reason", "reason", grammar.reason),
    _column("Extra", "extra"),
    _column("FailedNode", "failed_node"),
    _column("Licenses", "licenses", grammar.licenses),
    _column("Flags", "flags", grammar.flags),
    _column("Priority", "priority", grammar.integer),
    _column("Container", "container"),
    _column("McsLabel", "mcs_label"),
    _column("ReservationId", "reservation_id", grammar.integer),
    _column("StdIn", "std_in"),
    _column("StdOut", "std_out"),
    _column("StdErr", "std_err"),
    _column("QOSREQ", "qos_req"),
    _column("ReqReservation", "req_reservation"),
    _column("SegmentSize", "segment_size", grammar.integer),
    _column("OriginalSLUID", "original_sluid", grammar.sluid),
    _column("Exclusive", "exclusive"),
    _column("OverSubscribe", "oversubscribe"),
)

DIGEST_BETWEEN = b"\x00"
"""Stands between the values that make a digest."""

EMPTY: list[Any] = [JobRecord._field_defaults.get(name) for name in JobRecord._fields]
_JOB_ID, _ARRAY, _STATE = SLOT["job_id"], SLOT["array_job_id"], SLOT["state"]
_SUBMIT, _START, _RAW = SLOT["submit"], SLOT["start"], SLOT["raw"]
_NODE_LIST, _END, _NODE_COUNT, _ALLOC_TRES = (
    SLOT[name] for name in ("node_list", "end", "node_count", "alloc_tres")
)

UNNAMED = "allocation"
"""What slurmdbd names a job whose start it was never told. Its row is of UID 0 and has no partition; a whole one
has."""

_NAME, _UID, _PARTITION = (SLOT[name] for name in ("name", "uid", "partition"))

_RESTS_ON = {"Eligible": "wait_seconds", "Start": "elapsed_seconds"}
"""What slurmdbd's client counts from a moment: nothing, where that moment is none."""


def _asked() -> dict[str, tuple[str, ...]]:
    """Return which field of sacct each field of a record comes from, the newest name first."""
    parts = ("job_id", *JobRecord._fields[_ARRAY : _ARRAY + grammar.JOB_ID_WIDTH])
    found: dict[str, tuple[str, ...]] = dict.fromkeys(parts, ("JobID",))
    found |= {"cluster": ("Cluster",), "job_id_raw": ("JobIDRaw",), "submit": ("Submit",)}
    for column in _COLUMNS:
        first = SLOT[column.slot]
        found |= dict.fromkeys(JobRecord._fields[first : first + column.width], column.names)
    return found


ASKED = _asked()
"""Field of a record to the names sacct has for it, the newest first: for docs/events.md."""


class Layout:
    """The fields to ask one sacct for, in order, and the reader of its rows."""

    def __init__(
        self, available: Iterable[str], revising: Collection[str] = REVISING, *, whole_exit_codes: bool = False
    ) -> None:
        """Choose from what `sacct --helpformat` lists.

        Args:
            available: Field names in sacct's own spelling; upper and lower case do not matter.
            revising: The fields of `JobRecord` whose later change is worth telling.
            whole_exit_codes: Whether this sacct prints exit codes of 128 and more as they are.

        Raises:
            ValueError: A field without which no row can be kept is not among them.
        """
        offered = {name.lower(): name for name in available}
        missing = [name for name in KEY_FIELDS if name.lower() not in offered]
        if missing:
            raise ValueError(f"this sacct does not print {', '.join(missing)}")
        fields = [offered[name.lower()] for name in _KEYED]
        plan: list[tuple[int, int, Reader]] = []
        wide: list[tuple[int, slice, Reader]] = []
        digested: list[int] = []
        slots: set[str] = {WHOLE_EXIT_CODES} if whole_exit_codes else set()
        wanted = frozenset(revising)
        for column in _COLUMNS:
            name = next((offered[n.lower()] for n in column.names if n.lower() in offered), None)
            if name is None:
                continue
            index, slot = len(fields), SLOT[column.slot]
            fields.append(name)
            if not wanted.isdisjoint(column.slots):
                digested.append(index)
            slots.update(column.slots)
            if column.width == 1:
                plan.append((index, slot, column.read))
            else:
                wide.append((index, slice(slot, slot + column.width), column.read))
        self.fields: tuple[str, ...] = tuple(fields)
        self.slots: frozenset[str] = frozenset(slots)
        """The fields of `JobRecord` this layout can fill; the others are absent because nobody asked. And
        `WHOLE_EXIT_CODES`, where they are."""
        self.plan = tuple(plan)
        """Index of the field, place in the record, reader."""
        self.wide = tuple(wide)
        """The same for fields that fill several places."""
        self._resting = tuple(
            (moment, index, slot)
            for moment, name in _RESTS_ON.items()
            for index, slot, _ in plan
            if slot == SLOT[name]
        )
        self.revising = wanted
        """The fields of `JobRecord` whose later change is worth telling."""
        # The first stands there twice, so that there are always two: of one, itemgetter makes no tuple.
        self.digested = (digested[0], *digested) if digested else (0, 0)
        """Indices of the fields whose change is worth telling; of the cluster's name where none is."""
        self._pick = itemgetter(*self.digested)

    def few(self) -> "Layout":
        """Return a layout of the key, DBIndex and the fields whose change is worth telling, and no others.

        Its digests equal those of this layout, so what it reads can be compared with what is stored. Its records
        hold the key alone: nothing else of them is needed for that, and reading it would be most of the cost.
        """
        shown = {*KEY_FIELDS, "DBIndex", *(self.fields[index] for index in self.digested)}
        names = [name for name in self.fields if name in shown]
        few = Layout(names, self.revising, whole_exit_codes=WHOLE_EXIT_CODES in self.slots)
        few.plan, few.wide = (), ()
        return few

    def read(self, row: Row) -> Reading | Rejected:
        """Turn a row into a record.

        A value that cannot be parsed costs only itself: its text is kept under `raw`. A row whose key
        cannot be parsed is handed back whole, with the reason.

        Args:
            row: As many values as `fields`.
        """
        values = EMPTY.copy()
        raw: dict[str, str] = {}
        try:
            self._read_key(row, values)
        except _KeyFieldError as error:
            return Rejected(reason=str(error), fields=self.fields, row=tuple(row))
        for index, slot, read in self.plan:
            value = row[index]
            if value:
                try:
                    values[slot] = read(value)
                except ValueError as error:
                    values[slot] = (
                        grammar.text(value) if read is TEXT else self._salvaged(index, value, error, raw)
                    )
        for index, places, read in self.wide:
            value = row[index]
            if value:
                try:
                    values[places] = read(value)
                except ValueError:
                    raw[self.fields[index]] = grammar.text(value)
        if raw:
            self._drop_unfounded(row, values, raw)
        self._amend(values, raw)
        values[_RAW] = raw or None
        return Reading(JobRecord._make(values), self.digest(row))

    def digest(self, row: Row) -> int:
        """Return the `Reading.digest` of a row."""
        return digests_of([self._pick(row)])[0]

    def _read_key(self, row: Row, values: list[Any]) -> None:
        """Read cluster, raw job id, submit and job id."""
        cluster, job_id_raw, submit, job_id = row[:4]
        if not cluster:
            raise _KeyFieldError("Cluster is empty")
        try:
            values[SLOT["job_id_raw"]] = grammar.natural(job_id_raw)
        except ValueError:
            raise _KeyFieldError(f"JobIDRaw is {job_id_raw[:80]!r}, not a number") from None
        try:
            values[_SUBMIT] = grammar.natural(submit)
        except ValueError:
            raise _KeyFieldError(f"Submit is {submit[:80]!r}, not a time") from None
        values[0], values[_JOB_ID] = grammar.text(cluster), grammar.text(job_id)

    def _salvaged(self, index: int, value: bytes, error: ValueError, raw: dict[str, str]) -> Any:  # noqa: ANN401
        """Return what can be read of a value; what cannot is kept as text."""
        if isinstance(error, grammar.PartlyReadError):
            raw[self.fields[index]] = error.unread
            return error.read or None
        raw[self.fields[index]] = grammar.text(value)
        return None

    def _drop_unfounded(self, row: Row, values: list[Any], raw: dict[str, str]) -> None:
        """Take for unread what was counted from a moment that is a number and yet none, such as one in 1970."""
        for moment, index, slot in self._resting:
            if row[index] and raw.get(moment, "").isdigit():
                values[slot] = None
                raw[self.fields[index]] = grammar.text(row[index])

    @staticmethod
    def _amend(values: list[Any], raw: dict[str, str]) -> None:
        """Read what several fields say together."""
        job_id = values[_JOB_ID]
        if not job_id.isdigit():
            try:
                values[_ARRAY : _ARRAY + grammar.JOB_ID_WIDTH] = grammar.job_id(job_id)
            except ValueError:
                raw["JobID"] = job_id
        if "State" in raw:
            values[_STATE] = raw["State"].partition(" ")[0].upper() or "UNKNOWN"
        if values[_NODE_LIST] is grammar.NO_NODES:
            # Such an attempt never started. Its Start is `None` in 24.11 and newer, but `None`, `Unknown` or equal
            # to End before.
            values[_START] = values[_NODE_LIST] = None
        if values[_PARTITION] is None and values[_NAME] == UNNAMED and values[_UID] == 0:
            Layout._leave_out_filled_in(values)
        energy = (values[_ALLOC_TRES] or {}).get("energy_joules")
        if energy is not None and is_too_much(energy, values[_START], values[_END], values[_NODE_COUNT]):
            raw["AllocTRES"] = ",".join(filter(None, [raw.get("AllocTRES"), f"energy={energy}"]))
            others = {name: amount for name, amount in values[_ALLOC_TRES].items() if name != "energy_joules"}
            values[_ALLOC_TRES] = others or None

    @staticmethod
    def _leave_out_filled_in(values: list[Any]) -> None:
        """Leave out of a row whose start slurmdbd was never told what it put there instead: a name, and zeros."""
        values[SLOT["incomplete"]] = True
        values[_NAME] = values[SLOT["user"]] = values[_UID] = values[SLOT["gid"]] = None
        for name in ("priority", "timelimit_seconds"):
            values[SLOT[name]] = values[SLOT[name]] or None


def is_too_much(joules: int, start: int | None, end: int | None, node_count: int | None) -> bool:
    """Tell whether so much energy cannot be an attempt's; of one without a start or an end nobody can."""
    if start is None or end is None or node_count is None:
        return False
    return joules > WATTS_A_NODE * node_seconds(end - start, node_count)


def digests_of(rows: Iterable[Iterable[bytes]]) -> Sequence[int]:
    """Return the digests of rows of the values of `Layout.digested`.

    Neighbours may be one already, with `DIGEST_BETWEEN` between them.
    """
    digests, begun = [], blake2b(digest_size=8)
    for text in map(DIGEST_BETWEEN.join, rows):
        # To copy a state costs less than to begin one.
        state = begun.copy()
        state.update(text)
        digests.append(state.digest())
    return unpack(f">{len(digests)}q", b"".join(digests))


class _KeyFieldError(ValueError):
    """One of the fields that make the key is not what it must be."""
