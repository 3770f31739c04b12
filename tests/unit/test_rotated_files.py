"""What was rotated away from a file: verify and the read-back see the same files, however they are packed."""

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from slurmwatchd.errors import VerifyError
from slurmwatchd.operations.verify import files
from slurmwatchd.operations.verify.files import OpenFiles
from slurmwatchd.sinks import rotated_files
from slurmwatchd.sinks.jsonl_files import lines
from slurmwatchd.sinks.rotated_files import rotated_names

LINE = b'{"id":"929bfcde-667f-56bd-a4fc-b11ffb267c89","seq":7}\n'
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".lzma": lambda text: lzma.compress(text, lzma.FORMAT_ALONE),
}
UNKNOWN = (".zst", ".lz4", ".lzo", ".Z", ".zip", ".br")


def verified(path: Path) -> list[int | None]:
    with OpenFiles(path, since=0) as opened:
        return [line.seq for read in opened for line in read]


def rotate(path: Path) -> None:
    """Rename as logrotate does, oldest first, and make a new file with `create`."""
    for number in (2, 1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))
    path.write_bytes(LINE.replace(b"7", b"9"))


def three_files(folder: Path) -> Path:
    path = folder / "jobs.jsonl"
    for number, (name, when) in enumerate((("jobs.jsonl.2", 100), ("jobs.jsonl.1", 200), ("jobs.jsonl", 300)), 1):
        (folder / name).write_bytes(LINE.replace(b'"seq":7', b'"seq":%d' % number))
        os.utime(folder / name, (when, when))
    return path


@pytest.mark.parametrize("opened_before", [0, 1, 2])
def test_rotation_while_files_are_opened_makes_verify_miss_none_and_read_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened_before: int
) -> None:
    path, count = three_files(tmp_path), 0

    def rotating(file: Path) -> IO[bytes]:
        nonlocal count
        if count == opened_before:
            rotate(path)
        count += 1
        return rotated_files.opened(file)

    monkeypatch.setattr(files, "opened", rotating)
    assert verified(path) == [1, 2, 3, 9]


def test_files_that_are_renamed_again_and_again_are_no_endless_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = three_files(tmp_path)

    def rotating(file: Path) -> IO[bytes]:
        rotate(path)
        return rotated_files.opened(file)

    monkeypatch.setattr(files, "opened", rotating)
    with pytest.raises(VerifyError, match=r"jobs\.jsonl: the files are renamed again and again; try later$"):
        verified(path)


@pytest.mark.parametrize("read_before", [1, 2, 3])
def test_rotation_while_a_new_store_reads_the_files_leaves_none_out(tmp_path: Path, read_before: int) -> None:
    path = three_files(tmp_path)
    reading = lines(path)
    found = [next(reading).seq for _ in range(read_before)]
    rotate(path)
    assert sorted([*found, *(line.seq for line in reading)]) == [1, 2, 3, 9]


@pytest.mark.parametrize("suffix", PACKINGS)
def test_both_unpack_what_logrotate_packs(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.with_name(f"jobs.jsonl.1{suffix}").write_bytes(PACKINGS[suffix](LINE))
    assert [line.seq for line in lines(path)] == [7]
    assert verified(path) == [7]


@pytest.mark.parametrize("suffix", UNKNOWN)
def test_both_know_what_they_cannot_unpack(
    suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "jobs.jsonl"
    path.with_name(f"jobs.jsonl-20261123{suffix}").write_bytes(LINE)
    path.write_bytes(LINE)
    assert [line.seq for line in lines(path)] == [7]
    said = caplog.text + "".join(capsys.readouterr())
    assert "compression not supported" in said
    assert f"jobs.jsonl-20261123{suffix}" in said
    with pytest.raises(VerifyError, match=rf"jobs\.jsonl-20261123{suffix}: unsupported compression"):
        verified(path)


@pytest.mark.parametrize("suffix", [suffix for suffix in PACKINGS if suffix])
def test_a_file_that_is_being_packed_is_read_once_and_a_damaged_one_is_said(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    whole, packed = path.with_name("jobs.jsonl.1"), path.with_name(f"jobs.jsonl.1{suffix}")
    whole.write_bytes(LINE)
    packed.write_bytes(PACKINGS[suffix](LINE)[:12])
    assert [line.seq for line in lines(path)] == [7]
    assert verified(path) == [7]
    whole.unlink()
    assert [line.seq for line in lines(path)] == []
    with pytest.raises(VerifyError, match=r"cannot be read"):
        verified(path)


def test_names_come_in_order_and_without_those_of_others(tmp_path: Path) -> None:
    path = tmp_path / "jobs[1].jsonl"
    names = (
        "jobs[1].jsonl.2",
        "jobs[1].jsonl-20261123.gz",
        "jobs[1].jsonl.1",
        "jobs[1].jsonl.backup",
        "jobs1.jsonl.1",
    )
    for age, name in enumerate(names):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (1000 + age, 1000 + age))
    assert [name.name for _, name in rotated_names(path)] == list(names[:3])
    assert [name.name for _, name in rotated_names(path, [tmp_path / names[0]])] == list(names[1:3])
