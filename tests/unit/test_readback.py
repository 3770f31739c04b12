"""What files of JSON lines hold is read back: whatever they were renamed to, however they are spoilt."""

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from slurmwatchd.model import formats
from slurmwatchd.model.records import EventKind
from slurmwatchd.sinks.conformance import FIRST_END, make_event
from slurmwatchd.sinks.jsonl_files import lines


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


@pytest.mark.parametrize("place", ["head", "middle"])
@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress])
def test_compressed_file_that_is_damaged_costs_no_other_file(
    tmp_path: Path, compress: Callable[[bytes], bytes], place: str
) -> None:
    suffix = {gzip.compress: "gz", lzma.compress: "xz", bz2.compress: "bz2"}[compress]
    packed = bytearray(compress(b"".join(_text(number) for number in range(4000))))
    begin = 0 if place == "head" else len(packed) // 2
    packed[begin : begin + 100] = bytes(byte ^ 0xFF for byte in packed[begin : begin + 100])
    (tmp_path / f"jobs.jsonl.1.{suffix}").write_bytes(packed)
    (tmp_path / "jobs.jsonl").write_bytes(_text(5000))
    assert _seqs(tmp_path / "jobs.jsonl")[-1] == 5000


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    # Opening it works, and reading it does not.
    (tmp_path / "jobs.jsonl").symlink_to("/proc/self/mem")
    with pytest.raises(OSError, match="Input/output error") as raised:
        _seqs(tmp_path / "jobs.jsonl")
    assert raised.value.filename == str(tmp_path / "jobs.jsonl")


def test_numbers_no_store_can_have_are_none(tmp_path: Path) -> None:
    line = {
        "id": str(UUID(int=7)),
        "seq": 1 << 63,
        "revision": -1,
        "cluster": "c",
        "submit": "2026-11-24T06:00:00Z",
    }
    (tmp_path / "jobs.jsonl").write_text(json.dumps({**line, "job_id_raw": 1 << 70}) + "\n", encoding="utf-8")
    (found,) = lines(tmp_path / "jobs.jsonl")
    assert (found.seq, found.revision, found.attempt) == (0, 1, None)


def test_missing_file_holds_nothing(tmp_path: Path) -> None:
    assert _seqs(tmp_path / "jobs.jsonl") == []
