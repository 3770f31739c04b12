"""Which columns a terminal has room for."""

import pytest

from slurmwatchd.cli.table_fit import asked_for, fitted

WANTED = {"job_id": 8, "user": 4, "partition": 9, "start": 19, "end": 19, "name": 30}


@pytest.mark.parametrize(
    ("room", "widths"),
    [
        (200, {"job_id": 8, "user": 4, "partition": 9, "start": 19, "end": 19, "name": 30}),
        (94, {"job_id": 8, "user": 4, "partition": 9, "start": 19, "end": 19, "name": 30}),
        # What is missing is cut from what can be, down to eight characters.
        (80, {"job_id": 8, "user": 4, "partition": 9, "start": 19, "end": 19, "name": 16}),
        (71, {"job_id": 8, "user": 4, "partition": 8, "start": 19, "end": 19, "name": 8}),
        # Then whole columns go, and the others have their room.
        (70, {"job_id": 8, "user": 4, "partition": 9, "end": 19, "name": 26}),
        (50, {"job_id": 8, "user": 4, "end": 19, "name": 16}),
        (41, {"job_id": 8, "user": 4, "name": 27}),
        (20, {"job_id": 8, "user": 4}),
        # Who and how are always there, whole.
        (5, {"job_id": 8, "user": 4}),
    ],
)
def test_texts_are_cut_and_then_columns_left_out_by_what_one_misses_least(
    room: int, widths: dict[str, int]
) -> None:
    assert fitted(WANTED, room) == widths
    assert list(fitted(WANTED, room)) == list(widths)


def test_of_columns_nobody_ranked_the_last_goes_first() -> None:
    assert list(fitted({"cpus": 10, "job_id": 4, "exit_code": 10}, 20)) == ["cpus", "job_id"]


@pytest.mark.parametrize(
    ("room", "widths"),
    [
        (200, {"start": 19, "account": 7, "job_id": 30, "comment": 100, "exit_code": 9}),
        # A text that nobody ranked is cut as well, what names the row and what is short is not.
        (100, {"start": 19, "account": 7, "job_id": 30, "comment": 31, "exit_code": 9}),
        (77, {"start": 19, "account": 7, "job_id": 30, "comment": 8, "exit_code": 9}),
        (10, {"start": 19, "account": 7, "job_id": 30, "comment": 8, "exit_code": 9}),
    ],
)
def test_of_columns_that_were_asked_for_none_is_left_out(room: int, widths: dict[str, int]) -> None:
    wanted = {"start": 19, "account": 7, "job_id": 30, "comment": 100, "exit_code": 9}
    assert asked_for(wanted, room) == widths
