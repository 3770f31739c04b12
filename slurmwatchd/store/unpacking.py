"""The bodies of many events at once, for sinks: `bodies.py` reads them one by one, in SQL, at twice the cost.

There SQLite calls into Python for each body, and zstd gives up Python's lock for each and waits for it behind
every other thread. Here a batch is unpacked in one go, without the lock. What is unusual, such as a body of an
older form or a damaged frame, is left to SQL: it upgrades the one and names the other.
"""

import struct
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, cast

from slurmwatchd.store import body_versions
from slurmwatchd.store.bodies import MAX_BYTES, PLAIN

if TYPE_CHECKING:
    import zstandard

    from slurmwatchd.store.database import Database

_DICTIONARY = "SELECT data FROM dictionaries WHERE id = ?"
_NONE = -1
_HEAD_BYTES = 6
_ALL_IN_HEAD, _LONG_NUMBER = 0b100111, 0b10
"""Of RFC 8878's frame header descriptor: single segment, checksum, and how long the dictionary's number is. In a
frame with the first two and a number of one byte the first six bytes say all but the size."""
_DESCRIBED = 5
_SIZES = {b"\x28\xb5\x2f\xfd\x25": ("B", 1, 0), b"\x28\xb5\x2f\xfd\x65": ("H", 2, 256)}
"""How such a frame begins, to how its size stands behind its head, and what a size of 0 means."""
_FEW_HEADS = 8
"""Bodies of one store begin in a few ways; where they do not, each is looked at by itself."""


class PackedBodies(NamedTuple):
    """Columns of events in the order of their positions.

    Attributes:
        packed: What stands in the store.
        bases: The position of the event that each extends; None where it is whole.
        records: What stands in the store of that one.
    """

    seqs: Sequence[int]
    packed: Sequence[bytes]
    bases: Sequence[int | None]
    records: Sequence[bytes | None]


class UnusualBodyError(Exception):
    """A body that has to be read by itself."""


class UnknownDictionaryError(Exception):
    """A frame needs a dictionary that was not read yet.

    Attributes:
        number: Which.
    """

    def __init__(self, number: int) -> None:
        """Take its number."""
        super().__init__(number)
        self.number = number


def unpacked_bytes(packed: Sequence[bytes]) -> int:
    """Return how long bodies are together when they are unpacked; what cannot be is as long as it stands there."""
    heads = {text[:_HEAD_BYTES] for text in packed}
    if len(heads) > _FEW_HEADS:
        return sum(map(_unpacked_bytes, packed))
    weight = 0
    for head in heads:
        alike = packed if len(heads) == 1 else [text for text in packed if text[:_HEAD_BYTES] == head]
        weight += _together(head, alike)
    return weight


def _together(head: bytes, packed: Sequence[bytes]) -> int:
    """Return the same of bodies that all begin alike."""
    if head[:2] in PLAIN:
        return sum(map(len, packed))
    code, width, least = _SIZES.get(head[:_DESCRIBED], ("", 0, 0))
    sizes = b"".join([text[_HEAD_BYTES : _HEAD_BYTES + width] for text in packed])
    if width and len(sizes) == width * len(packed):
        total: int = sum(struct.unpack(f"<{len(packed)}{code}", sizes))
        return total + least * len(packed)
    return sum(map(_unpacked_bytes, packed))


def _unpacked_bytes(packed: bytes) -> int:
    if packed[:2] in PLAIN:
        return len(packed)
    import zstandard  # noqa: PLC0415 - a store of few jobs has no frames

    try:
        return zstandard.get_frame_parameters(packed).content_size
    except zstandard.ZstdError:
        return len(packed)


