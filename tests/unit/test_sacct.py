"""What sacct is asked, when its answer counts, and how it fails."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from slurmwatchd.errors import (
    SacctError,
    SacctOutputError,
    SacctTimeoutError,
    SacctTooWideError,
    SlurmNotFoundError,
    SlurmwatchError,
    StoreBusyError,
)
from slurmwatchd.model.records import FoundBy, JobRecord, Rejected
from slurmwatchd.model.windows import Window
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.process import Completed, SystemProcessRunner, TimedOutError
from slurmwatchd.sources.sacct.arguments import job_argument, named_arguments, open_arguments, window_arguments
from slurmwatchd.sources.sacct.client import ParsedRows, Sacct
from slurmwatchd.sources.sacct.fields import Layout
from tests.row_by_row import put_together
from tests.unit.runners import FakeRunner, commands, done
from tests.unit.sacct_rows import ARRAY_TASK, FAILED, FIELDS_22_05, HETEROGENEOUS, Row, printed

LAYOUT = Layout(FIELDS_22_05)
WINDOW = Window(1_795_436_400, 1_795_436_460)


def delimiter_in(arguments: Sequence[str]) -> str:
    return next(text.removeprefix("--delimiter=") for text in arguments if text.startswith("--delimiter="))


def prints(*rows: Row, stderr: str = "", returncode: int = 0) -> Callable[[Sequence[str]], Completed]:
    """A sacct that answers every window with these rows."""
    return lambda arguments: done(
        printed(delimiter_in(arguments), LAYOUT.fields, *rows), stderr=stderr, returncode=returncode
    )


def source(answer: Callable[[Sequence[str]], Completed | SlurmwatchError], folder: Path) -> Sacct:
    return Sacct(commands(FakeRunner(answer), folder), timeout_seconds=300, spool_dir=folder)


async def rows_of(sacct: Sacct) -> list[ParsedRows]:
    async with sacct.ended_in(WINDOW, LAYOUT) as answer:
        return [rows async for rows in answer.rows()]


def test_a_window_is_asked_for_with_these_arguments() -> None:
    assert window_arguments(WINDOW, ["JobIDRaw", "State"], delimiter="@") == [
        "-a", "-X", "-D", "--local", "--noconvert", "-p", "--delimiter=@",
        "-s", "CA,CD,F,NF,PR,TO,BF,DL,OOM,RQ,RS,RV", "-S", "uts1795436400", "-E", "uts1795436459",
        "-o", "JobIDRaw,State",
    ]  # fmt: skip


def test_states_of_open_jobs_are_never_asked_for_since_they_cost_the_index() -> None:
    arguments = window_arguments(WINDOW, ["JobIDRaw"], delimiter="@")
    assert not {"R", "PD", "S"} & set(arguments[arguments.index("-s") + 1].split(","))


def test_saccts_window_includes_its_last_second_so_ours_ends_one_earlier() -> None:
    assert "uts1000100" in window_arguments(Window(1_000_100, 1_000_101), ["JobIDRaw"], delimiter="@")
    assert window_arguments(Window(1_000_100, 1_000_101), ["JobIDRaw"], delimiter="@")[12] == "uts1000100"
    assert window_arguments(Window(1_000_100, 1_000_100), ["JobIDRaw"], delimiter="@")[12] == "uts1000100"


def test_a_head_poll_asks_ahead_as_far_as_it_looks_back_since_slurmctlds_clock_may_be_ahead() -> None:
    head = Window(1_795_436_400, 1_795_436_460, FoundBy.POLL, head=True)
    assert window_arguments(head, ["JobIDRaw"], delimiter="@")[12] == "uts1795436520"


def test_another_cluster_is_named_first() -> None:
    assert window_arguments(WINDOW, ["JobIDRaw"], delimiter="@", cluster="dux")[:3] == ["-M", "dux", "-a"]


async def test_a_complete_answer_gives_its_rows_once_understood(tmp_path: Path) -> None:
    batches = await rows_of(source(prints(FAILED, ARRAY_TASK), tmp_path))
    assert len(batches) == 1
    assert [record.job_id for record, _ in put_together(batches[0].readings)] == ["2", "6_0"]
    assert batches[0].rejected == []
    assert batches[0].count == 2


async def test_an_empty_window_is_an_answer_without_rows(tmp_path: Path) -> None:
    assert await rows_of(source(prints(), tmp_path)) == []


async def test_rows_come_in_batches_with_none_between_them_lost(tmp_path: Path) -> None:
    rows = [{**FAILED, "JobIDRaw": str(number).encode()} for number in range(5000)]
    batches = await rows_of(source(prints(*rows), tmp_path))
    assert [batch.count for batch in batches[:-1]] == pytest.approx([2000, 2000], abs=200)
    assert sum(batch.count for batch in batches) == 5000
    assert [number for batch in batches for number in batch.readings.columns["job_id_raw"]] == list(range(5000))


async def test_a_batch_of_long_rows_has_fewer_of_them(tmp_path: Path) -> None:
    rows = [{**FAILED, "JobIDRaw": str(number).encode(), "Comment": b"x" * 200_000} for number in range(50)]
    batches = await rows_of(source(prints(*rows), tmp_path))
    assert len(batches) > 2
    assert max(sum(map(len, batch.readings.bodies)) for batch in batches) < 4_600_000
    assert [number for batch in batches for number in batch.readings.columns["job_id_raw"]] == list(range(50))


async def test_a_row_of_many_megabytes_is_a_row_and_what_follows_it_is_read_too(tmp_path: Path) -> None:
    rows = [{**FAILED, "SubmitLine": b"x" * 9_000_000}, {**FAILED, "JobIDRaw": b"7"}]
    batches = await rows_of(source(prints(*rows), tmp_path))
    assert [number for batch in batches for number in batch.readings.columns["job_id_raw"]] == [2, 7]
    assert next(len(record.submit_line or "") for record, _ in put_together(batches[0].readings)) == 9_000_000


async def test_a_row_without_a_key_is_rejected_and_its_neighbours_are_kept(tmp_path: Path) -> None:
    batches = await rows_of(source(prints(FAILED, {**FAILED, "Submit": b"Unknown"}, HETEROGENEOUS), tmp_path))
    assert [record.job_id for batch in batches for record, _ in put_together(batch.readings)] == ["2", "9+0"]
    assert [row.reason for batch in batches for row in batch.rejected] == ["Submit is b'Unknown', not a time"]
    assert sum(batch.count for batch in batches) == 3


async def test_rows_without_a_key_come_in_batches_as_well(tmp_path: Path) -> None:
    rows = [{**FAILED, "JobIDRaw": b"x%d" % number} for number in range(3000)]
    batches = await rows_of(source(prints(*rows, FAILED), tmp_path))
    assert [len(batch.rejected) for batch in batches] == pytest.approx([2000, 1000], abs=200)
    assert [len(batch.readings) for batch in batches] == [0, 1]
    assert [row.row[1] for batch in batches for row in batch.rejected] == [b"x%d" % n for n in range(3000)]


async def test_only_rejected_rows_are_given_too(tmp_path: Path) -> None:
    batches = await rows_of(source(prints({**FAILED, "Cluster": b""}), tmp_path))
    assert [(len(batch.readings), len(batch.rejected)) for batch in batches] == [(0, 1)]
    assert isinstance(batches[0].rejected[0], Rejected)


async def test_a_hostile_job_name_neither_forges_nor_splits_a_row(tmp_path: Path) -> None:
    name = b"evil\n999999|root|COMPLETED|\x1f0123456789abcdef\x1f\r\n\xff"
    batches = await rows_of(source(prints({**FAILED, "JobName": name}, ARRAY_TASK), tmp_path))
    records: list[JobRecord] = [record for batch in batches for record, _ in put_together(batch.readings)]
    assert [record.job_id for record in records] == ["2", "6_0"]
    assert records[0].name == "evil\n999999|root|COMPLETED|\x1f0123456789abcdef\x1f\r\n\\xff"


async def test_every_call_has_a_delimiter_of_its_own(tmp_path: Path) -> None:
    runner = FakeRunner(prints())
    sacct = Sacct(commands(runner, tmp_path), timeout_seconds=300, spool_dir=tmp_path)
    for _ in range(20):
        await rows_of(sacct)
    delimiters = [delimiter_in(call) for call in runner.calls]
    assert len(set(delimiters)) == 20
    assert all(re.fullmatch("\x1f[-\\w]{8,}\x1f?", text) for text in delimiters)


async def test_the_timeout_is_the_configured_one_for_windows_and_a_short_one_for_questions(tmp_path: Path) -> None:
    runner = FakeRunner(
        lambda arguments: done(b"slurm 22.05.8\n") if arguments[0] == "-V" else prints()(arguments), version=None
    )
    sacct = Sacct(commands(runner, tmp_path), timeout_seconds=300, spool_dir=tmp_path)
    assert await sacct.version() == "slurm 22.05.8"
    await rows_of(sacct)
    assert runner.timeouts == [60, 300]


async def test_a_large_answer_is_read_from_the_spool_and_leaves_no_file(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    rows = [{**FAILED, "JobIDRaw": str(number).encode(), "SubmitLine": b"x" * 9999} for number in range(300)]
    runner = FakeRunner(prints(*rows), chunk_bytes=65_536)
    sacct = Sacct(commands(runner, tmp_path), timeout_seconds=300, spool_dir=spool)
    batches = await rows_of(sacct)
    assert [record.job_id_raw for batch in batches for record, _ in put_together(batch.readings)] == list(
        range(300)
    )
    assert list(spool.iterdir()) == []


CONNECTION_REFUSED = """\
sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection to host:dbd:6819: \
Connection refused
sacct: error: Sending PersistInit msg: Connection refused
sacct: error: Problem talking to the database: Connection refused
"""


async def test_slurmdbd_that_is_down_is_a_failure_to_be_tried_again(tmp_path: Path) -> None:
    answer = done(stderr=CONNECTION_REFUSED, returncode=1)
    with pytest.raises(SacctError, match=r"sacct failed \(exit status 1\): sacct: error: ") as caught:
        await rows_of(source(lambda _: answer, tmp_path))
    assert type(caught.value) is SacctError
    assert caught.value.argv[0] == str(tmp_path / "sacct")


async def test_exit_0_with_an_error_on_stderr_is_a_failure(tmp_path: Path) -> None:
    """Releases up to 23.11.3 exit with errno modulo 256, which is 0 for 1024."""
    with pytest.raises(SacctError, match=r"exit status 0"):
        await rows_of(
            source(prints(FAILED, stderr="sacct: error: Getting response to message type: 1444\n"), tmp_path)
        )


async def test_rows_and_a_bad_exit_status_are_a_failure(tmp_path: Path) -> None:
    with pytest.raises(SacctError, match="exit status 88"):
        await rows_of(source(prints(FAILED, returncode=88), tmp_path))


async def test_a_sacct_that_was_killed_has_failed(tmp_path: Path) -> None:
    with pytest.raises(SacctError, match="exit status -9"):
        await rows_of(source(prints(FAILED, returncode=-9), tmp_path))


async def test_a_harmless_warning_does_not_spoil_an_answer(tmp_path: Path) -> None:
    batches = await rows_of(source(prints(FAILED, stderr="sacct: warning: clock skew\n"), tmp_path))
    assert batches[0].count == 1


@pytest.mark.parametrize(
    ("words", "returncode"),
    [
        ("sacct: error: slurmdbd: Too wide of a date range in query", 1),
        ("sacct: error: slurmdbd: Too wide of a date range in query", 95),
        ("sacct: error: Query result exceeds size limit", 94),
    ],
)
async def test_a_stretch_that_is_too_wide_is_known_as_such(words: str, returncode: int, tmp_path: Path) -> None:
    with pytest.raises(SacctTooWideError):
        await rows_of(source(prints(stderr=words, returncode=returncode), tmp_path))


async def test_a_timeout_is_known_as_such(tmp_path: Path) -> None:
    hanging = TimedOutError("sacct gave no complete answer in 300 s and was killed", stderr="sacct: waiting")
    with pytest.raises(SacctTimeoutError, match="in 300 s and was killed: sacct: waiting"):
        await rows_of(source(lambda _: hanging, tmp_path))


async def test_a_missing_sacct_is_said_to_be_missing(tmp_path: Path) -> None:
    nowhere = Commands.of(FakeRunner(prints()), bin_dir=str(tmp_path), environ={})
    with pytest.raises(SlurmNotFoundError, match=r"sacct is not in slurm\.bin_dir"):
        await rows_of(Sacct(nowhere, timeout_seconds=300, spool_dir=tmp_path))


@pytest.mark.parametrize("cut", [1, 2, 20, 500])
async def test_an_answer_cut_off_with_exit_0_is_no_answer(cut: int, tmp_path: Path) -> None:
    with pytest.raises(SacctOutputError):
        await rows_of(
            source(
                lambda arguments: done(printed(delimiter_in(arguments), LAYOUT.fields, FAILED, ARRAY_TASK)[:-cut]),
                tmp_path,
            )
        )


async def test_another_header_is_no_answer(tmp_path: Path) -> None:
    def answer(arguments: Sequence[str]) -> Completed:
        text = printed(delimiter_in(arguments), LAYOUT.fields, FAILED).replace(b"QOS", b"QOSRAW", 1)
        return replace(done(text, stderr="sacct: a warning"), argv=("sacct", *arguments))

    with pytest.raises(SacctOutputError, match="header is not the one requested") as caught:
        await rows_of(source(answer, tmp_path))
    assert caught.value.argv[:2] == ("sacct", "-a")
    assert (caught.value.returncode, caught.value.stderr) == (0, "sacct: a warning")


async def test_nothing_printed_with_exit_0_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(SacctOutputError, match="no header"):
        await rows_of(source(lambda _: done(), tmp_path))


async def test_a_full_spool_is_a_full_disk_and_not_an_empty_window(tmp_path: Path) -> None:
    """A folder that vanished stands for a disk that is full: the spool cannot be written."""
    rows = [{**FAILED, "SubmitLine": b"x" * 99_999} for _ in range(30)]
    runner = FakeRunner(prints(*rows), chunk_bytes=65_536)
    gone = tmp_path / "gone"
    sacct = Sacct(commands(runner, tmp_path), timeout_seconds=300, spool_dir=gone)
    with pytest.raises(StoreBusyError, match=f"{gone}: cannot keep sacct's answer: No such file or directory"):
        await rows_of(sacct)


async def test_an_answer_of_a_real_child_is_read_to_its_end(tmp_path: Path) -> None:
    script = tmp_path / "sacct"
    script.write_text(
        "#!/bin/sh\n"
        'for word; do case "$word" in --delimiter=*) d=${word#--delimiter=};; esac; done\n'
        'for value in Cluster JobIDRaw Submit JobID State; do printf "%s%s" "$value" "$d"; done; echo\n'
        'for value in tux 7 1795436431 7 TIMEOUT; do printf "%s%s" "$value" "$d"; done; echo\n'
    )
    script.chmod(0o755)
    real = Commands.of(SystemProcessRunner(), bin_dir=str(tmp_path))
    layout = Layout(["Cluster", "JobIDRaw", "Submit", "JobID", "State"])
    async with Sacct(real, timeout_seconds=30, spool_dir=tmp_path).ended_in(WINDOW, layout) as answer:
        batches = [rows async for rows in answer.rows()]
        assert answer.slots == layout.slots
        assert answer.seconds > 0
    assert [record.state for record, _ in put_together(batches[0].readings)] == ["TIMEOUT"]


async def test_the_fields_are_those_that_helpformat_lists(tmp_path: Path) -> None:
    names = [*FIELDS_22_05, "SomethingNew"]
    lines = [" ".join(f"{name:<19}" for name in names[place : place + 4]) for place in range(0, len(names), 4)]
    sacct = source(lambda _: done(("\n".join(lines) + "\n").encode()), tmp_path)
    assert await sacct.available_fields() == names


@pytest.mark.parametrize(
    ("fields", "count", "shown"),
    [
        ((), 38, "Account, AdminComment, AllocTRES, Cluster, Comment"),
        (tuple(name for name in FIELDS_22_05 if name not in {"WorkDir", "WCKey"}), 2, "WCKey, WorkDir"),
    ],
)
async def test_a_helpformat_that_is_not_whole_is_no_answer(
    fields: tuple[str, ...], count: int, shown: str, tmp_path: Path
) -> None:
    sacct = source(lambda _: done(" ".join(fields).encode()), tmp_path)
    with pytest.raises(SacctOutputError, match=f"left out {count} fields that every release has: {shown}$"):
        await sacct.available_fields()


async def test_whether_slurmdbd_answers_is_asked_with_a_window_in_which_nothing_ended(tmp_path: Path) -> None:
    runner = FakeRunner(lambda arguments: done(f"JobIDRaw{delimiter_in(arguments)}\n".encode()))
    await Sacct(commands(runner, tmp_path), timeout_seconds=300, spool_dir=tmp_path, cluster="dux").answers()
    (call,) = runner.calls
    assert call[:2] == ("-M", "dux")
    assert {"uts1000000"} == {word for word in call if word.startswith("uts")}


async def test_a_slurmdbd_that_does_not_answer_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(SacctError, match="Connection refused"):
        await source(lambda _: done(stderr=CONNECTION_REFUSED, returncode=1), tmp_path).answers()


async def test_calls_wait_for_each_other(tmp_path: Path) -> None:
    running: list[int] = []

    class Slow(FakeRunner):
        async def run(self, *arguments: Any, **options: Any) -> Completed:  # noqa: ANN401 - as they come
            running.append(1)
            assert len(running) == 1, "two at once"
            await anyio.sleep(0.01)
            running.pop()
            return await super().run(*arguments, **options)

    spent: list[float] = []
    runner = Slow(lambda _: done(b"slurm 22.05.8\n"), version=None)
    sacct = Sacct(commands(runner, tmp_path), timeout_seconds=300, spool_dir=tmp_path, spent=spent.append)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(sacct.version)
    assert len(runner.calls) == 3
    assert len(spent) == 3
    assert min(spent) >= 0.01


async def test_time_of_a_call_that_fails_is_spent_all_the_same(tmp_path: Path) -> None:
    spent: list[float] = []
    runner = FakeRunner(lambda _: done(stderr="sacct: error: no\n", returncode=1), version=None)
    sacct = Sacct(commands(runner, tmp_path), timeout_seconds=300, spool_dir=tmp_path, spent=spent.append)
    with pytest.raises(SacctError):
        await sacct.version()
    assert len(spent) == 1


async def test_open_jobs_and_named_jobs_are_asked_for_as_slurmdbd_needs_it() -> None:
    assert open_arguments(1_795_436_440, ["JobID"], delimiter="@", cluster="dux") == [
        "-M", "dux", "-a", "-X", "-D", "--local", "--noconvert", "-p", "--delimiter=@",
        "-S", "uts1795436440", "-E", "uts1795436441", "-o", "JobID",
    ]  # fmt: skip
    fields = ["JobID", "End"]
    assert named_arguments(["5", "7_3"], fields, since=1_795_000_000, now=1_795_436_440, delimiter="@") == [
        "-a", "-X", "-D", "--local", "--noconvert", "-p", "--delimiter=@",
        "-j", "5,7_3", "-S", "uts1795000000", "-E", "uts1795440040", "-o", "JobID,End",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("job_id", "name"),
    [("12", "12"), ("12_3", "12_3"), ("12+1", "12+1"), ("12_[0-9%2]", "44"), ("12_[1...]", "44")],
)
def test_attempt_is_named_as_sacct_takes_it(job_id: str, name: str) -> None:
    assert job_argument(job_id, 44) == name
