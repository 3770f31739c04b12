"""Which of sacct's fields are asked for, and how a row of them becomes a `JobRecord`.

Every release prints other fields (109 in 22.05, 118 in 24.11, 123 in 26.05), and one unknown name makes
sacct fail, so a `Layout` holds just what the sacct at hand prints.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

from slurmwatchd.records import JobRecord, Rejected
from slurmwatchd.sources import grammar
from slurmwatchd.sources.framing import Row

Reader = Callable[[bytes], Any]

KEY_FIELDS = ("Cluster", "JobIDRaw", "Submit", "JobID", "State")
"""Without these a row cannot be kept; every supported release prints them."""


# What a text column is read with: plain decoding, which costs least; broken UTF-8 is looked at afterwards.
_TEXT: Reader = bytes.decode


@dataclass(frozen=True, slots=True)
class _Column:
    """One of sacct's fields and where its value goes.

    Attributes:
        names: What sacct calls it, the newest name first.
        slot: The field of `JobRecord`.
        read: See `grammar`.
        revises: Whether a later change of it is worth a `job_revised`.
    """

    names: tuple[str, ...]
    slot: str
    read: Reader
    revises: bool = False


def _column(names: str, slot: str, read: Reader = _TEXT, *, revises: bool = False) -> _Column:
    return _Column(tuple(names.split("|")), slot, read, revises)


# Cluster, JobIDRaw, Submit, JobID, State, Start, NodeList and the exit codes are read by Layout itself.
_COLUMNS = (
    _column("DBIndex", "db_index", grammar.digits),
    _column("SLUID", "sluid"),
    _column("Restarts", "restarts", grammar.integer),
    _column("JobName", "name", revises=True),
    _column("User", "user"),
    _column("UID", "uid", grammar.integer),
    _column("Group", "group"),
    _column("GID", "gid", grammar.integer),
    _column("Account", "account"),
    _column("Partition", "partition", revises=True),
    _column("QOS", "qos"),
    _column("Reservation", "reservation"),
    _column("WCKey", "wckey"),
    _column("Eligible", "eligible", grammar.epoch, revises=True),
    _column("End", "end", grammar.epoch, revises=True),
    # "Reserved" became "Planned" in 23.02; sacct matches names by prefix, so only the exact one will do.
    _column("Planned|Reserved", "wait_seconds", grammar.duration),
    _column("ElapsedRaw", "elapsed_seconds", grammar.integer, revises=True),
    _column("Suspended", "suspended_seconds", grammar.duration),
    _column("TimelimitRaw", "timelimit_seconds", grammar.minutes),
    _column("NNodes", "node_count", grammar.integer, revises=True),
    _column("NCPUS", "cpus", grammar.integer, revises=True),
    _column("ReqTRES", "req_tres", grammar.tres),
    _column("AllocTRES", "alloc_tres", grammar.tres, revises=True),
    _column("WorkDir", "work_dir"),
    _column("SubmitLine", "submit_line"),
    _column("Comment", "comment", revises=True),
    _column("AdminComment", "admin_comment", revises=True),
    _column("SystemComment", "system_comment", revises=True),
    _column("Constraints", "constraints"),
    _column("Reason", "reason", grammar.reason),
    _column("Extra", "extra", revises=True),
    _column("FailedNode", "failed_node"),
    _column("Licenses", "licenses"),
    _column("Flags", "flags"),
    _column("Priority", "priority", grammar.integer),
    _column("Container", "container"),
)

_READ_HERE = ("Start", "NodeList", "ExitCode", "DerivedExitCode")
_FILLED_HERE = (
    "state", "cancelled_by_uid", "start", "node_list",
    "exit_code", "exit_signal", "derived_exit_code", "derived_exit_signal",
)  # fmt: skip
_REVISING_HERE = frozenset({"State", "Start", "NodeList", "ExitCode", "DerivedExitCode"})

# Slurm's words for "no node was ever assigned" (as_mysql_job.c) and "nothing known" (NULL in the table).
_NO_NODES = frozenset({b"", b"None assigned", b"(unknown)"})


_EMPTY: list[Any] = [JobRecord._field_defaults.get(name) for name in JobRecord._fields]
_SLOT = {name: index for index, name in enumerate(JobRecord._fields)}
_ARRAY, _STATE, _SUBMIT, _RAW = (_SLOT[name] for name in ("array_job_id", "state", "submit", "raw"))


class Reading(NamedTuple):
    """One row, understood.

    Attributes:
        record: The attempt.
        digest: 64 bits over the fields whose change is worth telling, as a signed integer. Equal digests
            mean that nothing changed; unequal ones that something may have (or that Slurm was upgraded and
            other fields are asked for).
    """

    record: JobRecord
    digest: int


class Layout:
    """The fields to ask one sacct for, in order, and the reader of its rows."""

    def __init__(self, available: Iterable[str]) -> None:
        """Choose from what `sacct --helpformat` lists.

        Args:
            available: Field names in sacct's own spelling; upper and lower case do not matter.

        Raises:
            ValueError: A field without which no row can be kept is not among them.
        """
        offered = {name.lower(): name for name in available}
        missing = [name for name in KEY_FIELDS if name.lower() not in offered]
        if missing:
            raise ValueError(f"this sacct does not print {', '.join(missing)}")
        read_here = [name for name in (*KEY_FIELDS, *_READ_HERE) if name.lower() in offered]
        fields = [offered[name.lower()] for name in read_here]
        plan: list[tuple[int, int, Reader]] = []
        digested = [index for index, name in enumerate(read_here) if name in _REVISING_HERE]
        slots = set(_FILLED_HERE)
        for column in _COLUMNS:
            name = next((offered[n.lower()] for n in column.names if n.lower() in offered), None)
            if name is None:
                continue
            if column.revises:
                digested.append(len(fields))
            plan.append((len(fields), _SLOT[column.slot], column.read))
            slots.add(column.slot)
            fields.append(name)
        self.fields: tuple[str, ...] = tuple(fields)
        self.slots: frozenset[str] = frozenset(slots)
        """The fields of `JobRecord` this layout can fill; the others are absent because nobody asked."""
        self._plan = tuple(plan)
        self._digested = tuple(digested)
        self._index = {name: index for index, name in enumerate(read_here)}

    def read(self, row: Row) -> Reading | Rejected:
        """Turn a row into a record.

        A value that cannot be parsed costs only itself: its text is kept under `raw`. A row whose key
        cannot be parsed is handed back whole, with the reason.

        Args:
            row: As many values as `fields`.
        """
        values = _EMPTY.copy()
        raw: dict[str, str] = {}
        try:
            values[0], values[1], values[2] = self._key(row)
        except _KeyFieldError as error:
            return Rejected(reason=str(error), fields=self.fields, row=tuple(row))
        values[_SUBMIT] = grammar.natural(row[2])
        for index, slot, read in self._plan:
            value = row[index]
            if value:
                try:
                    values[slot] = read(value)
                except ValueError:
                    if read is _TEXT:
                        values[slot] = grammar.text(value)
                    else:
                        raw[self.fields[index]] = grammar.text(value)
        self._read_job_id(values, raw)
        self._read_state(row[4], values, raw)
        self._read_placement(row, values, raw)
        self._read_exit(row, "ExitCode", _SLOT["exit_code"], values, raw)
        self._read_exit(row, "DerivedExitCode", _SLOT["derived_exit_code"], values, raw)
        values[_RAW] = raw or None
        return Reading(JobRecord._make(values), self.digest(row))

    def digest(self, row: Row) -> int:
        """Return the `Reading.digest` of a row."""
        data = b"\x00".join([row[index] for index in self._digested])
        return int.from_bytes(blake2b(data, digest_size=8).digest(), "big", signed=True)

    def _key(self, row: Row) -> tuple[str, str, int]:
        """Return cluster, job id and raw job id; check that submit is a time."""
        if not row[0]:
            raise _KeyFieldError("Cluster is empty")
        try:
            job_id_raw = grammar.natural(row[1])
        except ValueError:
            raise _KeyFieldError(f"JobIDRaw is {row[1][:80]!r}, not a number") from None
        try:
            grammar.natural(row[2])
        except ValueError:
            raise _KeyFieldError(f"Submit is {row[2][:80]!r}, not a time") from None
        return grammar.text(row[0]), grammar.text(row[3]), job_id_raw

    def _read_job_id(self, values: list[Any], raw: dict[str, str]) -> None:
        job_id = values[_SLOT["job_id"]]
        if job_id.isdigit():
            return
        try:
            values[_ARRAY : _ARRAY + 5] = grammar.job_id(job_id)
        except ValueError:
            raw["JobID"] = job_id

    def _read_state(self, value: bytes, values: list[Any], raw: dict[str, str]) -> None:
        try:
            values[_STATE : _STATE + 2] = grammar.state(value)
        except ValueError:
            values[_STATE] = grammar.text(value).partition(" ")[0].upper() or "UNKNOWN"
            raw["State"] = grammar.text(value)

    def _read_placement(self, row: Row, values: list[Any], raw: dict[str, str]) -> None:
        """Read start and node list; an attempt without nodes never started.

        For a job cancelled while pending, Start is `None` in 24.11 and newer, but `None`, `Unknown` or equal
        to End before, so the node list decides.
        """
        nodes = self._value(row, "NodeList")
        if nodes not in _NO_NODES:
            values[_SLOT["node_list"]] = grammar.text(nodes)
        value = self._value(row, "Start")
        if not value or nodes == b"None assigned":
            return
        try:
            values[_SLOT["start"]] = grammar.epoch(value)
        except ValueError:
            raw["Start"] = grammar.text(value)

    def _read_exit(self, row: Row, name: str, slot: int, values: list[Any], raw: dict[str, str]) -> None:
        """Read `code:signal` into a slot and the one after it."""
        value = self._value(row, name)
        if value:
            try:
                values[slot : slot + 2] = grammar.exit_code(value)
            except ValueError:
                raw[name] = grammar.text(value)

    def _value(self, row: Sequence[bytes], name: str) -> bytes:
        index = self._index.get(name)
        return b"" if index is None else row[index]


class _KeyFieldError(ValueError):
    """One of the fields that make the key is not what it must be."""
