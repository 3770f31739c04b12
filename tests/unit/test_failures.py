"""Which outcomes are failures: one table, and every other place that has these words agrees with it."""

import re
from pathlib import Path

import pytest

from slurmwatchd.model import outcomes
from slurmwatchd.model.reports import Rates, Tally
from slurmwatchd.model.sums import AMOUNTS
from slurmwatchd.sinks.forms import ecs

ROOT = Path(__file__).parents[2]
FAILED = ("failed", "out_of_memory", "time_limit", "deadline", "node_failure", "boot_failure")
NOT = {
    "completed", "preempted", "requeued", "cancelled_by_user", "cancelled_by_admin", "cancelled_before_start",
    "cancelled", "resized", "revoked", "unknown",
}  # fmt: skip
OF_NODES = {"node_failure", "boot_failure"}
"""What the dashboard of nodes counts: no program does that."""


def test_failures_are_these_and_what_a_person_or_slurm_chose_is_none() -> None:
    assert outcomes.FAILURES == FAILED
    assert {outcome.value for outcome in outcomes.Outcome} == {*FAILED, *NOT}
    assert outcomes.failed({"completed": 7, "deadline": 2, "boot_failure": 1, "cancelled": 3, "failed": 4}) == 7


@pytest.mark.parametrize("outcome", sorted({*FAILED, *NOT}))
def test_a_report_counts_the_hours_of_failures_as_lost(outcome: str) -> None:
    tally = Tally()
    tally.add(outcome, [{"attempts": 1, "cpu_seconds": 3600}.get(name, 0) for name in AMOUNTS])
    assert tally.line("x", Rates()).lost_cpu_hours == (1.0 if outcome in FAILED else 0.0)


def test_rules_and_dashboards_count_the_same() -> None:
    files = [*(ROOT / "packaging" / "grafana").glob("*.json"), *(ROOT / "packaging" / "prometheus").glob("*.yml")]
    found = [
        (file.name, set(words.split("|")))
        for file in files
        for words in re.findall(r'outcome=~\\?"([a-z_|]+)\\?"', file.read_text(encoding="utf-8"))
    ]
    assert {name for name, _ in found} == {
        "slurmwatchd-accounts.json", "slurmwatchd-nodes.json", "slurmwatchd-site.json", "slurmwatchd.rules.yml",
    }  # fmt: skip
    assert [(name, words) for name, words in found if words not in (set(FAILED), OF_NODES)] == []


def test_an_outcome_of_ecs_is_a_failure_where_the_outcome_is_one() -> None:
    for state, outcome in outcomes.BY_STATE.items():
        assert (ecs.outcome(state) == "failure") == (outcome in FAILED), state


def test_the_page_on_reports_names_them() -> None:
    text = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"\*\*Failed\*\* are the outcomes ([^;:.]+)", text)
    assert tuple(re.findall(r"`(\w+)`", sentence)) == FAILED
