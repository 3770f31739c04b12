"""No cursor moves before the disk has what it moves past: bytes, and the name of a new file."""

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from slurmwatchd.errors import SinkError
from slurmwatchd.sinks.conformance import make_events
from tests.unit.subjects import Jsonl, delivery_to


@pytest.fixture
def subject(tmp_path: Path) -> Jsonl:
    return Jsonl(tmp_path / "jobs.jsonl")


def broken_disk(descriptor: int) -> NoReturn:
    """Take every byte, and say that it could not be kept only to who asks."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


async def test_lines_that_the_disk_did_not_keep_are_no_delivery(
    subject: Jsonl, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 2))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", broken_disk)
        with pytest.raises(SinkError, match=r"jobs\.jsonl: Input/output error"):
            await delivery.write(make_events(3, 4))
    await delivery.deliver(make_events(3, 5))
    await delivery.expect(1, 5)


async def test_lines_found_in_a_rotated_file_are_no_delivery_before_the_disk_has_them(
    subject: Jsonl, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 2))
    # Whoever wrote these died before the disk had said anything, and all of them are in the file that was rotated.
    await delivery.write(make_events(3, 4))
    subject.rotate()
    await delivery.crash()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", broken_disk)
        with pytest.raises(SinkError, match=r"jobs\.jsonl: Input/output error"):
            await delivery.write(make_events(3, 4))
    await delivery.deliver(make_events(3, 5))
    await delivery.expect(1, 5)


@pytest.mark.parametrize("create", [True, False], ids=["made by logrotate", "made by us"])
async def test_new_file_whose_name_the_disk_did_not_keep_gets_no_lines(
    subject: Jsonl, monkeypatch: pytest.MonkeyPatch, create: bool
) -> None:
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 2))
    subject.rotate(create=create)
    with monkeypatch.context() as patched:
        # What syncs a folder; a file's bytes are synced by fdatasync.
        patched.setattr(os, "fsync", broken_disk)
        with pytest.raises(SinkError, match=r"jobs\.jsonl: Input/output error"):
            await delivery.write(make_events(3, 4))
    assert subject.path.read_bytes() == b""
    await delivery.deliver(make_events(3, 4))
    await delivery.expect(1, 4)
