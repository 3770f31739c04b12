"""How jobs are asked for by name, and when their list is due."""

import pytest

from slurmwatchd.model.ledger import Ledger, Stretch
from slurmwatchd.model.policy import ReadPolicy
from slurmwatchd.model.usage import UsageRequest
from slurmwatchd.model.windows import Window, due
from slurmwatchd.sources.sacct.arguments import job_argument, named_arguments, window_arguments
from slurmwatchd.sources.sacct.steps import list_arguments

NOW = 1_795_500_000


@pytest.mark.parametrize(
    ("job_id", "raw", "name"),
    [("12", 12, "12"), ("12_3", 15, "12_3"), ("12+1", 13, "12+1"), ("12_[0-9%2]", 12, "12")],
)
def test_an_attempt_is_named_as_precisely_as_sacct_takes_it(job_id: str, raw: int, name: str) -> None:
    assert job_argument(job_id, raw) == name


def test_jobs_asked_for_by_name_are_none_that_ended_before_the_earliest_was_submitted() -> None:
    arguments = named_arguments(["12", "9+1"], ["JobID"], since=NOW - 500, now=NOW, delimiter="!")
    assert arguments[arguments.index("-j") + 1] == "12,9+1"
    assert arguments[arguments.index("-S") + 1] == f"uts{NOW - 500}"
    assert "-D" in arguments
    assert "-X" in arguments


def test_sacct_is_asked_for_no_time_that_it_refuses() -> None:
    window = window_arguments(Window(0, 3600), ["JobID"], delimiter="!")
    named = named_arguments(["12"], ["JobID"], since=5, now=NOW, delimiter="!")
    asked = UsageRequest(job=1, job_id_raw=12, submit=5, selector="12", started=True)
    listed = list_arguments([asked], ["JobID"], delimiter="!", now=NOW)
    for arguments in (window, named, listed):
        assert arguments[arguments.index("-S") + 1] == "uts1000000"
    assert window[window.index("-E") + 1] == "uts1000000"


@pytest.mark.parametrize(("listed_at", "listed_again"), [(NOW - 10, False), (NOW - 3600, True), (NOW + 50, True)])
def test_open_jobs_are_listed_again_when_it_is_time_or_the_clock_went_back(
    listed_at: int, listed_again: bool
) -> None:
    policy = ReadPolicy(interval=30, overlap=60, slice_seconds=3600, open_set=3600)
    ledger = Ledger(NOW - 600, (Stretch(NOW - 600, NOW, NOW),), listed_at=listed_at)
    window = due(ledger, NOW, policy)
    assert (window is not None and window.start == NOW) == listed_again
