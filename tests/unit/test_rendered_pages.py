"""Every rendered page is what the program renders."""

import re

import pytest

from tools.pages import PAGES, ROOT, marks, rendered


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_the_rendering(name: str) -> None:
    present, wanted = rendered(name)
    assert wanted == present, "run `make docs`"


def test_every_page_with_a_mark_is_among_them() -> None:
    marked = {
        f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md") if ": generated -->" in page.read_text()
    }
    assert marked == {"docs/api.md", "docs/benchmarks.md", "docs/events.md", "docs/metrics.md"}
    assert marked <= set(PAGES)


def test_a_metrics_row_has_its_type_and_its_labels() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(slurmwatchd_\w+)` \| (\w+ \| .*?) \| .* \|$", text, re.MULTILINE))
    assert rows["slurmwatchd_jobs_ended_total"] == "counter | `slurm_cluster`, `partition`, `state`"
    assert rows["slurmwatchd_poll_failures_total"] == "counter | `slurm_cluster`, `reason`"
    assert rows["slurmwatchd_build_info"] == "gauge | `version`"
    assert rows["slurmwatchd_store_size_bytes"] == "gauge | "
    assert rows["slurmwatchd_event_loop_lag_seconds"] == "histogram | "


PAGE = """# Fields

<!-- head: generated -->
old
<!-- end -->

By hand.
"""


def test_only_what_is_between_two_marks_is_replaced() -> None:
    assert marks.replaced(PAGE, {"head": "| new |\n"}) == PAGE.replace("old", "\n| new |\n")


@pytest.mark.parametrize("tables", [{}, {"tail": ""}, {"head": "", "tail": ""}])
def test_a_mark_without_a_table_or_a_table_without_a_mark_is_refused(tables: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"the page has marks for \['head'\], and the tables are "):
        marks.replaced(PAGE, tables)
