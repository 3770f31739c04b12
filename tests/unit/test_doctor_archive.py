"""`check` looks at where the archive is to be: the dataset, and the folder beside it."""

from pathlib import Path

import pytest

from slurmwatchd.config.settings import ArchiveSection, Config, StoreSection, WebSection
from slurmwatchd.operations.doctor import machine
from slurmwatchd.operations.doctor.findings import Severity


def found(folder: Path, archive: Path | str) -> list[tuple[Severity, str]]:
    config = Config(
        archive=ArchiveSection(path=str(archive)),
        store=StoreSection(path=folder / "store.db"),
        web=WebSection(listen=""),
    )
    return [(each.mark, each.text) for each in machine.examine(config, lambda: None) if each.check == "archive"]


def test_without_an_archive_nothing_is_said_of_one(tmp_path: Path) -> None:
    assert found(tmp_path, "") == []


def test_a_folder_to_be_made_and_one_that_is_there(tmp_path: Path) -> None:
    ((mark, text),) = found(tmp_path, tmp_path / "archive")
    assert (mark, text.startswith(f"{tmp_path}/archive: writable, ")) == (Severity.OK, True)
    (tmp_path / "archive").mkdir()
    ((mark, text),) = found(tmp_path, tmp_path / "archive")
    assert (mark, text.startswith(f"{tmp_path}/archive.tmp: writable, ")) == (Severity.OK, True)


@pytest.mark.parametrize("name", ["archive", "archive.tmp"])
def test_a_file_in_the_way_of_either(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    assert found(tmp_path, tmp_path / "archive") == [(Severity.FAILED, f"{tmp_path}/{name} is not a folder")]


def test_a_mount_point_cannot_be_exchanged_with_what_is_beside_it(tmp_path: Path) -> None:
    ((mark, text),) = found(tmp_path, "/proc")
    assert mark is Severity.FAILED
    assert text == "/proc is a mount point, so that no file can be moved to it from /proc.tmp"


def test_a_folder_that_this_user_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "archive").mkdir()
    # root may write everywhere.
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    ((mark, text),) = found(tmp_path, tmp_path / "archive")
    assert (mark, text) == (
        Severity.FAILED,
        f"{tmp_path}/archive cannot be written: {tmp_path}/archive forbids it",
    )
