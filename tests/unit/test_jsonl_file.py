"""Who may write the file and who may read it, and what a full disk does."""

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurmwatchd.errors import SinkError
from slurmwatchd.sinks.conformance import make_event, make_events
from tests.unit.subjects import Jsonl, delivery_to, disk_full


async def test_file_is_readable_by_its_group_and_by_nobody_else(tmp_path: Path) -> None:
    subject = Jsonl(tmp_path / "logs" / "jobs.jsonl")
    before = os.umask(0o022)
    try:
        delivery = await delivery_to(subject)
        await delivery.deliver(make_events(1, 1))
    finally:
        os.umask(before)
    assert subject.path.stat().st_mode & 0o777 == 0o640
    assert subject.path.parent.stat().st_mode & 0o777 == 0o750


async def test_permissions_an_administrator_gave_stay(tmp_path: Path) -> None:
    subject = Jsonl(tmp_path / "jobs.jsonl")
    subject.path.touch()
    subject.path.chmod(0o664)
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 1))
    assert subject.path.stat().st_mode & 0o777 == 0o664


async def test_second_writer_is_refused_and_goes_on_when_the_first_has_gone(tmp_path: Path) -> None:
    subject = Jsonl(tmp_path / "jobs.jsonl")
    first = await delivery_to(subject)
    await first.deliver(make_events(1, 2))
    second = await delivery_to(subject)
    second.state = dict(first.state)
    with pytest.raises(SinkError, match=r"jobs\.jsonl: another process writes to this file"):
        await second.write(make_events(3, 3))
    await first.sink.close()
    await second.crash()
    await second.deliver(make_events(3, 3))
    await second.expect(1, 3)


async def test_file_locked_by_another_program_is_not_written(tmp_path: Path) -> None:
    subject = Jsonl(tmp_path / "jobs.jsonl")
    with subject.path.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        delivery = await delivery_to(subject)
        with pytest.raises(SinkError):
            await delivery.write(make_events(1, 1))
    assert subject.path.read_bytes() == b""
    await delivery.deliver(make_events(1, 1))
    await delivery.expect(1, 1)


async def test_disk_that_fills_up_at_any_place_loses_and_repeats_nothing(tmp_path: Path) -> None:
    for room in range(0, 1400, 61):
        subject = Jsonl(tmp_path / str(room) / "jobs.jsonl")
        delivery = await delivery_to(subject)
        await delivery.deliver(make_events(1, 2))
        size = subject.path.stat().st_size
        for more in (0, 7, 300):
            with disk_full(size + room + more), pytest.raises(SinkError, match=r"jobs\.jsonl: File too large"):
                await delivery.write(make_events(3, 9))
        await delivery.deliver(make_events(3, 9))
        await delivery.expect(1, 9)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with very little room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("needs root, and leave to mount a file system")
    yield folder
    subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


async def test_full_disk_is_said_and_delivery_goes_on_when_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 40_000)
    subject = Jsonl(small_disk / "jobs.jsonl")
    delivery = await delivery_to(subject)
    events = [make_event(number, text="x" * 500) for number in range(1, 61)]
    await delivery.deliver(events[:2])
    with pytest.raises(SinkError, match="No space left on device: the daemon continues when there is room"):
        await delivery.write(events[2:])
    ballast.unlink()
    await delivery.deliver(events[2:])
    await delivery.expect(1, 60)


@pytest.mark.parametrize("limit", [4096, 30_000])
async def test_no_line_is_longer_than_the_limit_and_the_head_is_always_there(tmp_path: Path, limit: int) -> None:
    subject = Jsonl(tmp_path / "jobs.jsonl", max_line_bytes=limit)
    delivery = await delivery_to(subject)
    await delivery.deliver([make_event(1, text='"\x00\u2028' * 20_000), make_event(2, text="\x01" * 100_000)])
    for number, line in enumerate(subject.path.read_bytes().splitlines(keepends=True), start=1):
        assert len(line) <= limit
        record = json.loads(line)
        assert (record["job_id_raw"], record["truncated"]) == (number, ["name"])
        assert list(record)[:4] == ["id", "event", "schema", "seq"]


async def test_a_network_file_system_is_warned_about_when_the_sink_is_opened(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr("slurmwatchd.config.file_systems.MOUNTS", mounts)
    for kind, warned in (("ext4", 0), ("nfs4", 1)):
        mounts.write_text(f"22 1 0:20 / / rw - {kind} server:/export rw\n")
        subject = Jsonl(tmp_path / "jobs.jsonl")
        delivery = await delivery_to(subject)
        await delivery.deliver(make_events(1, 2))
        assert caplog.text.count("the file is on a network file system") == warned
        await delivery.sink.close()
