"""Rows of jobs, read a column at a time: the one way from sacct's text to what is stored.

A value that cannot be parsed costs only itself: its text is kept under `raw`. A row whose key cannot be parsed is
cut out first, and handed back whole with the reason. What several columns say together amends their texts before
they are read, and what is taken out of a column so is looked at first: nothing unreadable is lost.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, repeat
from typing import Any, NamedTuple

from slurmwatchd.model import formats
from slurmwatchd.model.attempts import COLUMNS, NOTHING, AttemptBatch
from slurmwatchd.model.formats import Piece
from slurmwatchd.model.outcomes import BY_STATE, DECIDING, Outcome, outcome_of
from slurmwatchd.model.records import JobRecord, Rejected
from slurmwatchd.sources import crosschecks
from slurmwatchd.sources.sacct import grammar
from slurmwatchd.sources.sacct.column_sources import (
    MEMO_VALUES,
    Digits,
    Durations,
    JobIds,
    Memo,
    Naturals,
    Numbers,
    Sluids,
    Source,
    Text,
    Times,
    Values,
    Wide,
    understood,
)
from slurmwatchd.sources.sacct.fields import DIGEST_BETWEEN, EMPTY, SLOT, TEXT, Layout, ValueReader, digests_of
from slurmwatchd.sources.sacct.framing import RawColumns, without

_FIELDS = JobRecord._fields
_CLUSTER, _JOB_ID_RAW, _SUBMIT, _JOB_ID = range(4)
_NO_NODES = grammar.NO_NODES.encode()
_WRITE_RAW = formats.member("raw")
_WRITE_ALLOC_TRES = formats.member("alloc_tres")
_OUTCOME = formats.head("outcome") + b'"'
_WRITTEN = {outcome.value: outcome.value.encode() for outcome in Outcome}
_INCOMPLETE = formats.member("incomplete")(True)


class ColumnReader:
    """Reads batches of rows by a layout."""

    def __init__(self, layout: Layout) -> None:
        """Prepare; what is remembered lives as long as this reader."""
        self._layout = layout
        self._sources = _Sources(layout)

    def read(self, columns: RawColumns) -> tuple[AttemptBatch, list[Rejected]]:
        """Read rows, in order.

        Args:
            columns: One list a field of the layout, all of one length, as `RowReader.feed` gives them.

        Returns:
            The rows that can be keyed, and the others.
        """
        if not columns[0]:
            return NOTHING, []
        keyless = _keyless(columns)
        if not keyless:
            return _Batch(self._layout, self._sources, columns).read(), []
        rejected = [self._rejected(tuple(column[place] for column in columns)) for place in keyless]
        keyed = [without(keyless, column) for column in columns]
        return (_Batch(self._layout, self._sources, keyed).read() if keyed[0] else NOTHING), rejected

    def _rejected(self, row: tuple[bytes, ...]) -> Rejected:
        """Hand a row without a key back, with the reason."""
        reason = "Cluster is empty"
        if row[_CLUSTER]:
            index, name, what = (
                (_SUBMIT, "Submit", "a time")
                if grammar.is_natural(row[_JOB_ID_RAW])
                else (_JOB_ID_RAW, "JobIDRaw", "a number")
            )
            reason = f"{name} is {row[index][:80]!r}, not {what}"
        return Rejected(reason=reason, fields=self._layout.fields, row=row)


class _Sources:
    """The columns of a layout."""

    def __init__(self, layout: Layout) -> None:
        every = [
            Source(_CLUSTER, "cluster", TEXT),
            Digits(_JOB_ID, "job_id", TEXT, ""),
            Naturals(_JOB_ID_RAW, "job_id_raw", grammar.natural),
            JobIds(_JOB_ID),
            Times(_SUBMIT, "submit", grammar.natural),
            *(_source(index, _FIELDS[slot], reader) for index, slot, reader in layout.plan),
            *(Wide(index, _FIELDS[slots], reader) for index, slots, reader in layout.wide),
        ]
        self.in_order: Sequence[Source] = sorted(every, key=lambda source: SLOT[source.field])
        self.of = {source.field: source for source in every}
        self.resting = {
            self.of[moment].index: self.of[name]
            for moment, name in crosschecks.RESTS_ON.items()
            if moment in self.of and name in self.of
        }
        """The index of a moment to what is counted from it."""
        self.deciding = {
            field: _Deciding(source, source.fields.index(field), Memo(partial(_understood, source.reader)))
            for source in every
            for field in {*DECIDING}.intersection(source.fields)
        }
        """What the outcome rests on besides the state."""
        self.outcomes: dict[tuple[Any, ...], str] = {}
        """What decides an outcome, as it is written, to that."""
        self.raw_order = [index for index, *_ in (*layout.plan, *layout.wide)]
        """In this order values that cannot be read stand under `raw`."""


class _Deciding(NamedTuple):
    """Something that decides an outcome.

    Attributes:
        source: Its column.
        part: Which of the column's values it is.
        read: What the column's texts mean.
    """

    source: Source
    part: int
    read: Memo


class _Row(Mapping[str, Any]):
    """What decides the outcome of one row, read when it is looked at."""

    def __init__(self, batch: "_Batch", place: int) -> None:
        self._batch = batch
        self._place = place

    def __getitem__(self, field: str) -> Any:  # noqa: ANN401 - any value
        return self._batch.deciding(field, self._place)

    def __iter__(self) -> Iterator[str]:
        return iter(("state", *DECIDING))

    def __len__(self) -> int:
        return 1 + len(DECIDING)


class _Batch:
    """Some rows, each with a key, while they are read."""

    def __init__(self, layout: Layout, sources: _Sources, columns: RawColumns) -> None:
        self._layout = layout
        self._sources = sources
        self._columns = columns
        self._count = len(columns[0])
        self._texts: list[Piece] = list(map(_folded, columns))
        self._values: Values = {field: [EMPTY[SLOT[field]]] * self._count for field in COLUMNS}
        self._unread: dict[int, dict[int, str]] = defaultdict(dict)
        """The index of a column to what of it cannot be read, by the row's place."""
        self._rested: list[tuple[int, int]] = []
        """Index and place of what was counted from a moment that is none."""

    def read(self) -> AttemptBatch:
        """Read all of them."""
        digested = (self._texts[index] for index in self._layout.digested)
        digests = digests_of(zip(*formats.merged(digested, self._count, between=DIGEST_BETWEEN), strict=True))
        if not all(self._columns[_JOB_ID]):
            self._unread[_JOB_ID] = {place: "" for place, text in enumerate(self._columns[_JOB_ID]) if not text}
        self._leave_out_starts()
        incomplete = self._leave_out_filled_in()
        pieces = self._pieces()
        if "state" in self._sources.of:
            pieces.append(self._outcomes())
        if incomplete:
            pieces.append([[_INCOMPLETE if place in incomplete else b"" for place in range(self._count)]])
        raw = self._raw()
        if (alloc_tres := self._sources.of.get("alloc_tres")) is not None:
            self._leave_out_energy(alloc_tres, pieces, raw)
        if raw:
            self._values["raw"] = [raw.get(place) for place in range(self._count)]
            pieces.append([list(map(_WRITE_RAW, self._values["raw"]))])
        return AttemptBatch(self._values, digests, formats.joined(chain.from_iterable(pieces), self._count))

    def _pieces(self) -> list[Sequence[Piece]]:
        """Read each column; a moment comes before what is counted from it."""
        texts, count, values = self._texts, self._count, self._values
        pieces = []
        for source in self._sources.in_order:
            column = texts[source.index]
            pieces.append(source.read(column, count, values))
            if source.unread or self._unread:
                self._look_at(source, column)
        return pieces

    def _outcomes(self) -> Sequence[Piece]:
        """Say why each attempt ended, from columns that have been read."""
        states = self._values["state"]
        known, of = self._sources.outcomes, self._sources.deciding.items()
        texts = (self._texts[source.index] for field, (source, _, _) in of if field != "start")
        columns = (repeat(text) if isinstance(text, bytes) else text for text in texts)
        # Of the start it matters whether there is one.
        keys = zip(states, [start is None for start in self._values["start"]], *columns, strict=False)
        found = [
            BY_STATE.get(key[0]) or known.get(key) or self._outcome(place, key) for place, key in enumerate(keys)
        ]
        self._values["outcome"] = found
        return [_OUTCOME, list(map(_WRITTEN.__getitem__, found)), b'"']

    def _outcome(self, place: int, key: tuple[Any, ...]) -> str:
        """Say why an attempt ended whose state alone does not, and remember it: other rows have the same."""
        known = self._sources.outcomes
        if len(known) >= MEMO_VALUES:
            known.clear()
        outcome = known[key] = outcome_of(_Row(self, place))
        return outcome

    def deciding(self, field: str, place: int) -> Any:  # noqa: ANN401 - any value
        """Read one of `DECIDING` of one row; few rows need more than their state."""
        if field == "state":
            return self._values[field][place]
        source, part, read = self._sources.deciding[field]
        piece = self._texts[source.index]
        value = read[piece if isinstance(piece, bytes) else piece[place]]
        return value[part] if value is not None and isinstance(source, Wide) else value

    def _look_at(self, source: Source, texts: Piece) -> None:
        """Keep what cannot be read of a column that has just been read."""
        index = source.index
        if unread := source.unread_in(texts, self._count):
            self._unread[index].update(unread)
        if index in self._unread and index in self._sources.resting:
            self._leave_out_rested(self._sources.resting[index], self._unread[index])

    def _leave_out(self, source: Source, places: Sequence[int]) -> None:
        """Take values out of a column that has not been read yet; what of them cannot be read is kept."""
        if not places:
            return
        index = source.index
        texts = _unfolded(self._texts[index], self._count)
        met = {texts[place] for place in places} - {b""}
        unread = {text: rest for text in met if (rest := understood(source.reader, text)[1]) is not None}
        for place in places:
            if texts[place] in unread:
                self._unread[index][place] = unread[texts[place]]
            texts[place] = b""
        self._texts[index] = _folded(texts)

    def _leave_out_starts(self) -> None:
        """Leave out the start of what got no node: it never started.

        Its Start is `None` in 24.11 and newer, but `None`, `Unknown` or equal to End before.
        """
        node_list, start = (self._sources.of.get(name) for name in ("node_list", "start"))
        if node_list is None or _NO_NODES not in self._columns[node_list.index]:
            return
        places = [place for place, text in enumerate(self._columns[node_list.index]) if text == _NO_NODES]
        self._leave_out(node_list, places)
        if start is not None:
            self._leave_out(start, places)

    def _leave_out_filled_in(self) -> Collection[int]:
        """Leave out of rows whose start slurmdbd was never told what it put there instead: a name, and zeros.

        Returns:
            The places of these rows.
        """
        of = self._sources.of
        if not {"name", "partition", "uid"} <= of.keys():
            return ()
        unnamed = crosschecks.unnamed(*(self._columns[of[name].index] for name in ("name", "partition")))
        places = [place for place in unnamed if self._is_zero(of["uid"], place)]
        if places:
            for name in crosschecks.FILLED_IN:
                if name in of:
                    self._leave_out(of[name], places)
            for name in crosschecks.FILLED_WITH_ZERO:
                if name in of:
                    self._leave_out(of[name], [place for place in places if self._is_zero(of[name], place)])
        return frozenset(places)

    def _is_zero(self, source: Source, place: int) -> bool:
        return bool(understood(source.reader, self._columns[source.index][place])[0] == 0)

    def _leave_out_rested(self, source: Source, moments: Mapping[int, str]) -> None:
        """Leave out what was counted from a moment that is a number and yet none, such as one in 1970."""
        index = source.index
        places = [place for place, text in moments.items() if text.isdigit() and self._columns[index][place]]
        self._leave_out(source, places)
        self._rested += [(index, place) for place in places]

    def _raw(self) -> dict[int, dict[str, str]]:
        """Return what cannot be read of each row, by its place and the names of the fields."""
        raw: dict[int, dict[str, str]] = defaultdict(dict)
        if not self._unread:
            return raw
        for index in self._sources.raw_order:
            self._keep(self._unread.get(index, {}).items(), index, raw)
        for index, place in self._rested:
            self._keep([(place, grammar.text(self._columns[index][place]))], index, raw)
        self._keep(self._unread.get(_JOB_ID, {}).items(), _JOB_ID, raw)
        return raw

    def _keep(self, texts: Iterable[tuple[int, str]], index: int, raw: dict[int, dict[str, str]]) -> None:
        for place, text in texts:
            raw[place][self._layout.fields[index]] = text

    def _leave_out_energy(
        self, source: Source, pieces: list[Sequence[Piece]], raw: dict[int, dict[str, str]]
    ) -> None:
        """Leave out of what attempts were given the energy that they cannot have taken."""
        texts, name = self._columns[source.index], self._layout.fields[source.index]
        for place in crosschecks.with_too_much_energy(texts, self._values):
            read = understood(source.reader, texts[place])[0] or {}
            energy = read.get("energy_joules")
            run = (self._values[field][place] for field in crosschecks.RUN)
            if energy is None or not crosschecks.is_too_much(energy, *run):
                continue
            number = self._sources.in_order.index(source)
            members = _unfolded(pieces[number][0], self._count)
            others = {tres: amount for tres, amount in read.items() if tres != "energy_joules"}
            members[place] = _WRITE_ALLOC_TRES(others or None)
            self._values["alloc_tres"] = _replaced(self._values["alloc_tres"], place, others or None)
            pieces[number] = [members]
            raw[place][name] = ",".join(filter(None, [raw[place].get(name), f"energy={energy}"]))


