"""Which of sacct's fields are asked for, and what of a `JobRecord` each of them fills.

Every release prints other fields (109 in 22.05, 118 in 24.11, 123 in 26.05), and one unknown name makes
sacct fail, so a `Layout` holds just what the sacct at hand prints.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import groupby
from operator import attrgetter
from struct import unpack
from typing import Any, NamedTuple

from slurmwatchd.model.fields import Reading, SacctField, fields_of
from slurmwatchd.model.records import REVISING, WHOLE_EXIT_CODES, JobRecord
from slurmwatchd.sources.sacct import grammar

ValueReader = Callable[[bytes], Any]

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

TEXT: ValueReader = grammar.text
"""What a text column is read with."""


def _state(value: bytes) -> tuple[str, int | None]:
    """Read a state as `grammar.state` does; the word is one also where nobody can read who cancelled."""
    try:
        return grammar.state(value)
    except ValueError:
        words = grammar.text(value)
        raise grammar.PartlyReadError((words.partition(" ")[0].upper() or "UNKNOWN", None), [words]) from None


_READERS: Mapping[Reading, ValueReader] = {
    "constraints": grammar.constraints,
    "count": grammar.count,
    "digits": grammar.digits,
    "duration": grammar.duration,
    "epoch": grammar.epoch,
    "exit code": grammar.exit_code,
    "flags": grammar.flags,
    "integer": grammar.integer,
    "licenses": grammar.licenses,
    "minutes": grammar.minutes,
    "moment": grammar.moment,
    "node list": grammar.node_list,
    "reason": grammar.reason,
    "seconds": grammar.seconds,
    "sluid": grammar.sluid,
    "state": _state,
    "text": TEXT,
    "tres": grammar.tres,
}


class _Column(NamedTuple):
    """One of sacct's fields and where its value goes.

    Attributes:
        sacct: What sacct calls it, and how it is spelled.
        slots: The fields of `JobRecord` it fills, which stand beside one another; where there are several, the
            reader returns as many values.
    """

    sacct: SacctField
    slots: tuple[str, ...]

    @property
    def read(self) -> ValueReader:
        """What reads it, see `grammar`."""
        return _READERS[self.sacct.reading]


_FIRST = ("state", "start", "node_list", "exit_code", "derived_exit_code")
"""These come before the others, as in the digests of every store."""


def _columns() -> list[_Column]:
    """Return what each layout is chosen from, in order."""
    fields = [field for field in fields_of(JobRecord) if field.sacct and field.sacct.names not in _KEYED]
    groups = groupby(fields, attrgetter("sacct"))
    columns = [_Column(sacct, tuple(field.name for field in some)) for sacct, some in groups]
    first = {name: place for place, name in enumerate(_FIRST)}
    return sorted(columns, key=lambda column: first.get(column.slots[0], len(first)))


# How Cluster, JobIDRaw, Submit and JobID are read is the same for each layout: see `columns.py`.
_COLUMNS = _columns()

DIGEST_BETWEEN = b"\x00"
"""Stands between the values that make a digest."""

EMPTY: list[Any] = [JobRecord._field_defaults.get(name) for name in JobRecord._fields]

ASKED = {field.name: field.sacct.all_names for field in fields_of(JobRecord) if field.sacct}
"""Field of a record to the names sacct has for it, the newest first: for docs/events.md."""


class Layout:
    """The fields to ask one sacct for, in order, and how each is read."""

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
        plan: list[tuple[int, int, ValueReader]] = []
        wide: list[tuple[int, slice, ValueReader]] = []
        digested: list[int] = []
        slots: set[str] = {WHOLE_EXIT_CODES} if whole_exit_codes else set()
        wanted = frozenset(revising)
        for column in _COLUMNS:
            # sacct matches names by prefix, so only the exact one will do.
            names = column.sacct.all_names
            name = next((offered[n.lower()] for n in names if n.lower() in offered), None)
            if name is None:
                continue
            index, slot, width = len(fields), SLOT[column.slots[0]], len(column.slots)
            fields.append(name)
            if not wanted.isdisjoint(column.slots):
                digested.append(index)
            slots.update(column.slots)
            if width == 1:
                plan.append((index, slot, column.read))
            else:
                wide.append((index, slice(slot, slot + width), column.read))
        self.fields: tuple[str, ...] = tuple(fields)
        self.slots: frozenset[str] = frozenset(slots)
        """The fields of `JobRecord` this layout can fill; the others are absent because nobody asked. And
        `WHOLE_EXIT_CODES`, where they are."""
        self.plan = tuple(plan)
        """Index of the field, place in the record, reader."""
        self.wide = tuple(wide)
        """The same for fields that fill several places."""
        self.revising = wanted
        """The fields of `JobRecord` whose later change is worth telling."""
        # The first stands there twice, as in the digests of every store.
        self.digested = (digested[0], *digested) if digested else (0, 0)
        """Indices of the fields whose change is worth telling; of the cluster's name where none is."""

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


def digests_of(rows: Iterable[Iterable[bytes]]) -> Sequence[int]:
    """Return the digests of rows of the values of `Layout.digested`.

    A digest is 64 bits, as a signed integer. Equal ones mean that nothing changed; unequal ones that something may
    have (or that Slurm was upgraded and other fields are asked for, or that other fields are worth telling now).
    Neighbours may be one already, with `DIGEST_BETWEEN` between them.
    """
    digests, begun = [], blake2b(digest_size=8)
    for text in map(DIGEST_BETWEEN.join, rows):
        # To copy a state costs less than to begin one.
        state = begun.copy()
        state.update(text)
        digests.append(state.digest())
    return unpack(f">{len(digests)}q", b"".join(digests))
