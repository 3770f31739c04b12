"""Half-written rows: waited for, taken when whole, and taken as they are in the end."""

from collections.abc import Sequence

from slurmwatchd.model.ledger import Ledger, Stretch
from slurmwatchd.model.records import JobRecord
from slurmwatchd.watcher.half_written import HalfWrittenRows
from tests.row_by_row import Reading, put_together, taken_apart

END = 1_795_436_433


def half_written(number: int = 7, end: int | None = END) -> tuple[JobRecord, int]:
    """What 22.05 shows of a short job whose start message has not arrived yet."""
    record = JobRecord(
        cluster="tux",
        job_id=str(number),
        job_id_raw=number,
        name="allocation",
        submit=END - 2,
        end=end,
        node_count=1,
    )
    return record, 1


def ripe(
    settling: HalfWrittenRows, readings: Sequence[tuple[JobRecord, int]], now: int, **how: bool
) -> tuple[Reading, ...]:
    return tuple(put_together(settling.ripe(taken_apart(readings), now, **how)))


def whole(number: int = 7) -> tuple[JobRecord, int]:
    record, _ = half_written(number)
    return record._replace(name="train", partition="main"), 2


def test_whole_rows_pass_untouched() -> None:
    settling = HalfWrittenRows()
    assert ripe(settling, [whole(1), whole(2)], END + 1) == (whole(1), whole(2))
    assert len(settling) == 0


def test_a_row_without_its_partition_is_held_back_and_the_others_are_not() -> None:
    settling = HalfWrittenRows()
    assert ripe(settling, [whole(1), half_written(7), whole(2)], END + 2) == (whole(1), whole(2))
    assert len(settling) == 1


def test_the_end_of_a_row_held_back_is_read_again() -> None:
    settling = HalfWrittenRows()
    ripe(settling, [half_written()], END + 2)
    ledger = Ledger(END - 60, (Stretch(END - 60, END + 60, END + 60),))
    assert settling.withhold(ledger).holes() == [(END, END + 1)]
    assert settling.withhold(ledger).watermark == END


def test_once_whole_it_is_taken_and_its_end_counts_as_read() -> None:
    settling = HalfWrittenRows()
    ripe(settling, [half_written()], END + 2)
    assert ripe(settling, [whole()], END + 4) == (whole(),)
    assert len(settling) == 0
    ledger = Ledger(END - 60, (Stretch(END - 60, END + 60, END + 60),))
    assert settling.withhold(ledger) == ledger


def test_a_row_that_stays_half_written_is_taken_as_it_is_after_a_minute() -> None:
    settling = HalfWrittenRows()
    assert ripe(settling, [half_written()], END + 100) == ()
    assert ripe(settling, [half_written()], END + 159) == ()
    assert ripe(settling, [half_written()], END + 160) == (half_written(),)
    assert len(settling) == 0


def test_without_another_look_only_rows_that_ended_within_a_minute_are_held_back() -> None:
    settling = HalfWrittenRows(patient=False)
    assert ripe(settling, [half_written(1)], END + 59) == ()
    assert ripe(settling, [half_written(2)], END + 60) == (half_written(2),)


def test_a_row_that_slurm_never_dated_cannot_be_read_again_and_is_taken_at_once() -> None:
    settling = HalfWrittenRows()
    assert ripe(settling, [half_written(end=None)], END) == (half_written(end=None),)
    assert len(settling) == 0


def test_two_attempts_of_one_job_are_waited_for_apart() -> None:
    settling = HalfWrittenRows()
    record, digest = half_written()
    later = record._replace(submit=END + 10, end=END + 20), digest
    ripe(settling, [(record, digest), later], END + 30)
    assert len(settling) == 2
    ripe(settling, [whole()], END + 31)
    assert len(settling) == 1


def test_a_row_that_never_came_again_is_forgotten_after_an_hour() -> None:
    settling = HalfWrittenRows()
    ripe(settling, [half_written()], END)
    settling.tidy(END + 3599)
    assert len(settling) == 1
    settling.tidy(END + 3600)
    assert len(settling) == 0


def test_a_row_taken_half_written_does_not_hold_up_the_re_reads_of_its_end() -> None:
    settling = HalfWrittenRows()
    ripe(settling, [half_written()], END + 2)
    ripe(settling, [half_written()], END + 62)
    eight_days_later = END + 8 * 86400
    assert ripe(settling, [half_written()], eight_days_later) == (half_written(),)
    ledger = Ledger(END - 60, (Stretch(END - 60, eight_days_later, eight_days_later),))
    assert settling.withhold(ledger).watermark == eight_days_later


def test_what_was_taken_half_written_is_remembered_within_bounds() -> None:
    settling = HalfWrittenRows(patient=False)
    rows = [half_written(number) for number in range(10_001)]
    ripe(settling, rows, END + 60)
    assert len(settling._taken) == 10_000
