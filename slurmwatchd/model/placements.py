"""Where attempts ran, whose they were and which of them failed: in columns, a few bytes an attempt once packed.

A search over a day looks at each attempt, so nothing here is an object for each. The node lists stand side by
side, those of attempts that failed first, each part in the order of partition, user and array: what attempts of an
array, or the plain jobs of a user, have in common is said once for all of them.
"""

import sys
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, groupby, islice
from operator import itemgetter

import orjson

QUICK, SLOW, WELL = range(3)
"""Failed within a minute of the start, failed later, did not fail."""

Family = tuple[str, str, str]
"""Partition, user and the number of the array as text, empty for plain jobs."""

_LENGTH = 4
_SHORT, _LONG = "i", "q"
"""Types of `array`: four bytes a number, or eight."""
_MOST_SHORT = (1 << 31) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Placements:
    """Some attempts.

    Attributes:
        users: Partition, user and the user's arrays there, which make up the families; ascending, no two alike.
        counts: For each result how many attempts each family has.
        nodelists: Of each attempt the row id of the list of its nodes: by result, then by family.
        lost: The row ids of attempts that Slurm ended because a node failed: those are not among the others.
    """

    users: Sequence[tuple[str, str, Sequence[str]]]
    counts: Sequence[Sequence[int]]
    nodelists: "array[int]"
    lost: Sequence[int] = ()

    @classmethod
    def of(cls, attempts: Iterable[tuple[int, str, str, str, int]], lost: Iterable[int] = ()) -> "Placements":
        """Put attempts into columns.

        Args:
            attempts: Of each its result (`QUICK`, `SLOW` or `WELL`), its family, and the row id of the list of its
                nodes.
            lost: As the attribute.
        """
        ordered = sorted(attempts)
        families = sorted(set(map(itemgetter(1, 2, 3), ordered)))
        counts = [[0] * len(families) for _ in (QUICK, SLOW, WELL)]
        places = {family: place for place, family in enumerate(families)}
        for (result, *family), some in groupby(ordered, itemgetter(0, 1, 2, 3)):
            counts[result][places[family[0], family[1], family[2]]] = sum(1 for _ in some)
        users = [
            (partition, user, [family[2] for family in some])
            for (partition, user), some in groupby(families, itemgetter(0, 1))
        ]
        return cls(users=users, counts=counts, nodelists=_array(map(itemgetter(4), ordered)), lost=list(lost))

    def __len__(self) -> int:
        """Return how many attempts there are, those lost apart."""
        return len(self.nodelists)

    @property
    def failed(self) -> int:
        """How many of them failed: the first of `nodelists`."""
        return sum(self.counts[QUICK]) + sum(self.counts[SLOW])

    def families(self) -> Iterator[Family]:
        """Give the families, ascending."""
        return ((partition, user, name) for partition, user, arrays in self.users for name in arrays)

    def without(self, nodelists: Collection[int]) -> "Placements":
        """Return those that ran on no node list of these."""
        kept = [nodelist not in nodelists for nodelist in self.nodelists]
        left = iter(kept)
        counts = [[sum(islice(left, length)) for length in some] for some in self.counts]
        return Placements(
            users=self.users,
            counts=counts,
            nodelists=_array(compress(self.nodelists, kept)),
            lost=self.lost,
        )

    def to_bytes(self) -> bytes:
        """Write them as bytes that pack well: the lowest bytes of all numbers, then the next ones."""
        head = orjson.dumps([self.nodelists.typecode, self.users, self.counts, self.lost])
        return b"".join((len(head).to_bytes(_LENGTH, "little"), head, _planes(self.nodelists)))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Placements":
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: It is something else.
        """
        begin = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
        typecode, users, counts, lost = orjson.loads(data[_LENGTH:begin])
        return cls(
            users=[(partition, user, arrays) for partition, user, arrays in users],
            counts=counts,
            nodelists=_column(typecode, data[begin:]),
            lost=lost,
        )


def _array(values: Iterable[int]) -> "array[int]":
    """Return numbers as an array of the shortest type that holds them."""
    numbers = array(_LONG, values)
    is_short = not numbers or (max(numbers) <= _MOST_SHORT and min(numbers) >= -_MOST_SHORT)
    return array(_SHORT, numbers) if is_short else numbers


def _planes(numbers: "array[int]") -> bytes:
    data, size = _little(numbers).tobytes(), numbers.itemsize
    return b"".join([data[place::size] for place in range(size)])


def _column(typecode: str, planes: bytes) -> "array[int]":
    numbers = array(typecode)
    size = numbers.itemsize
    length, rest = divmod(len(planes), size)
    if rest:
        raise ValueError("a column is cut off")
    data = bytearray(len(planes))
    for place in range(size):
        data[place::size] = planes[place * length : (place + 1) * length]
    numbers.frombytes(data)
    return _little(numbers)


def _little(numbers: "array[int]") -> "array[int]":
    """Swap the bytes where this machine begins with the highest."""
    if sys.byteorder == "little":
        return numbers
    swapped = array(numbers.typecode, numbers)
    swapped.byteswap()
    return swapped
