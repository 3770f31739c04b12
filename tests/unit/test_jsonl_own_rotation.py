"""Rotation of our own: by size, by time, so many files, compressed; and nothing lost or twice come what may."""

import gzip
import json
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from slurmwatchd.sinks.base import Sink
from slurmwatchd.sinks.conformance import CHECKS, FIRST_END, Check, make_events
from slurmwatchd.sinks.jsonl import JsonlOptions, JsonlSink
from slurmwatchd.sinks.jsonl_files import lines
from slurmwatchd.telemetry.metrics import Metrics
from tests.unit.subjects import Jsonl, delivery_to, disk_full

DAY = 86_400


class Rotating(Jsonl):
    """A file that the sink itself rotates; before every batch, where nothing else is asked for."""

    def __init__(self, path: Path, **options: Any) -> None:  # noqa: ANN401 - as they stand in the file
        super().__init__(path)
        self.options = {"rotate_size": "1B", "rotate_keep": 1000, **options}

    def make(self, metrics: Metrics) -> Sink:
        self.metrics = metrics
        options = JsonlOptions.model_validate({"type": "jsonl", "path": self.path, **self.options})
        return JsonlSink("jobs", options, self.metrics)

    def broken(self) -> AbstractContextManager[None]:
        # What is written then goes to a new file.
        return disk_full(800)

    def records(self) -> list[dict[str, Any]]:
        """Every line of every file, the oldest file first."""
        number = {path: int([*path.suffixes, ".0"][1][1:]) for path in self.path.parent.glob("jobs.jsonl*")}
        files = sorted(number, key=lambda path: -number[path])
        texts = [
            gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in files
        ]
        return [json.loads(line) for text in texts for line in text.splitlines()]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def ids(path: Path) -> list[int]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line)["job_id_raw"] for line in text.splitlines()]


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_a_sink_that_rotates_before_every_batch_conforms(
    check: Check, tmp_path: Path, compress: bool
) -> None:
    await check(Rotating(tmp_path / "jobs.jsonl", rotate_compress=compress))


async def test_large_file_is_renamed_and_all_but_the_newest_are_packed_and_counted(tmp_path: Path) -> None:
    subject = Rotating(tmp_path / "jobs.jsonl", rotate_size="2kB", rotate_keep=3)
    delivery = await delivery_to(subject)
    # A line has some 500 bytes: the file is over 2,000 with the fifth at the latest, and renamed before the next.
    for first in range(1, 31, 5):
        await delivery.deliver(make_events(first, first + 4))
    assert names(tmp_path) == ["jobs.jsonl", "jobs.jsonl.1", "jobs.jsonl.2.gz", "jobs.jsonl.3.gz"]
    kept = [ids(tmp_path / name) for name in ("jobs.jsonl.3.gz", "jobs.jsonl.2.gz", "jobs.jsonl.1", "jobs.jsonl")]
    assert kept == [[*range(first, first + 5)] for first in (11, 16, 21, 26)]


async def test_file_below_its_size_is_left_alone(tmp_path: Path) -> None:
    delivery = await delivery_to(Rotating(tmp_path / "jobs.jsonl", rotate_size="1MB"))
    for first in range(1, 31, 5):
        await delivery.deliver(make_events(first, first + 4))
    assert names(tmp_path) == ["jobs.jsonl"]


@pytest.mark.parametrize(
    ("written", "rotated"), [(-1, True), (0, False)], ids=["before midnight", "after midnight"]
)
async def test_file_of_yesterday_is_renamed_before_the_first_line_of_today(
    tmp_path: Path, written: int, rotated: bool
) -> None:
    subject = Rotating(tmp_path / "jobs.jsonl", rotate_size="0B", rotate_every="1d")
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    midnight = FIRST_END - FIRST_END % DAY
    os.utime(subject.path, (midnight + written, midnight + written))
    await delivery.deliver(make_events(4, 6))
    await delivery.deliver(make_events(7, 8))
    await delivery.expect(1, 8)
    assert names(tmp_path) == (["jobs.jsonl", "jobs.jsonl.1"] if rotated else ["jobs.jsonl"])
    assert ids(subject.path) == ([4, 5, 6, 7, 8] if rotated else [*range(1, 9)])


async def test_what_the_cursor_does_not_know_of_is_not_renamed_away(tmp_path: Path) -> None:
    subject = Rotating(tmp_path / "jobs.jsonl", rotate_size="2kB")
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    await delivery.write(make_events(4, 6))
    assert subject.path.stat().st_size > 2_000
    await delivery.crash()
    await delivery.deliver(make_events(4, 9))
    assert names(tmp_path) == ["jobs.jsonl"]
    await delivery.deliver(make_events(10, 11))
    assert (ids(tmp_path / "jobs.jsonl.1"), ids(subject.path)) == ([*range(1, 10)], [10, 11])


