"""What packs bodies for the store: zstd with a dictionary that was trained on the store's own.

There are two kinds, since records and what usage adds to them have nothing in common. The first dictionary of a
kind is made once there are `SAMPLES` bodies to train it on; until then bodies stay as they are, and `packing.py`
packs them later. As the fields of a site change, so does what its bodies repeat: now and then a new one is trained
on the newest bodies, and takes over where it packs them by a tenth better. An old one stays for as long as any
event was packed with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import aiosqlite

if TYPE_CHECKING:
    import zstandard

    from slurmwatchd.store.database import Database

SAMPLES, MOST_SAMPLES = 1000, 2000
"""At least and at most so many bodies train a dictionary, in 50 ms. More of them and a larger dictionary make
records smaller: 180 bytes with 1,000 and 16 KB, 166 with 2,000 and 64 KB."""

BYTES_A_SAMPLE = 32
USAGE_BYTES = 4096
"""What usage adds is numbers: more bytes than these do not make it smaller."""

_SEGMENT_BYTES, _MATCH_BYTES = 1000, 8
"""zstd would try out several lengths for three times the time, and take about these."""

_SAMPLE_BYTES = 4096
_BETTER = 0.9
_LEVEL = 3
"""Level 5 takes half as long again for one byte in twelve."""

_INSERT = "INSERT INTO dictionaries (id, kind, since, data) VALUES (?, ?, ?, ?)"


class DictionaryKind(StrEnum):
    """What a dictionary is for."""

    RECORD = "record"
    USAGE = "usage"


@dataclass(frozen=True, slots=True)
class Dictionary:
    """One of them.

    Attributes:
        number: Its id, which each frame names; never used twice.
        since: The first position that it was there for; older events were packed with it or with one before it.
    """

    number: int
    kind: DictionaryKind
    data: bytes
    since: int = 0


class Packer:
    """Packs bodies with the newest dictionaries of a store; for one thread at a time.

    Attributes:
        newest: The dictionary of each kind that is used now.
        tried: Up to which position better ones were looked for.
    """

    def __init__(self) -> None:
        """Begin without dictionaries."""
        self.newest: dict[DictionaryKind, Dictionary] = {}
        self.tried: dict[DictionaryKind, int] = {}
        self._kept: list[Dictionary] = []
        self._met: dict[DictionaryKind, list[bytes]] = {}
        self._writers: dict[DictionaryKind, zstandard.ZstdCompressor] = {}
        self._last = 0

    async def load(self, database: "Database") -> None:
        """Read the newest dictionary of each kind."""
        rows = await database.read(
            "SELECT id, kind, since, data FROM dictionaries "
            "WHERE id IN (SELECT max(id) FROM dictionaries GROUP BY kind)"
        )
        for row in rows:
            self._adopt(Dictionary(row["id"], DictionaryKind(row["kind"]), row["data"], row["since"]))

    def settle(self, *, committed: bool) -> None:
        """Use the dictionaries that a transaction wrote from now on, or forget them with it."""
        kept, self._kept = self._kept, []
        for dictionary in kept if committed else ():
            self._adopt(dictionary)

    def keep(self, dictionary: Dictionary) -> None:
        """Note a dictionary that the transaction at work has written."""
        self._kept.append(dictionary)

    def _adopt(self, dictionary: Dictionary) -> None:
        self.newest[dictionary.kind] = dictionary
        self._writers.pop(dictionary.kind, None)
        self._met.pop(dictionary.kind, None)
        self._last = max(self._last, dictionary.number)

    def learnt(self, kind: DictionaryKind, bodies: Sequence[bytes]) -> Dictionary | None:
        """Return the first dictionary of a kind, once so many bodies have come by; None before, and behind it.

        Args:
            kind: What the bodies are.
            bodies: Those that are written now. Of what came before, some are remembered, but no long ones.
        """
        if kind in self.newest:
            return None
        met = self._met.setdefault(kind, [])
        met += (body for body in bodies[:MOST_SAMPLES] if len(body) <= _SAMPLE_BYTES)
        if len(met) < SAMPLES:
            return None
        self._met[kind] = []
        return self.trained(kind, met)

    def trained(self, kind: DictionaryKind, samples: Sequence[bytes]) -> Dictionary | None:
        """Make a dictionary of bodies, without using it; None where they are too few, or have too little alike.

        Args:
            kind: What it is for.
            samples: Some bodies of that kind, of which some are taken from beginning to end.
        """
        if len(samples) < SAMPLES:
            return None
        import zstandard  # noqa: PLC0415 - a store of few jobs needs none

        number, some = self._last + 1, samples[:: -(-len(samples) // MOST_SAMPLES)]
        size = USAGE_BYTES if kind is DictionaryKind.USAGE else len(some) * BYTES_A_SAMPLE
        try:
            made = zstandard.train_dictionary(size, list(some), k=_SEGMENT_BYTES, d=_MATCH_BYTES, dict_id=number)
        except zstandard.ZstdError:
            return None
        return Dictionary(number, kind, made.as_bytes())

    def packed(
        self, kind: DictionaryKind, bodies: Sequence[bytes], dictionary: Dictionary | None = None
    ) -> Sequence[bytes]:
        """Return bodies as the store keeps them: as they are where there is no dictionary yet.

        Args:
            kind: What they are.
            bodies: JSON.
            dictionary: To be used in place of the newest.
        """
        if dictionary is not None:
            writer = _writer(dictionary)
        elif kind in self.newest:
            writer = self._writers.get(kind) or self._writers.setdefault(kind, _writer(self.newest[kind]))
        else:
            return bodies
        if hasattr(writer, "multi_compress_to_buffer") and len(bodies) > 1:
            # One by one, Python's lock is given up for each, and waited for behind every other thread.
            frames = writer.multi_compress_to_buffer(list(bodies))
            return [frames[place].tobytes() for place in range(len(frames))]
        return [writer.compress(body) for body in bodies]

    def renewed(self, kind: DictionaryKind, newest: Sequence[bytes]) -> Dictionary | None:
        """Return a better dictionary for the newest bodies; None where there is none by enough.

        Args:
            kind: What they are.
            newest: Twice as many as train one: every other is for the proof.
        """
        made = self.trained(kind, newest[::2])
        if made is None or kind not in self.newest:
            return made
        now, then = (sum(map(len, self.packed(kind, newest[1::2], each))) for each in (self.newest[kind], made))
        return made if then < _BETTER * now else None


async def keep(connection: aiosqlite.Connection, packer: Packer, dictionary: Dictionary, *, since: int) -> None:
    """Write a dictionary, in the transaction of the first rows that are packed with it, or before.

    Args:
        connection: In a transaction; with its end the packer uses the dictionary.
        packer: Of the store.
        dictionary: The new one.
        since: The position of the next event.
    """
    await connection.execute(_INSERT, (dictionary.number, dictionary.kind.value, since, dictionary.data))
    packer.keep(replace(dictionary, since=since))


def _writer(dictionary: Dictionary) -> "zstandard.ZstdCompressor":
    import zstandard  # noqa: PLC0415 - as above

    data = zstandard.ZstdCompressionDict(dictionary.data, dict_type=zstandard.DICT_TYPE_FULLDICT)
    return zstandard.ZstdCompressor(level=_LEVEL, dict_data=data, write_checksum=True, write_content_size=True)
