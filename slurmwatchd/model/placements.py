"""Where attempts ran, whose they were and which of them failed: in columns, a few bytes an attempt once packed.

A search over a day looks at each attempt, so nothing here is an object for each. Numbers of one kind stand side by
side, the attempts that failed first, each part in the order of partition and user: what the attempts of one user
have in common is said once for all of them.
"""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, compress, count, groupby, islice, repeat
from operator import itemgetter
from typing import NamedTuple

import orjson

QUICK, SLOW, WELL = range(3)
"""Failed within a minute of the start, failed later, did not fail."""

_WORD = 8
_LENGTH = 4


class Placement(NamedTuple):
    """One attempt.

    Attributes:
        result: `QUICK`, `SLOW` or `WELL`.
        nodelist: The row id of the list of its nodes.
        array: The number of its array, as text; empty for plain jobs.
    """

    result: int
    partition: str
    user: str
    nodelist: int
    array: str


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
        """Put attempts, the fields of a `Placement` each, into columns."""
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
            nodelists=array("q", map(itemgetter(3), ordered)),
            arrays=array("q", map(numbers.__getitem__, map(itemgetter(4), ordered))),
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

    def array_names(self) -> Sequence[int | str]:
        """Return the array of each attempt; what is no number, as text."""
        if not self.other_arrays:
            return self.arrays
        return [self.other_arrays[-1 - number] if number < 0 else number for number in self.arrays]

    def places(self) -> Iterator[int]:
        """Give for each attempt the place of its family."""
        numbers = range(len(self.families))
        return chain.from_iterable(chain.from_iterable(map(repeat, numbers, some) for some in self.counts))

    def some(self, selected: Iterable[object]) -> Iterator[tuple[int, int, tuple[str, str]]]:
        """Give place, result and family of attempts that are selected; few, or `places` is the cheaper way.

        Args:
            selected: For each attempt something that is true if it is.
        """
        places = list(compress(count(), selected))
        if not places:
            return
        ends = list(accumulate(chain.from_iterable(self.counts)))
        for place in places:
            result, family = divmod(bisect_right(ends, place), len(self.families))
            yield place, result, self.families[family]

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
            nodelists=array("q", compress(self.nodelists, kept)),
            arrays=array("q", compress(self.arrays, kept)),
            other_arrays=self.other_arrays,
            lost=self.lost,
        )

    def to_bytes(self) -> bytes:
        """Write them as bytes that pack well: the lowest bytes of all numbers, then the next ones."""
        head = orjson.dumps([self.families, self.counts, self.other_arrays, self.lost])
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
        families, counts, others, lost = orjson.loads(data[_LENGTH:begin])
        end = begin + _WORD * sum(map(sum, counts))
        return cls(
            families=list(map(tuple, families)),
            counts=counts,
            nodelists=_column(data[begin:end]),
            arrays=_column(data[end:]),
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


def _planes(numbers: "array[int]") -> bytes:
    words = numbers
    if sys.byteorder == "big":
        words = array("q", numbers)
        words.byteswap()
    data = words.tobytes()
    return b"".join([data[place::_WORD] for place in range(_WORD)])


def _column(planes: bytes) -> "array[int]":
    count, rest = divmod(len(planes), _WORD)
    if rest:
        raise ValueError("a column is cut off")
    data = bytearray(len(planes))
    for place in range(_WORD):
        data[place::_WORD] = planes[place * count : (place + 1) * count]
    numbers = array("q", bytes(data))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