async def test_a_packed_file_has_the_times_and_the_rights_of_the_plain_one(tmp_path: Path) -> None:
    subject = Rotating(tmp_path / "jobs.jsonl")
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    subject.path.chmod(0o604)
    os.utime(subject.path, ns=(0, 1_790_000_000_123_456_789))
    await delivery.deliver(make_events(4, 6))
    await delivery.deliver(make_events(7, 8))
    found = (tmp_path / "jobs.jsonl.2.gz").stat()
    assert (found.st_mtime_ns, found.st_mode & 0o777) == (1_790_000_000_123_456_789, 0o604)


@pytest.mark.parametrize("died", ["while packing", "before the plain file went", "between two renames"])
async def test_what_a_crash_left_half_done_is_finished_and_nothing_of_it_twice(tmp_path: Path, died: str) -> None:
    subject = Rotating(tmp_path / "jobs.jsonl")
    delivery = await delivery_to(subject)
    for first in (1, 3, 5, 7):
        await delivery.deliver(make_events(first, first + 1))
    assert names(tmp_path) == ["jobs.jsonl", "jobs.jsonl.1", "jobs.jsonl.2.gz", "jobs.jsonl.3.gz"]
    packed = tmp_path / "jobs.jsonl.2.gz"
    plain = packed.with_suffix("")
    if died == "while packing":
        plain.write_bytes(gzip.decompress(packed.read_bytes()))
        (tmp_path / ".jobs.jsonl.2.gz.part").write_bytes(packed.read_bytes()[:20])
        packed.unlink()
    elif died == "before the plain file went":
        plain.write_bytes(gzip.decompress(packed.read_bytes()))
        subject.options["rotate_compress"] = False
    else:
        (tmp_path / "jobs.jsonl.3.gz").rename(tmp_path / "jobs.jsonl.4.gz")
    await delivery.crash()
    await delivery.deliver(make_events(9, 10))
    await delivery.expect(1, 10)
    assert not [name for name in names(tmp_path) if name.endswith(".part")]
    assert len(list(lines(subject.path))) == 10
    assert len(names(tmp_path)) == 5


async def test_what_a_crash_left_half_done_is_finished_at_the_start_where_no_rotation_is_due(
    tmp_path: Path,
) -> None:
    subject = Rotating(tmp_path / "jobs.jsonl", rotate_size="1MB")
    delivery = await delivery_to(subject)
    (tmp_path / "jobs.jsonl.2").write_bytes(b"the same\n")
    (tmp_path / "jobs.jsonl.2.gz").write_bytes(gzip.compress(b"the same\n"))
    (tmp_path / "jobs.jsonl.3").write_bytes(b"older\n")
    await delivery.deliver(make_events(1, 3))
    assert names(tmp_path) == ["jobs.jsonl", "jobs.jsonl.2.gz", "jobs.jsonl.3.gz"]
    assert gzip.decompress((tmp_path / "jobs.jsonl.3.gz").read_bytes()) == b"older\n"


async def test_a_rename_that_fails_is_said_and_holds_no_event_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    subject = Rotating(tmp_path / "jobs.jsonl")
    (tmp_path / "jobs.jsonl.1").mkdir()
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    await delivery.deliver(make_events(4, 6))
    assert ids(subject.path) == [1, 2, 3, 4, 5, 6]
    assert "the file cannot be rotated" in caplog.text


async def test_names_of_other_files_are_left_alone(tmp_path: Path) -> None:
    others = ["jobs.jsonl.01", "jobs.jsonl.old", "jobs.jsonl-20261123", "jobs.jsonl.2.xz", "other.jsonl.1"]
    for name in others:
        (tmp_path / name).write_bytes(b"")
    delivery = await delivery_to(Rotating(tmp_path / "jobs.jsonl", rotate_keep=1))
    for first in (1, 3, 5):
        await delivery.deliver(make_events(first, first + 1))
    assert names(tmp_path) == sorted([*others, "jobs.jsonl", "jobs.jsonl.1"])


@pytest.mark.parametrize(
    ("text", "size"), [("100MB", 100_000_000), ("1.5kB", 1500), ("2TB", 2 * 10**12), ("0B", 0)]
)
def test_sizes_are_read_and_written(tmp_path: Path, text: str, size: int) -> None:
    options = JsonlOptions(type="jsonl", path=tmp_path / "x", rotate_size=text)
    assert options.rotate_size == size
    written = {"1.5kB": "1500B"}.get(text, text)
    assert options.model_dump(mode="json")["rotate_size"] == written


@pytest.mark.parametrize("text", ["100", "100 MB", "1.0005kB", "-1MB", "100MiB", 100, ""])
def test_what_is_no_size_is_refused_by_name(tmp_path: Path, text: object) -> None:
    with pytest.raises(ValueError, match="rotate_size"):
        JsonlOptions(type="jsonl", path=tmp_path / "x", rotate_size=text)
