"""The results of the benchmarks, in `results.json` beside this file: measured one by one, at different times.

A new result takes the place of the one of the same row and number of attempts, so a page can be rendered from rows
that were measured on different days. Each has the machine's load, since most machines do something else as well.
"""

from __future__ import annotations

import fcntl
import json
import os
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.rows import ROWS, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FILE = Path(__file__).with_name("results.json")
_DIGITS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was measured for one row.

    Attributes:
        row: The key in `ROWS`.
        count: How many attempts, node lists or ended jobs.
        before: The values of what is compared with, one a run.
        after: The values of this tree.
        against: What is compared with: a commit, or another program.
        commit: This tree's.
        where: `simslurm`, or the release of a real Slurm; empty where it does not matter.
        day: When, as `2026-11-29`.
        load: The machine's load average over a minute, when the first and when the last value was taken.
        cores: How many it has.
    """

    row: str
    count: int
    before: tuple[float, ...]
    after: tuple[float, ...]
    against: str
    commit: str
    where: str
    day: str
    load: tuple[float, float]
    cores: int

    @property
    def definition(self) -> Row:
        """What the row is about."""
        return ROWS[self.row]

    @property
    def ratio(self) -> float | None:
        """This tree's to the other's: the median over pairs of runs; None where nothing is compared."""
        if not self.before or self.definition.percentile != 50:
            return None
        if len(self.before) != len(self.after):
            return statistics.median(self.after) / statistics.median(self.before)
        return statistics.median(after / before for before, after in zip(self.before, self.after, strict=True))

    @property
    def is_missed(self) -> bool:
        """Whether a target was set and is not reached."""
        row = self.definition
        found = shown(row, self.after) if row.is_limit else self.ratio
        if row.target is None or found is None:
            return False
        return found < row.target if row.at_least else found > row.target


class Stopwatch:
    """Notes the machine's load from its making on, and makes results with it."""

    def __init__(self, commit: str, where: str = "") -> None:
        """Begin.

        Args:
            commit: This tree's.
            where: The Slurm that is used.
        """
        self._commit = commit
        self._where = where
        self._load = os.getloadavg()[0]

    def result(
        self, row: str, count: int, before: Iterable[float], after: Iterable[float], *, against: str
    ) -> Result:
        """Return what was measured until now."""
        return Result(
            row=row,
            count=count,
            before=tuple(_rounded(value) for value in before),
            after=tuple(_rounded(value) for value in after),
            against=against,
            commit=self._commit,
            where=self._where,
            day=time.strftime("%Y-%m-%d", time.gmtime()),
            load=(round(self._load, 1), round(os.getloadavg()[0], 1)),
            cores=os.cpu_count() or 1,
        )


def shown(row: Row, values: Sequence[float]) -> float:
    """Return what is shown of some values: their median, or another percentile (nearest rank)."""
    if row.percentile == 50:
        return statistics.median(values)
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * row.percentile // 100) - 1)]


def read(path: Path = FILE) -> list[Result]:
    """Return all results, in the order of the rows and of their numbers."""
    if not path.exists():
        return []
    lists = ("before", "after", "load")
    found = [
        Result(**(one | {name: tuple(one[name]) for name in lists}))
        for one in json.loads(path.read_text(encoding="utf-8"))
    ]
    return sorted(found, key=_place)


def add(results: Iterable[Result], path: Path = FILE) -> None:
    """Put results among those that are there, instead of older ones of the same row and number."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # Another benchmark may be at work beside this one.
        fcntl.flock(folder, fcntl.LOCK_EX)
        merged = {(one.row, one.count): one for one in [*read(path), *results]}
        lines = ",\n".join(json.dumps(asdict(one)) for one in sorted(merged.values(), key=_place))
        path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    finally:
        os.close(folder)


def _place(result: Result) -> tuple[int, int]:
    return list(ROWS).index(result.row), result.count


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def baseline(found: Sequence[Result]) -> str:
    """Return what results are compared with; several are joined."""
    return ", ".join(dict.fromkeys(result.against for result in found if result.against))
