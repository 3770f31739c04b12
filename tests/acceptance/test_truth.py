"""The judge is judged: the comparison of file and truth finds each kind of difference. Needs no Slurm."""

from __future__ import annotations

from tests.real_slurm.truth import Attempt, Difference, compare

KEY = (12, 1795436431)
TRUTH = {KEY: Attempt(key=KEY, values={"state": "FAILED", "end": 1795436463, "name": "a|b\n", "start": None})}
RECORD = {
    "id": "one",
    "event": "job_ended",
    "revision": 1,
    "job_id_raw": 12,
    "submit": "2026-11-23T12:20:31Z",
    "start": None,
    "end": "2026-11-23T12:21:03Z",
    "state": "FAILED",
    "name": "a|b\n",
}


def test_equal_is_no_difference() -> None:
    assert not compare(TRUTH, [RECORD], [])


def test_absent_record_is_missing() -> None:
    assert compare(TRUTH, [], []) == Difference(missing=[KEY])


def test_usage_alone_is_still_missing() -> None:
    assert compare(TRUTH, [{**RECORD, "event": "job_usage"}], []) == Difference(missing=[KEY])


def test_second_end_of_one_attempt_is_twice() -> None:
    difference = compare(TRUTH, [RECORD, {**RECORD, "id": "two"}], [])
    assert difference == Difference(twice=[f"job {KEY}: 2 times"])


def test_same_id_twice_is_twice() -> None:
    difference = compare(TRUTH, [RECORD, {**RECORD, "event": "job_usage"}], [])
    assert difference == Difference(twice=["id one: 2 times"])


def test_other_value_is_wrong() -> None:
    difference = compare(TRUTH, [{**RECORD, "name": "a|b"}], [])
    assert difference == Difference(wrong=[f"job {KEY}: name is 'a|b', in truth 'a|b\\n'"])


def test_revision_that_puts_it_right_counts() -> None:
    wrong = {**RECORD, "name": "allocation"}
    right = {**RECORD, "id": "two", "event": "job_revised", "revision": 2}
    assert not compare(TRUTH, [wrong, right], [])


def test_record_of_no_attempt_is_unknown() -> None:
    forged = {**RECORD, "id": "two", "job_id_raw": 999999}
    assert compare(TRUTH, [RECORD, forged], []) == Difference(unknown=[(999999, KEY[1])])
    assert not compare(TRUTH, [RECORD, forged], [(999999, KEY[1])])
