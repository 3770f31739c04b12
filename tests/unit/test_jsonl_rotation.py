"""The file is renamed, copied, truncated or removed by others, at the worst moments: each event is in it once."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slurmwatchd.errors import SinkError
from slurmwatchd.sinks.conformance import make_events
from tests.unit.subjects import Jsonl, delivery_to, disk_full


@pytest.fixture
def subject(tmp_path: Path) -> Jsonl:
    return Jsonl(tmp_path / "jobs.jsonl")


def _in(path: Path) -> list[int]:
    return [json.loads(line)["job_id_raw"] for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("create", [True, False], ids=["with create", "without create"])
@pytest.mark.parametrize("told", [True, False], ids=["SIGHUP", "nobody says so"])
async def test_after_a_rotation_lines_go_to_the_new_file(subject: Jsonl, create: bool, told: bool) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    subject.rotate(create=create)
    if told:
        await delivery.sink.reopen()
    await delivery.deliver(make_events(4, 5))
    assert _in(subject.path) == [4, 5]
    assert _in(subject.path.with_name("jobs.jsonl.1")) == [1, 2, 3]


@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "crashes"])
@pytest.mark.parametrize("times", [1, 2])
async def test_rotation_between_a_write_and_its_cursor_repeats_nothing(
    subject: Jsonl, dies: bool, times: int
) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    await delivery.write(make_events(4, 6))
    for _ in range(times):
        subject.rotate()
    if dies:
        await delivery.crash()
    await delivery.deliver(make_events(4, 8))
    await delivery.deliver(make_events(9, 9))
    await delivery.expect(1, 9)
    assert _in(subject.path) == [7, 8, 9]


async def test_whole_batch_in_the_rotated_file_leaves_the_new_one_empty_until_more_comes(subject: Jsonl) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    await delivery.write(make_events(4, 6))
    subject.rotate()
    await delivery.crash()
    await delivery.deliver(make_events(4, 6))
    assert subject.path.read_bytes() == b""
    await delivery.crash()
    await delivery.deliver(make_events(7, 7))
    await delivery.expect(1, 7)


async def test_line_cut_off_in_the_rotated_file_is_completed_there(subject: Jsonl) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    with disk_full(subject.path.stat().st_size + 700), pytest.raises(SinkError):
        await delivery.write(make_events(4, 6))
    subject.rotate()
    await delivery.crash()
    await delivery.deliver(make_events(4, 6))
    await delivery.expect(1, 6)
    assert _in(subject.path.with_name("jobs.jsonl.1")) == [1, 2, 3, 4, 5]
    assert _in(subject.path) == [6]


async def test_crash_between_the_two_halves_of_a_batch_that_a_rotation_divided(subject: Jsonl) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    await delivery.write(make_events(4, 5))
    subject.rotate()
    await delivery.write(make_events(4, 9))
    await delivery.crash()
    await delivery.deliver(make_events(4, 9))
    await delivery.expect(1, 9)
    assert _in(subject.path) == [6, 7, 8, 9]


@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "crashes"])
async def test_batch_that_two_rotations_divided_on_a_full_disk_is_put_together(subject: Jsonl, dies: bool) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    with disk_full(subject.path.stat().st_size + 700), pytest.raises(SinkError):
        await delivery.write(make_events(4, 30))
    subject.rotate()
    # Room enough to complete the line in the first file, and for the next few in the second.
    with disk_full(subject.path.with_name("jobs.jsonl.1").stat().st_size + 500), pytest.raises(SinkError):
        await delivery.write(make_events(4, 30))
    subject.rotate()
    assert [path.stat().st_size > 0 for path in sorted(subject.path.parent.iterdir())] == [False, True, True]
    if dies:
        await delivery.crash()
    await delivery.deliver(make_events(4, 30))
    await delivery.expect(1, 30)


async def test_copytruncate_goes_on_at_the_beginning(subject: Jsonl) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    subject.path.with_name("jobs.jsonl.1").write_bytes(subject.path.read_bytes())
    subject.path.open("wb").close()
    await delivery.deliver(make_events(4, 5))
    await delivery.expect(1, 5)
    assert _in(subject.path) == [4, 5]


@pytest.mark.parametrize("again", [4, 9], ids=["still shorter than before", "longer than before"])
async def test_copytruncate_and_crash_repeat_nothing_that_is_still_there(subject: Jsonl, again: int) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    subject.path.with_name("jobs.jsonl.1").write_bytes(subject.path.read_bytes())
    subject.path.open("wb").close()
    await delivery.write(make_events(4, again))
    await delivery.crash()
    await delivery.deliver(make_events(4, again + 1))
    await delivery.expect(1, again + 1)


@pytest.mark.parametrize("copied_all", [True, False])
async def test_copytruncate_says_whether_the_copy_has_all_that_was_written(
    subject: Jsonl, copied_all: bool, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    copied = subject.path.read_bytes()
    if not copied_all:
        await delivery.deliver(make_events(4, 4))
    subject.path.with_name("jobs.jsonl.1").write_bytes(copied)
    subject.path.open("wb").close()
    await delivery.deliver(make_events(5, 5))
    assert _in(subject.path) == [5]
    assert ("which had copied all of it" in caplog.text) is copied_all
    assert ("no copy beside it has all that was written" in caplog.text) is not copied_all


async def test_file_that_may_not_be_written_is_an_error_and_loses_nothing(subject: Jsonl) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    await delivery.sink.reopen()
    # Root may write a file of mode 0400: a folder in its place cannot be opened by anybody.
    kept = subject.path.with_name("kept")
    subject.path.rename(kept)
    subject.path.mkdir()
    with pytest.raises(SinkError, match=r"jobs\.jsonl"):
        await delivery.write(make_events(4, 5))
    subject.path.rmdir()
    kept.rename(subject.path)
    await delivery.deliver(make_events(4, 5))
    await delivery.expect(1, 5)


async def test_file_that_was_replaced_by_an_edited_copy_gets_what_comes_next(subject: Jsonl) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    edited = subject.path.with_name("edited")
    edited.write_bytes(b"".join(subject.path.read_bytes().splitlines(keepends=True)[1:]))
    edited.rename(subject.path)
    await delivery.deliver(make_events(4, 5))
    assert _in(subject.path) == [2, 3, 4, 5]
    await delivery.crash()
    await delivery.deliver(make_events(6, 6))
    assert _in(subject.path) == [2, 3, 4, 5, 6]


async def test_another_file_that_got_the_inode_of_ours_is_not_taken_for_it(subject: Jsonl) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    size = subject.path.stat().st_size
    # Truncating and filling keeps the inode: what a file system does that gives the number out again.
    subject.path.write_bytes(b'{"id":"not ours","job_id_raw":0}\n' * (size // 30))
    assert subject.path.stat().st_size > size
    await delivery.crash()
    await delivery.deliver(make_events(4, 6))
    assert _in(subject.path)[-4:] == [0, 4, 5, 6]
    assert subject.path.read_bytes().count(b'{"id":"not ours","job_id_raw":0}\n') == size // 30


@pytest.mark.parametrize("pending", [False, True])
async def test_file_that_was_removed_is_made_anew(subject: Jsonl, pending: bool) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    if pending:
        await delivery.write(make_events(4, 5))
    subject.path.unlink()
    await delivery.deliver(make_events(4, 6))
    assert _in(subject.path) == [4, 5, 6]


async def test_folder_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    subject = Jsonl(tmp_path / "logs" / "jobs.jsonl")
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    subject.path.unlink()
    subject.path.parent.rmdir()
    await delivery.deliver(make_events(4, 4))
    assert _in(subject.path) == [4]


@pytest.fixture
def closed(subject: Jsonl) -> Iterator[Callable[[], None]]:
    """Rotates the file and takes from us, and from root, the right to write it."""
    rotated, chattr = subject.path.with_name("jobs.jsonl.1"), shutil.which("chattr")

    def close() -> None:
        subject.rotate()
        rotated.chmod(0o440)
        is_root = os.access(rotated, os.W_OK)
        if is_root and (chattr is None or subprocess.run([chattr, "+i", rotated], check=False).returncode != 0):
            pytest.skip("nothing is unwritable for root: there is no chattr, or not for this file system")

    yield close
    if chattr is not None and os.geteuid() == 0:
        subprocess.run([chattr, "-i", rotated], check=False)


async def test_rotated_file_that_is_closed_to_us_holds_nothing_up(
    subject: Jsonl, closed: Callable[[], None]
) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    await delivery.write(make_events(4, 6))
    closed()
    await delivery.deliver(make_events(4, 8))
    assert _in(subject.path) == [7, 8]


async def test_line_cut_off_in_a_file_that_is_closed_to_us_goes_to_the_next_one(
    subject: Jsonl, closed: Callable[[], None]
) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    await delivery.write(make_events(4, 6))
    size = subject.path.stat().st_size
    os.truncate(subject.path, size - 20)
    closed()
    await delivery.deliver(make_events(4, 7))
    assert _in(subject.path) == [6, 7]
    rotated = subject.path.with_name("jobs.jsonl.1").read_bytes()
    assert len(rotated) == size - 20


async def test_file_that_was_removed_is_not_said_to_be_truncated(
    subject: Jsonl, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    subject.path.unlink()
    await delivery.deliver(make_events(4, 5))
    await delivery.deliver(make_events(6, 6))
    assert _in(subject.path) == [4, 5, 6]
    told = [record.getMessage() for record in caplog.records]
    assert sum("last file written not found" in line for line in told) == 1
    assert not [line for line in told if "truncated" in line]
