"""What a file's footer decides, and what only its rows do: the same rows either way."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slurmwatchd.store.archive import arrow
from slurmwatchd.store.archive.files import Dataset
from slurmwatchd.store.archive.parquet import ROW, ArchiveFile, Range
from slurmwatchd.store.read.query import Question

TIMES = [
    # Start and end, seconds; four rows to a row group.
    (10, 20), (11, 21), (5, 22), (None, 23),
    (30, 40), (31, 41), (32, 42), (33, 43),
    (None, 50), (None, 51), (None, 52), (None, None),
    (1, 60), (59, 61), (60, 62), (61, 63),
]  # fmt: skip

RANGES: list[tuple[dict[str, Range], list[int]]] = [
    ({}, list(range(16))),
    ({"end": Range(40_000, 43_000)}, [4, 5, 6, 7]),
    ({"end": Range(41_000, 42_000)}, [5, 6]),
    ({"end": Range(41_001, 41_999)}, []),
    ({"end": Range(None, 21_000)}, [0, 1]),
    ({"end": Range(62_000, None)}, [14, 15]),
    ({"end": Range(70_000, None)}, []),
    ({"end": Range()}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15]),
    ({"start": Range(None, 31_000), "end": Range(22_000, None)}, [2, 4, 5, 12]),
    ({"start": Range(None, None), "end": Range(23_000, 51_000)}, [4, 5, 6, 7]),
]


def write(path: Path, **options: Any) -> Path:  # noqa: ANN401 - of pyarrow
    columns: dict[str, list[Any]] = {name: [None] * len(TIMES) for name in arrow.schema(pa).names}
    columns |= {
        "cluster": ["sim"] * len(TIMES),
        "job_id_raw": list(range(len(TIMES))),
        "submit": [1000] * len(TIMES),
        "account": [f"account {number}" for number in range(len(TIMES))],
        "nodes": [[f"n{number}", f"m{number}"] for number in range(len(TIMES))],
    }
    for name, times in zip(("start", "end"), zip(*TIMES, strict=True), strict=True):
        columns[name] = [None if time is None else time * 1000 for time in times]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns, schema=arrow.schema(pa)), path, row_group_size=4, **options)
    return path


def asked(path: Path, ranges: dict[str, Range]) -> tuple[list[int], int, list[int]]:
    """Which rows are found, how many are counted, and in how many row groups the rows had to be looked at."""
    rows, count, looked = [], 0, []
    with ArchiveFile(pa, pq, path) as file:
        for group in file.groups():
            left = group.undecided(ranges)
            if left is None:
                continue
            looked += [group.number] if left else []
            count += file.count(group, left) if left else group.rows
            hits = file.hits(group, left)
            if hits is not None:
                table = file.rows(group, hits, ["job_id_raw", "end", ROW])
                assert table["job_id_raw"].to_pylist() == table[ROW].to_pylist()
                rows += table[ROW].to_pylist()
    return rows, count, looked


@pytest.mark.parametrize(("ranges", "expected"), RANGES)
@pytest.mark.parametrize("statistics", [True, False])
def test_rows_are_those_in_the_ranges_whatever_the_footer_says(
    tmp_path: Path, ranges: dict[str, Range], expected: list[int], statistics: bool
) -> None:
    rows, count, _ = asked(write(tmp_path / "file.parquet", write_statistics=statistics), ranges)
    assert (rows, count) == (expected, len(expected))


def test_what_the_footer_decides_is_not_looked_at(tmp_path: Path) -> None:
    path = write(tmp_path / "file.parquet")
    assert asked(path, {"end": Range(40_000, 43_000)})[2] == []
    assert asked(path, {"end": Range(41_000, None)})[2] == [1, 2]
    assert asked(path, {"start": Range(None, 33_000), "end": Range(20_000, None)})[2] == [0, 3]


def test_a_file_without_a_column_has_it_empty(tmp_path: Path) -> None:
    path = write(tmp_path / "file.parquet")
    pq.write_table(pq.ParquetFile(path).read().drop_columns(["start", "qos"]), path, row_group_size=4)
    assert asked(path, {"start": Range(None, 99_000), "end": Range(0, None)})[0] == []
    with ArchiveFile(pa, pq, path) as file:
        table = file.read(file.groups()[1], ["qos", "job_id_raw"])
    assert table.schema == pa.schema([("qos", pa.string()), ("job_id_raw", pa.int64())])
    assert table.to_pylist() == [{"qos": None, "job_id_raw": number} for number in (4, 5, 6, 7)]


@pytest.mark.parametrize(
    "options", [{}, {"dictionary_pagesize_limit": 20, "data_page_size": 1}, {"use_dictionary": False}]
)
def test_node_hours_do_not_depend_on_how_texts_are_written(tmp_path: Path, options: dict[str, Any]) -> None:
    write(tmp_path / "archive" / "day=1970-01-01" / "sim-1.parquet", **options)
    dataset = Dataset(tmp_path / "archive")
    dataset.refresh()
    found = list(dataset.add_up(0, Question(running_from=21, running_until=40), "account", tuple))
    assert sorted(found) == [
        ("account 1", 1, 1, 0), ("account 12", 1, 0, 38), ("account 2", 1, 1, 2), ("account 4", 1, 1, 20),
        ("account 5", 1, 0, 18), ("account 6", 1, 0, 16), ("account 7", 1, 0, 14),
    ]  # fmt: skip
