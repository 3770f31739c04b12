"""The results of benchmarks: merged, compared, judged; and each that is missed is explained on its page."""

from pathlib import Path

import pytest

from tests.bench import results
from tests.bench.results import Result
from tests.bench.rows import ROWS
from tools.pages import ROOT


def result(row: str, before: list[float], after: list[float], *, count: int = 1000) -> Result:
    return Result(
        row=row, count=count, before=tuple(before), after=tuple(after), against="10edf5e", commit="abc", where="",
        day="2026-11-29", load=(1.0, 2.0), cores=2,
    )  # fmt: skip


def test_a_result_takes_the_place_of_the_older_one_of_its_row_and_number_alone(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    first, other = result("store-off", [1000], [300]), result("store-off", [1000], [310], count=20)
    results.add([first, result("start", [600], [200])], file)
    results.add([other], file)
    again = result("store-off", [1000], [250])
    results.add([again], file)
    assert results.read(file) == [other, again, result("start", [600], [200])]


@pytest.mark.parametrize(
    ("row", "before", "after", "ratio", "missed"),
    [
        # Of pairs: 0.1, 0.5 and 0.9, where the medians' is 0.9.
        ("start", [1000, 1000, 100], [100, 500, 90], 0.5, False),
        ("start", [100], [51], 0.51, True),
        ("jsonl-rate", [100], [199], 1.99, True),
        ("jsonl-rate", [100], [200], 2.0, False),
        ("wall", [1.2], [1.07], 1.07 / 1.2, False),
        ("wall", [1.2], [1.09], 1.09 / 1.2, True),
        ("late", [6.5] * 100, [5.9] * 99 + [9], None, False),
        ("late", [6.5] * 100, [5.9] * 98 + [7, 9], None, True),
        ("cpu-work", [1], [5], 5.0, False),
    ],
)
def test_a_row_is_judged_by_its_ratio_or_by_its_limit(
    row: str, before: list[float], after: list[float], ratio: float | None, *, missed: bool
) -> None:
    made = result(row, before, after)
    assert made.ratio == (None if ratio is None else pytest.approx(ratio))
    assert made.is_missed is missed


def test_each_row_that_is_missed_is_named_where_the_page_says_why() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    why = " ".join(page.partition("## Rows that are missed, and why")[2].partition("\n## ")[0].split())
    missed = {ROWS[one.row].what for one in results.read() if one.is_missed}
    assert [what for what in sorted(missed) if f"**{what}**" not in why] == []
