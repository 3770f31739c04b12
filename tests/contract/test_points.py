"""The contract's points, their tests, and the page that shows them say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from simslurm.versions import VERSIONS
from tests.contract.plugin import TablePlugin
from tests.contract.points import KEYS, POINTS
from tests.contract.table import HELD, Table, read
from tests.real_slurm.releases import RELEASES

TESTS = Path(__file__).parent
PAGE = TESTS.parents[1] / "docs" / "compatibility.md"
MARK = re.compile(r'@pytest\.mark\.contract\("([^"]+)"\)')


def test_each_point_has_a_test_and_each_mark_a_point() -> None:
    marked = {key for file in TESTS.glob("test_*_contract.py") for key in MARK.findall(file.read_text("utf-8"))}
    assert marked == set(KEYS)
    assert len(KEYS) == len(set(KEYS))


def test_the_page_has_a_row_for_each_point_and_a_column_for_each_release() -> None:
    places, rows = read(PAGE.read_text("utf-8"))
    simulated = [f"sim {version.rpartition('.')[0]}" for version in VERSIONS]
    assert places == [*RELEASES, *simulated]
    assert list(rows) == [says for points in POINTS.values() for says in points.values()]


def test_the_page_says_that_everything_holds() -> None:
    places, rows = read(PAGE.read_text("utf-8"))
    assert {says: cells for says, cells in rows.items() if cells != [HELD] * len(places)} == {}


def test_one_failure_breaks_a_point_whatever_passes_after_it(tmp_path: Path) -> None:
    table = Table()
    table.note("22.05", "version", held=True)
    table.note("sim 20.11", "version", held=True)
    table.note("sim 20.11", "version", held=False)
    table.note("sim 20.11", "version", held=True)
    assert [table.cell(place, "version") for place in table.places] == ["yes", "NO"]
    assert table.cell("22.05", "tiles") == "-"
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- contract: begin -->\nwhat was there\n<!-- contract: end -->\nafter\n", "utf-8")
    table.write(page)
    text = page.read_text("utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "what was there" not in text
    places, rows = read(text)
    assert places == ["22.05", "sim 20.11"]
    assert rows[POINTS["Fields"]["version"]] == ["yes", "NO"]


def test_the_table_hears_a_report_from_another_process() -> None:
    passed = pytest.TestReport(
        "tests/x.py::y", ("tests/x.py", 1, "y"), {}, "passed", None, "call",
        user_properties=[("contract", "sim 20.11|version"), ("other", "|")],
    )  # fmt: skip
    # The way of pytest-xdist: plain values, through a pipe.
    arrived = pytest.TestReport._from_json(json.loads(json.dumps(passed._to_json())))
    plugin = TablePlugin()
    plugin.pytest_runtest_logreport(arrived)
    assert plugin.table.places == ["sim 20.11"]
    assert plugin.table.cell("sim 20.11", "version") == "yes"
    arrived.outcome = "failed"
    plugin.pytest_runtest_logreport(arrived)
    assert plugin.table.cell("sim 20.11", "version") == "NO"


def test_a_mark_without_a_point_is_an_error() -> None:
    with pytest.raises(ValueError, match="no such point of the contract: nonsense"):
        Table().note("22.05", "nonsense", held=True)
