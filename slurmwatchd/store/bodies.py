"""Bodies as they stand in the store, and the one way to read them back.

A body is JSON, or a zstd frame of it: 100 to 200 bytes instead of 1,000, with a dictionary that was trained on
this store's own bodies (`dictionaries.py`). A `job_usage` keeps only what it adds to its attempt's record, and an
event's id is worked out from the attempt's key. Only this module knows any of that: SQL asks for `BODY`, `ID` and
`added`, functions of a connection that `Bodies.connection` opened, and gets the bytes that were put in.

Each frame has a checksum: with a dictionary a flipped bit would choose another word that fits.
"""

import math
import sqlite3
import weakref
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from slurmwatchd.model.event_ids import event_id, event_ids
from slurmwatchd.store import body_versions

if TYPE_CHECKING:
    import zstandard

BESIDE = "LEFT JOIN jobs ON jobs.id = events.job LEFT JOIN events AS record ON record.seq = events.base"
"""What `ID` and `BODY` need beside `events`."""

TABLES = f"events {BESIDE}"

ID = "event_id(events.id, events.seq, events.kind, events.revision, jobs.cluster, jobs.job_id_raw, jobs.submit)"
"""The id of an event."""

KEPT_ID = f"CASE WHEN jobs.id IS NULL THEN {ID} ELSE events.id END"
"""What is kept of the id, for `whole_ids`, which works out the rest of many at half the cost."""

BODY = "body(events.seq, events.body, events.base, record.body)"
"""The whole body of an event of any kind, in the present form."""

RECORD = "body(events.seq, events.body, NULL, NULL)"
"""The same of an event that is known to have a record, so that nothing need be joined."""

BASES_SINCE = 8
"""The migration that gave events a base."""

PLAIN = (b'{"', b',"', b"{}")
"""How what is no frame begins: a record, and what usage adds to one."""

MAX_BYTES = 1 << 30
"""More than SQLite takes: a frame that claims to hold as much is damaged, and not to be made room for."""


def added(events: str) -> str:
    """Return SQL for what a `job_usage` adds to its record, as a JSON object; all of it where it is whole.

    Args:
        events: What the table is called there.
    """
    return f"added({events}.seq, {events}.body, {events}.base)"


def whole_ids(
    kept: Sequence[str],
    kinds: Sequence[str],
    revisions: Sequence[int],
    clusters: Sequence[str],
    keys: Iterable[tuple[int, int]],
) -> list[str]:
    """Return the ids of events.

    Args:
        kept: The column `KEPT_ID`.
        kinds: Of each.
        revisions: Of each.
        clusters: Of each one's attempt.
        keys: job_id_raw and submit of that.
    """
    if not any(kept) and len(alike := set(zip(clusters, kinds, revisions, strict=True))) == 1:
        ((cluster, kind, revision),) = alike
        return event_ids(cluster, keys, kind, revision)
    found: list[str] = []
    rows = zip(kept, clusters, kinds, revisions, keys, strict=True)
    # Events that one reading brought have all but the attempt alike.
    for (cluster, kind, revision), some in groupby(rows, itemgetter(1, 2, 3)):
        few = list(some)
        worked_out = iter(event_ids(cluster, (row[4] for row in few if not row[0]), kind, revision))
        found += [row[0] or next(worked_out) for row in few]
    return found


class _Connection(sqlite3.Connection):
    """A connection that can be referred to without keeping it: its functions must not hold it open."""


