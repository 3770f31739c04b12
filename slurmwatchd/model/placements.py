"""Where attempts ran, whose they were and which of them failed: in columns, a few bytes an attempt once packed.

A search over a day looks at each attempt, so nothing here is an object for each. Numbers of one kind stand side by
side, the attempts that failed first, each part in the order of partition and user: what the attempts of one user
have in common is said once for all of them.
"""

import sys
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress, groupby, islice, repeat
from operator import itemgetter

import orjson

QUICK, SLOW, WELL = range(3)
"""Failed within a minute of the start, failed later, did not fail."""

_LENGTH = 4
_SHORT, _LONG = "i", "q"
"""Types of `array`: four bytes a number, or eight."""
_MOST_SHORT = (1 << 31) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Placements:
    """Some attempts.

    Attributes:
        families: Partition and user, ascending, no two alike.
        counts: For each result how many attempts each family has.
        nodelists: Of each attempt: by result, then by family.
        arrays: Of each attempt, in the same order: the number of its array, 0 for plain jobs. What is no number in
            Slurm's spelling is negative: `other_arrays` has it at -1 minus its place.
        lost: The row ids of attempts that Slurm ended because a node failed: those are not among the others.
    """

    families: Sequence[tuple[str, str]]
    counts: Sequence[Sequence[int]]
    nodelists: "array[int]"
    arrays: "array[int]"
    other_arrays: Sequence[str] = ()
    lost: Sequence[int] = ()

    @classmethod
    def of(cls, attempts: Iterable[tuple[int, str, str, int, str]], lost: Iterable[int] = ()) -> "Placements":
        """Put attempts into columns.

        Args:
            attempts: Of each its result (`QUICK`, `SLOW` or `WELL`), its partition, its user, the row id of the
                list of its nodes, and the number of its array as text, empty for plain jobs.
            lost: As the attribute.
        """
        numbers = _Numbers()
        ordered = sorted(attempts)
        families = sorted(set(map(itemgetter(1, 2), ordered)))
        counts: list[list[int]] = [[0] * len(families) for _ in (QUICK, SLOW, WELL)]
        places = {family: place for place, family in enumerate(families)}
        for (result, *family), some in groupby(ordered, itemgetter(0, 1, 2)):
            counts[result][places[family[0], family[1]]] = sum(1 for _ in some)
        return cls(
            families=families,
            counts=counts,
            nodelists=_array(map(itemgetter(3), ordered)),
            arrays=_array(map(numbers.__getitem__, map(itemgetter(4), ordered))),
            other_arrays=numbers.others,
            lost=list(lost),
        )

    def __len__(self) -> int:
        """Return how many attempts there are, those lost apart."""
        return len(self.nodelists)

    @property
    def failed(self) -> int:
        """How many of them failed: the first in each column."""
        return sum(self.counts[QUICK]) + sum(self.counts[SLOW])

    def places(self) -> Iterator[int]:
        """Give for each attempt the place of its family."""
        numbers = range(len(self.families))
        return chain.from_iterable(chain.from_iterable(map(repeat, numbers, some) for some in self.counts))

    def by_partition(self) -> "Iterator[tuple[str, array[int]]]":
        """Give the node lists partition by partition; a partition may come several times."""
        begin = 0
        for counts in self.counts:
            for partition, some in groupby(zip(self.families, counts, strict=True), lambda pair: pair[0][0]):
                end = begin + sum(map(itemgetter(1), some))
                yield partition, self.nodelists[begin:end]
                begin = end

    def without(self, nodelists: Collection[int]) -> "Placements":
        """Return those that ran on no node list of these."""
        kept = [nodelist not in nodelists for nodelist in self.nodelists]
        left = iter(kept)
        counts = [[sum(islice(left, length)) for length in some] for some in self.counts]
        return Placements(
            families=self.families,
            counts=counts,
            nodelists=_array(compress(self.nodelists, kept)),
            arrays=_array(compress(self.arrays, kept)),
            other_arrays=self.other_arrays,
            lost=self.lost,
        )

    def to_bytes(self) -> bytes:
        """Write them as bytes that pack well: the lowest bytes of all numbers, then the next ones."""
        types = self.nodelists.typecode, self.arrays.typecode
        head = orjson.dumps([types, self.families, self.counts, self.other_arrays, self.lost])
        return b"".join((
            len(head).to_bytes(_LENGTH, "little"), head, _planes(self.nodelists), _planes(self.arrays)
        ))  # fmt: skip

    @classmethod
    def from_bytes(cls, data: bytes) -> "Placements":
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: It is something else.
        """
        begin = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
        types, families, counts, others, lost = orjson.loads(data[_LENGTH:begin])
        end = begin + array(types[0]).itemsize * sum(map(sum, counts))
        return cls(
            families=list(map(tuple, families)),
            counts=counts,
            nodelists=_column(types[0], data[begin:end]),
            arrays=_column(types[1], data[end:]),
            other_arrays=others,
            lost=lost,
        )


class _Numbers(dict[str, int]):
    """Arrays to their numbers."""

    def __init__(self) -> None:
        super().__init__({"": 0})
        self.others: list[str] = []

    def __missing__(self, name: str) -> int:
        if name.isascii() and name.isdigit() and name[0] != "0" and len(name) <= len(str(1 << 62)) - 1:
            number = int(name)
        else:
            self.others.append(name)
            number = -len(self.others)
        self[name] = number
        return number


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
