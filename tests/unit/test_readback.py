"""What files of JSON lines hold is read back: whatever they were renamed to, however they are spoilt."""

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from slurmwatchd import formats
from slurmwatchd.records import EventKind
from slurmwatchd.sinks.readback import lines
from slurmwatchd.testing import FIRST_END, make_event


def _text(*numbers: int) -> bytes:
    return b"".join(formats.flat(make_event(number), max_line_bytes=30_000) for number in numbers)


def _seqs(path: Path, others: tuple[Path, ...] = ()) -> list[int]:
    return [line.seq for line in lines(path, others)]


def test_line_tells_what_a_new_store_must_know(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    event = make_event(7, kind=EventKind.JOB_REVISED, revision=3)
    path.write_bytes(formats.flat(event, max_line_bytes=30_000))
    (line,) = lines(path)
    assert line.id.hex() == event.id.replace("-", "")
    assert (line.seq, line.observed, line.revision) == (7, FIRST_END + 8, 3)
    assert line.attempt == ("sim", 7, FIRST_END + 4)


def test_rotated_files_are_read_oldest_first_and_those_of_others_are_not(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    content = {
        "jobs.jsonl-20261101.gz": gzip.compress(_text(1, 2)),
        "jobs.jsonl.3.xz": lzma.compress(_text(3)),
        "jobs.jsonl.2.bz2": bz2.compress(_text(4)),
        "jobs.jsonl.1": _text(5),
        "jobs.jsonl": _text(6),
    }
    for age, (name, text) in enumerate(content.items()):
        (tmp_path / name).write_bytes(text)
        os.utime(tmp_path / name, (FIRST_END + age, FIRST_END + age))
    (tmp_path / "jobs.jsonl-2").write_bytes(_text(20))
    (tmp_path / "jobs.jsonl.lock").write_bytes(_text(21))
    (tmp_path / "more-jobs.jsonl").write_bytes(_text(22))
    assert _seqs(path, (tmp_path / "jobs.jsonl-2",)) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("spoilt", "found"),
    [
        pytest.param(_text(1) + _text(2)[:-1], [1, 2], id="only the newline is missing"),
        pytest.param(_text(1) + _text(2)[:-40], [1], id="last line cut off"),
        pytest.param(b"\x00" * 5000 + b"\n" + _text(1), [1], id="zeros"),
        pytest.param(b'garbage\n{"id":"1"}\n{"id":5}\n[]\n7\n\xff\xfe\n' + _text(1), [1], id="other text"),
        pytest.param(b"", [], id="empty"),
    ],
)
def test_spoilt_lines_cost_only_themselves(tmp_path: Path, spoilt: bytes, found: list[int]) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_bytes(spoilt)
    assert _seqs(path) == found


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress])
def test_compressed_file_that_was_cut_off_is_read_as_far_as_it_goes(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    suffix = {gzip.compress: "gz", lzma.compress: "xz", bz2.compress: "bz2"}[compress]
    (tmp_path / f"jobs.jsonl.1.{suffix}").write_bytes(compress(_text(*range(2000)))[:-20])
    (tmp_path / "jobs.jsonl").write_bytes(_text(5000))
    assert _seqs(tmp_path / "jobs.jsonl")[-1] == 5000


def test_missing_file_holds_nothing(tmp_path: Path) -> None:
    assert _seqs(tmp_path / "jobs.jsonl") == []
