"""Where the archive's files are: `DATASET/day=2026-11-23/CLUSTER-N.parquet`.

The cluster stands in the file's name for people only; readers take it from its column, where `007` stays text. A
day that is written again gets the next number, and the old file goes at the same moment: under its old name a
reader that keeps a dataset open would find none of the new rows. What is being written lies in a folder beside the
dataset, since some readers count files inside it whatever their names.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote

DAY_SECONDS = 86_400

_FOLDER = re.compile(r"day=(\d{4}-\d{2}-\d{2})")
_FILE = re.compile(r"(.+)-(\d+)\.parquet", re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class DayFile:
    """One day of one cluster.

    Attributes:
        day: Days since 1970-01-01, UTC.
        number: How often the day was written.
    """

    day: int
    cluster: str
    number: int
    path: Path


def day_of(moment: int) -> int:
    """Return the day of a moment, epoch seconds."""
    return moment // DAY_SECONDS


def day_text(day: int) -> str:
    """Write a day as `2026-11-23`."""
    return datetime.fromtimestamp(day * DAY_SECONDS, UTC).strftime("%Y-%m-%d")


def folder_name(day: int) -> str:
    """Return the name of a day's folder."""
    return f"day={day_text(day)}"


def file_name(cluster: str, number: int) -> str:
    """Return the name of a file. Names that readers take for hidden ones, and marks of paths, are escaped."""
    name = quote(cluster, safe="")
    if name.startswith((".", "_")):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    return f"{name}-{number}.parquet"


def beside(dataset: Path) -> Path:
    """Return the folder for what is not finished; on the same disk, or nothing could be moved from there."""
    return dataset.with_name(f"{dataset.name}.tmp")


def files(dataset: Path, *, since: int | None = None) -> list[DayFile]:
    """Return the files of the archive, oldest day first.

    Args:
        dataset: The archive.
        since: The first day that matters: the folders of those before are not looked into.

    Raises:
        OSError: The dataset cannot be read. One that is not there has no files.
    """
    try:
        folders = sorted(entry.name for entry in os.scandir(dataset))
    except FileNotFoundError:
        return []
    return [file for name in folders for file in files_of_day(dataset, name, since=since)]


def files_of_day(dataset: Path, folder: str, *, since: int | None = None) -> Iterator[DayFile]:
    """Give the files of one day's folder; nothing where it is none of ours, or of a day before `since`."""
    match = _FOLDER.fullmatch(folder)
    if match is None:
        return
    try:
        day = int(datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp()) // DAY_SECONDS
    except ValueError:
        # No date: `day=2026-02-30`.
        return
    if since is not None and day < since:
        return
    try:
        names = sorted(entry.name for entry in os.scandir(dataset / folder))
    except FileNotFoundError:
        return
    for name in names:
        if (parts := _FILE.fullmatch(name)) is not None:
            yield DayFile(day, unquote(parts[1]), int(parts[2]), dataset / folder / name)


def file_of(dataset: Path, cluster: str, day: int) -> DayFile | None:
    """Return the file of a day; None where it has none."""
    found = [file for file in files_of_day(dataset, folder_name(day)) if file.cluster == cluster]
    return max(found, key=lambda file: file.number, default=None)