class Unpacker:
    """Unpacks bodies of one store; any thread may ask it."""

    def __init__(self) -> None:
        """Begin without dictionaries."""
        self._readers: dict[int, zstandard.ZstdDecompressor] = {}
        self._known: dict[bytes, int] = {}
        self._first_seq: int | None = None
        self._lock = Lock()

    async def learn(self, database: "Database", number: int | None = None) -> None:
        """Read what unpacking needs to know of the store, and a dictionary.

        Raises:
            UnusualBodyError: There is no such dictionary, or it is damaged.
        """
        if self._first_seq is None:
            self._first_seq = await body_versions.first_seq(database)
        if number is None:
            return
        rows = await database.read(_DICTIONARY, (number,))
        if not rows:
            raise UnusualBodyError
        import zstandard  # noqa: PLC0415 - as above

        try:
            dictionary = zstandard.ZstdCompressionDict(rows[0][0], dict_type=zstandard.DICT_TYPE_FULLDICT)
            self._readers[number] = zstandard.ZstdDecompressor(dict_data=dictionary)
        except zstandard.ZstdError as error:
            raise UnusualBodyError from error

    def whole(self, columns: PackedBodies) -> list[bytes]:
        """Return the whole bodies of events, in the present form.

        Raises:
            UnknownDictionaryError: `learn` must read a dictionary first.
            UnusualBodyError: SQL has to read these.
        """
        seqs, packed, bases, records = columns
        # Most batches hold records alone: then this is a look at one column.
        extended = {place: base for place, base in enumerate(bases) if base is not None} if any(bases) else {}
        oldest = min([seqs[0], *extended.values()])
        if self._first_seq is None or oldest < self._first_seq:
            raise UnusualBodyError
        texts = self._unpacked([*packed, *(records[place] for place in extended)])
        for place, record in zip(extended, texts[len(packed) :], strict=True):
            texts[place] = record[:-1] + texts[place] + b"}"
        return texts[: len(packed)]

    def _unpacked(self, packed: Sequence[bytes | None]) -> list[bytes]:
        """Return what frames hold; what is none is as it was written."""
        if None in packed:
            raise UnusualBodyError
        texts = cast("list[bytes]", list(packed))
        known = self._known
        heads = [text[:_HEAD_BYTES] for text in texts]
        if len(alike := set(heads)) == 1 and (reader := self._readers.get(known.get(alike.pop(), _NONE))):
            with self._lock:
                return _decompressed(reader, texts)
        numbers = [known.get(head) or self._dictionary_of(text) for head, text in zip(heads, texts, strict=True)]
        for number in set(numbers) - {_NONE}:
            reader = self._readers.get(number)
            if reader is None:
                raise UnknownDictionaryError(number)
            places = [place for place, each in enumerate(numbers) if each == number]
            with self._lock:
                found = _decompressed(reader, [texts[place] for place in places])
            for place, text in zip(places, found, strict=True):
                texts[place] = text
        return texts

    def _dictionary_of(self, text: bytes) -> int:
        """Return the number of the dictionary that a body needs."""
        if text[:2] in PLAIN:
            return _NONE
        import zstandard  # noqa: PLC0415 - as above

        try:
            head = zstandard.get_frame_parameters(text)
        except zstandard.ZstdError as error:
            raise UnusualBodyError from error
        if not head.has_checksum or not 0 < head.content_size < MAX_BYTES:
            raise UnusualBodyError
        if text[4] & _ALL_IN_HEAD == _ALL_IN_HEAD & ~_LONG_NUMBER:
            self._known[text[:_HEAD_BYTES]] = head.dict_id
        return head.dict_id


def _decompressed(reader: "zstandard.ZstdDecompressor", frames: Sequence[bytes]) -> list[bytes]:
    import zstandard  # noqa: PLC0415 - as above

    try:
        if not hasattr(reader, "multi_decompress_to_buffer"):
            return [reader.decompress(frame) for frame in frames]
        found = reader.multi_decompress_to_buffer(list(frames))
        return [found[place].tobytes() for place in range(len(frames))]
    except (zstandard.ZstdError, ValueError, MemoryError) as error:
        # A ValueError: a frame of a known head is cut off before it says how much it holds.
        raise UnusualBodyError from error