def _understood(reader: ValueReader, text: bytes) -> Any:  # noqa: ANN401 - any value
    return understood(reader, text)[0]


def _source(index: int, field: str, reader: ValueReader) -> Source:
    """Return what reads a column into a field quickest."""
    if field in formats.TIME_FIELDS:
        return Times(index, field, reader)
    if field == "elapsed_seconds" or reader is grammar.integer:
        return Numbers(index, field, reader)
    if reader is TEXT:
        return Text(index, field, reader)
    if reader is grammar.duration:
        return Durations(index, field, reader)
    if reader is grammar.sluid:
        return Sluids(index, field, reader)
    return (Digits if reader is grammar.digits else Source)(index, field, reader)


def _keyless(columns: RawColumns) -> list[int]:
    """Return the places of rows without a key."""
    clusters, numbers, submits = (columns[index] for index in (_CLUSTER, _JOB_ID_RAW, _SUBMIT))
    if all(clusters) and all(map(grammar.are_natural, (numbers, submits))):
        return []
    rows = enumerate(zip(clusters, numbers, submits, strict=True))
    return [place for place, (one, *two) in rows if not (one and all(map(grammar.is_natural, two)))]


def _replaced(values: Sequence[Any], place: int, value: object) -> Sequence[Any]:
    """Return the values of a column with another one at a place."""
    return [*values[:place], value, *values[place + 1 :]]


def _folded(texts: list[bytes]) -> Piece:
    """Return what stands in every row, where that is the same."""
    first = texts[0]
    return first if first == texts[-1] and texts.count(first) == len(texts) else texts


def _unfolded(piece: Piece, count: int) -> list[bytes]:
    """Return a list of its own of what stands in each row."""
    return [piece] * count if isinstance(piece, bytes) else list(piece)
