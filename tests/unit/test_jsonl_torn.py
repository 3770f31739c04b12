"""A crash may leave a batch cut off at any byte: what is missing is appended, what is there stays as it is."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from slurmwatchd.errors import SinkError
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.conformance import make_event, make_events
from slurmwatchd.sinks.forms.options import EventFormat
from slurmwatchd.sinks.forms.reading import head_of
from slurmwatchd.sinks.jsonl_tail import Residue
from tests.draws import all_drawn
from tests.unit.subjects import Jsonl, delivery_to, disk_full, short_events


@pytest.mark.property
@pytest.mark.parametrize(
    ("before", "redelivered", "rotated"),
    [
        pytest.param(2, 3, False, id="the same batch comes again"),
        pytest.param(2, 5, False, id="a larger batch comes again"),
        pytest.param(0, 3, False, id="the first batch ever"),
        pytest.param(2, 3, True, id="rotated meanwhile"),
        pytest.param(2, 5, True, id="rotated meanwhile, and a larger batch comes again"),
    ],
)
async def test_batch_cut_off_at_any_byte_is_completed(
    tmp_path: Path, before: int, redelivered: int, rotated: bool
) -> None:
    subject = Jsonl(tmp_path / "jobs.jsonl")
    delivery = await delivery_to(subject)
    if before:
        await delivery.deliver(short_events(1, before))
    state = dict(delivery.state)
    begin = subject.path.stat().st_size if before else 0
    await delivery.write(short_events(before + 1, before + 3))
    await delivery.sink.close()
    whole = subject.path.read_bytes()
    uninterrupted = await _uninterrupted(tmp_path / "uninterrupted", before, redelivered)
    step = 1 if all_drawn() else 13
    for cut in sorted({*range(begin, len(whole) + 1, step), len(whole) - 1, len(whole)}):
        # The file itself is cut, so that it is still the one that the state speaks of.
        with subject.path.open("r+b") as file:
            file.truncate(cut)
        if rotated:
            subject.rotate()
        delivery = await delivery_to(subject)
        delivery.state = dict(state)
        await delivery.crash()
        await delivery.deliver(short_events(before + 1, before + redelivered))
        await delivery.expect(1, before + redelivered)
        await delivery.sink.close()
        last = subject.path.with_name("jobs.jsonl.1") if rotated else subject.path
        assert last.read_bytes()[:cut] == whole[:cut], "bytes a shipper may have read were changed"
        files = [last] if last == subject.path or not subject.path.exists() else [last, subject.path]
        assert b"".join(file.read_bytes() for file in files) == uninterrupted
        if rotated:
            subject.path.unlink()
            last.rename(subject.path)
        with subject.path.open("r+b") as file:
            file.truncate(begin)
            file.seek(begin)
            file.write(whole[begin:])


async def _uninterrupted(folder: Path, before: int, more: int) -> bytes:
    """What the file holds where nothing dies."""
    folder.mkdir()
    subject = Jsonl(folder / "jobs.jsonl")
    delivery = await delivery_to(subject)
    if before:
        await delivery.deliver(short_events(1, before))
    await delivery.deliver(short_events(before + 1, before + more))
    return subject.path.read_bytes()


FOREIGN = [
    pytest.param(b"garbage without an end", 1, id="unterminated text"),
    pytest.param(b"garbage\n", 1, id="a line of text"),
    pytest.param(b"\x00" * 3000, 1, id="zeros as after a power cut"),
    pytest.param(b'{"id":"somebody else"}\n', 0, id="a line of JSON"),
    pytest.param(b"\n\n", 1, id="empty lines"),
    pytest.param(b"\xff\xfe{[", 1, id="bytes that are no text"),
    pytest.param(b'{"id":"1', 1, id="the beginning of somebody else's line"),
]


@pytest.mark.parametrize("when", ["idle", "pending", "half pending"])
@pytest.mark.parametrize(("foreign", "spoilt"), FOREIGN)
async def test_foreign_bytes_stay_and_cost_nothing_but_themselves(
    tmp_path: Path, foreign: bytes, spoilt: int, when: str
) -> None:
    subject = Jsonl(tmp_path / "jobs.jsonl")
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 2))
    if when == "pending":
        await delivery.write(make_events(3, 5))
    elif when == "half pending":
        await delivery.write(make_events(3, 3))
    with subject.path.open("ab") as file:
        file.write(foreign)
    await delivery.crash()
    await delivery.deliver(make_events(3, 5))
    await delivery.deliver(make_events(6, 7))
    text = subject.path.read_bytes()
    assert foreign in text
    assert text.endswith(b"\n")
    assert _numbers(text) == [1, 2, 3, 4, 5, 6, 7]
    assert subject.metrics.registry.get_sample_value("slurmwatchd_jsonl_torn_lines_total", {"sink": "jobs"}) == 1


async def test_file_of_an_earlier_life_keeps_its_bytes_and_our_first_line_begins_a_line(tmp_path: Path) -> None:
    subject = Jsonl(tmp_path / "jobs.jsonl")
    subject.path.write_bytes(b'{"id":"old"}\n{"id":"cut off')
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 2))
    lines = subject.path.read_bytes().split(b"\n")
    assert lines[:2] == [b'{"id":"old"}', b'{"id":"cut off']
    assert [json.loads(line)["job_id_raw"] for line in lines[2:4]] == [1, 2]
    assert lines[4:] == [b""]


@pytest.mark.parametrize("format_", ["flat", "ecs"])
@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "crashes"])
async def test_lines_written_under_another_limit_are_not_written_again(
    tmp_path: Path, dies: bool, format_: EventFormat
) -> None:
    wide = [make_event(number, text="x" * 6000) for number in range(3, 6)]
    subject = Jsonl(tmp_path / "jobs.jsonl", max_line_bytes=30_000, format_=format_)
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 2))
    await delivery.write(wide)
    subject.max_line_bytes = 4096
    if dies:
        await delivery.crash()
    await delivery.deliver([*wide, make_event(6, text="x" * 6000)])
    await delivery.expect(1, 6)
    records = [head_of(record) for record in subject.records()]
    assert [len(record["name"]) for record in records[2:5]] == [6000, 6000, 6000]


async def test_line_cut_off_under_another_limit_costs_a_broken_line_but_no_event(tmp_path: Path) -> None:
    wide = [make_event(number, text="x" * 6000) for number in range(3, 6)]
    subject = Jsonl(tmp_path / "jobs.jsonl", max_line_bytes=30_000)
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 2))
    with disk_full(subject.path.stat().st_size + 10_000), pytest.raises(SinkError):
        await delivery.write(wide)
    subject.max_line_bytes = 4096
    await delivery.crash()
    await delivery.deliver([*wide, make_event(6)])
    assert _numbers(subject.path.read_bytes()) == [1, 2, 3, 4, 5, 6]
    assert max(len(line) for line in subject.path.read_bytes().splitlines()[4:]) < 4096


@pytest.mark.parametrize("foreign", [b"", b"garbage"], ids=["ours", "somebody else's"])
async def test_torn_line_is_told_and_counted_when_it_is_dealt_with_and_not_at_each_try(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, foreign: bytes
) -> None:
    caplog.set_level("INFO")
    subject = Jsonl(tmp_path / "jobs.jsonl")
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 2))
    with disk_full(subject.path.stat().st_size + 100), pytest.raises(SinkError):
        await delivery.write([make_event(3)])
    with subject.path.open("ab") as file:
        file.write(foreign)
    spoilt = "unexpected bytes at the end of the file" if foreign else "truncated line completed"

    def told() -> tuple[int, float | None]:
        torn = subject.metrics.registry.get_sample_value("slurmwatchd_jsonl_torn_lines_total", {"sink": "jobs"})
        return caplog.text.count(spoilt), torn

    for _ in range(4):
        with disk_full(subject.path.stat().st_size), pytest.raises(SinkError):
            await delivery.write([make_event(3)])
    assert told() == (0, 0)
    await delivery.deliver([make_event(3)])
    assert told() == (1, 1)
    assert _numbers(subject.path.read_bytes()) == [1, 2, 3]


async def test_rotation_is_told_once_however_often_the_disk_is_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    subject = Jsonl(tmp_path / "jobs.jsonl")
    delivery = await delivery_to(subject)
    for number in (1, 2):
        await delivery.deliver([make_event(number)])
        with disk_full(subject.path.stat().st_size + 100), pytest.raises(SinkError):
            await delivery.write([make_event(number + 10)])
        subject.rotate()
        for _ in range(3):
            with disk_full(0), pytest.raises(SinkError):
                await delivery.write([make_event(number + 10)])
        await delivery.deliver([make_event(number + 10)])
        assert caplog.text.count("file rotated") == number


async def test_truncation_by_another_program_is_told_once_however_often_the_disk_is_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    subject = Jsonl(tmp_path / "jobs.jsonl")
    delivery = await delivery_to(subject)
    for number in (1, 3):
        await delivery.deliver(make_events(number, number + 1))
        os.truncate(subject.path, 0)
        for _ in range(3):
            with disk_full(0), pytest.raises(SinkError):
                await delivery.write([make_event(number + 10)])
        await delivery.deliver([make_event(number + 10)])
        assert caplog.text.count("truncated by another program") == (number + 1) // 2


@pytest.mark.parametrize("more", [(), (make_event(4),)], ids=["nothing more", "another"])
async def test_line_that_lacks_only_its_end_is_ended_and_not_written_again_in_other_bytes(
    tmp_path: Path, more: tuple[Event, ...]
) -> None:
    subject = Jsonl(tmp_path / "jobs.jsonl", max_line_bytes=30_000)
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 2))
    wide = make_event(3, text="x" * 6000)
    await delivery.write([wide])
    os.truncate(subject.path, subject.path.stat().st_size - 1)
    subject.max_line_bytes = 4096
    await delivery.crash()
    await delivery.deliver([wide, *more])
    text = subject.path.read_bytes()
    assert _numbers(text) == [1, 2, 3, *(event.seq for event in more)]
    assert text.endswith(b"}\n")


def _numbers(text: bytes) -> list[int]:
    """The job ids of our own lines; what is no JSON, or not ours, is passed over."""
    found = []
    for line in text.split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if "job_id_raw" in record:
            found.append(record["job_id_raw"])
    return found


@pytest.mark.parametrize("whole_lines", [0, 1, 3], ids=["no line kept", "one line kept", "all lines kept"])
@pytest.mark.parametrize("into_line", [0, 40], ids=["at a line's end", "within a line"])
async def test_tail_of_zeros_after_a_power_loss_costs_a_broken_line_and_no_event(
    tmp_path: Path, whole_lines: int, into_line: int
) -> None:
    subject = Jsonl(tmp_path / "jobs.jsonl")
    delivery = await delivery_to(subject)
    await delivery.deliver(short_events(1, 2))
    begin = subject.path.stat().st_size
    await delivery.write(short_events(3, 5))
    written = subject.path.read_bytes()[begin:].splitlines(keepends=True)
    kept = sum(map(len, written[:whole_lines])) + (into_line if whole_lines < 3 else 0)
    # The file system kept the file's length, and not what was in it.
    with subject.path.open("r+b") as file:
        file.truncate(begin + kept)
        file.truncate(begin + kept + 3_000_000)
    before = subject.path.read_bytes()
    await delivery.crash()
    await delivery.deliver(short_events(3, 6))
    text = subject.path.read_bytes()
    assert text.startswith(before), "bytes a shipper may have read were changed"
    lines = text.splitlines()
    broken = [line for line in lines if b"\0" in line]
    assert len(broken) == 1
    assert [json.loads(line)["job_id_raw"] for line in lines if b"\0" not in line] == [1, 2, 3, 4, 5, 6]


async def test_a_long_tail_of_zeros_is_passed_in_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    with file.open("wb") as stream:
        stream.truncate(100_000_000)
        stream.seek(0, os.SEEK_END)
        stream.write(b'\n{"id":"whole"}\n{"id":"without an end"}')
    descriptor = os.open(file, os.O_RDONLY)
    try:
        tracemalloc.start()
        found = Residue(descriptor, 0).ids()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        os.close(descriptor)
    assert found == {"whole", "without an end"}
    assert peak < 25_000_000