class Bodies:
    """Reads the bodies of one connection.

    Attributes:
        damage: Why the last query failed, where a body was the cause; SQLite only says that a function did.
    """

    def __init__(self) -> None:
        """Begin without dictionaries; each is read when a body needs it."""
        self.damage = ""
        self._connection: weakref.ref[_Connection] | None = None
        self._readers: dict[int, zstandard.ZstdDecompressor] = {}
        self._first_seq: float | None = None

    def connection(self, *arguments: Any, **options: Any) -> sqlite3.Connection:  # noqa: ANN401 - SQLite's own
        """Open a connection that can read bodies; a factory for `sqlite3.connect`."""
        made = _Connection(*arguments, **options)
        self._connection = weakref.ref(made)
        for name, count, function in (("body", 4, self.body), ("added", 3, self.added), ("event_id", 7, self._id)):
            made.create_function(name, count, function)
        return made

    def take_damage(self) -> str:
        """Return why the last query failed, and forget it; empty where no body was the cause."""
        damage, self.damage = self.damage, ""
        return damage

    def body(self, seq: int | None, packed: bytes | None, base: int | None, record: bytes | None) -> bytes | None:
        """Return the whole body of an event; None where there is no event.

        Args:
            seq: Its position.
            packed: What stands in the store.
            base: The position of the event that it extends.
            record: What stands in the store of that one.
        """
        if seq is None or packed is None:
            return None
        if base is None:
            return self._current(seq, packed)
        if record is None:
            raise self._damaged(seq, f"event {base}, which it extends, is missing")
        return self._current(base, record)[:-1] + self._unpacked(seq, packed) + b"}"

    def added(self, seq: int | None, packed: bytes | None, base: int | None) -> bytes | None:
        """Return what an event adds to its record, as a JSON object; see `body`."""
        if seq is None or packed is None:
            return None
        text = self._unpacked(seq, packed)
        return text if base is None else b"{" + text[1:] + b"}"

    def _id(self, kept: str, seq: int, kind: str, revision: int, *key: Any) -> str:  # noqa: ANN401 - an attempt's
        """Return the id of an event: what is kept, or else what follows from its attempt."""
        if kept:
            return kept
        cluster, job_id_raw, submit = key
        if cluster is None:
            raise self._damaged(seq, "its attempt is missing")
        return event_id(cluster, job_id_raw, submit, kind, revision)

    def _current(self, seq: int, packed: bytes) -> bytes:
        text = self._unpacked(seq, packed)
        if self._first_seq is None:
            self._first_seq = self._form()
        return body_versions.current(text, seq, self._first_seq)

    def _unpacked(self, seq: int, packed: bytes) -> bytes:
        """Return what a frame holds; what is none is as it was written."""
        if packed[:2] in PLAIN:
            return packed
        import zstandard  # noqa: PLC0415 - a store of few jobs has no frames

        try:
            head = zstandard.get_frame_parameters(packed)
            reader = self._readers.get(head.dict_id) or self._reader(seq, head.dict_id)
            if not head.has_checksum or not 0 < head.content_size < MAX_BYTES:
                raise self._damaged(seq, "its body is damaged: its head is none of ours")
            return reader.decompress(packed)
        except (zstandard.ZstdError, MemoryError) as error:
            raise self._damaged(seq, f"its body is damaged: {error}") from error

    def _reader(self, seq: int, number: int) -> "zstandard.ZstdDecompressor":
        """Return what reads the frames of one dictionary."""
        import zstandard  # noqa: PLC0415 - as above

        rows = self._read("SELECT data FROM dictionaries WHERE id = ?", number)
        if not rows:
            raise self._damaged(seq, f"its body is damaged, or dictionary {number} is missing")
        dictionary = zstandard.ZstdCompressionDict(rows[0][0], dict_type=zstandard.DICT_TYPE_FULLDICT)
        self._readers[number] = reader = zstandard.ZstdDecompressor(dict_data=dictionary)
        return reader

    def _form(self) -> float:
        """Return the position from which on bodies have the present form; see `body_versions`."""
        try:
            rows = self._read(body_versions.FIRST_SEQ, body_versions.FORM)
        except sqlite3.OperationalError:
            # A store of a daemon that knows one form only.
            return math.inf
        return rows[0][0] if rows else 0

    def _read(self, sql: str, number: int) -> list[Any]:
        connection = self._connection() if self._connection is not None else None
        return connection.execute(sql, (number,)).fetchall() if connection is not None else []

    def _damaged(self, seq: int, reason: str) -> ValueError:
        self.damage = f"event {seq}: {reason}"
        return ValueError(self.damage)
