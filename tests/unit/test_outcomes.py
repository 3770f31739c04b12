"""Why an attempt ended: the rule of each word, in the values that sacct printed."""

import pytest

from slurmwatchd.model.outcomes import BY_STATE, STATES, Outcome, outcome_of
from slurmwatchd.sources.sacct.fields import Layout
from tests.row_by_row import Reading, read_alone
from tests.unit.sacct_rows import CANCELLED_PENDING_ARRAY, FAILED, FIELDS_22_05, Row, ordered

FIELDS = (*FIELDS_22_05, "FailedNode", "Restarts")


def outcome(row: Row, **values: bytes) -> str | None:
    """What the program makes of a row of sacct's with some values replaced."""
    layout = Layout(FIELDS)
    reading = read_alone(layout, ordered({**row, **values}, layout.fields))
    assert isinstance(reading, Reading)
    return reading.record.outcome


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"State": b"COMPLETED", "ExitCode": b"0:0"}, "completed"),
        # A step was killed for lack of memory, and the script coped.
        ({"State": b"COMPLETED", "ExitCode": b"0:0", "DerivedExitCode": b"0:125"}, "completed"),
        ({}, "failed"),
        ({"ExitCode": b"0:9"}, "failed"),
        ({"ExitCode": b"0:125"}, "out_of_memory"),
        ({"ExitCode": b"137:0", "DerivedExitCode": b"0:125"}, "out_of_memory"),
        ({"ExitCode": b"125:0", "DerivedExitCode": b"125:0"}, "failed"),
        ({"FailedNode": b"tux1", "Restarts": b"0"}, "node_failure"),
        ({"FailedNode": b"tux1", "Restarts": b"1"}, "failed"),
        ({"FailedNode": b"tux1"}, "failed"),
        ({"State": b"OUT_OF_MEMORY", "ExitCode": b"0:125"}, "out_of_memory"),
        ({"State": b"TIMEOUT", "ExitCode": b"0:0"}, "time_limit"),
        ({"State": b"NODE_FAIL"}, "node_failure"),
        ({"State": b"PREEMPTED"}, "preempted"),
        ({"State": b"REQUEUED", "ExitCode": b"3:0"}, "requeued"),
        ({"State": b"DEADLINE"}, "deadline"),
        ({"State": b"BOOT_FAIL"}, "boot_failure"),
        ({"State": b"RESIZING"}, "resized"),
        ({"State": b"REVOKED"}, "revoked"),
        ({"State": b"CANCELLED by 1000", "UID": b"1000"}, "cancelled_by_user"),
        ({"State": b"CANCELLED by 0", "UID": b"0"}, "cancelled_by_user"),
        ({"State": b"CANCELLED by 0", "UID": b"1000"}, "cancelled_by_admin"),
        ({"State": b"CANCELLED by 1001", "UID": b"1000"}, "cancelled_by_admin"),
        ({"State": b"CANCELLED", "UID": b"1000"}, "cancelled"),
        ({"State": b"CANCELLED by 1000", "UID": b""}, "cancelled"),
        ({"State": b"CANCELLED by 1000", "UID": b"1000", "Start": b"Unknown"}, "cancelled_before_start"),
        # Without a node it never started, whatever 22.05 has for a start.
        ({"State": b"CANCELLED by 0", "NodeList": b"None assigned"}, "cancelled_before_start"),
        ({"State": b"CONFUSED"}, "unknown"),
    ],
)
def test_what_sacct_prints_says_why(values: dict[str, bytes], expected: str) -> None:
    assert outcome(FAILED, **values) == expected


def test_an_array_cancelled_while_pending_never_started() -> None:
    assert outcome(CANCELLED_PENDING_ARRAY) == "cancelled_before_start"


def test_what_a_user_types_decides_nothing() -> None:
    typed = dict.fromkeys(("JobName", "Comment", "SubmitLine", "WorkDir"), b"NODE_FAIL out_of_memory by 0")
    assert outcome(FAILED, **typed) == "failed"


def test_the_words_on_the_wire_are_these() -> None:
    assert [str(word) for word in Outcome] == [
        "completed", "failed", "out_of_memory", "time_limit", "node_failure", "preempted", "requeued",
        "cancelled_by_user", "cancelled_by_admin", "cancelled_before_start", "cancelled", "deadline",
        "boot_failure", "resized", "revoked", "unknown",
    ]  # fmt: skip


def test_a_question_for_an_outcome_reads_each_state_that_can_have_it() -> None:
    assert set(STATES) == set(Outcome) - {"unknown"}
    assert STATES["out_of_memory"] == ("OUT_OF_MEMORY", "FAILED")
    assert STATES["node_failure"] == ("NODE_FAIL", "FAILED")
    assert all(state in STATES[outcome] for state, outcome in BY_STATE.items())
    assert outcome_of({}) == "unknown"
