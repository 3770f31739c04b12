"""Rows of the archive as records: each has values of its own, spelled as the store spells them."""

from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from slurmwatchd.store.archive import arrow
from slurmwatchd.store.archive.parquet import taken
from slurmwatchd.store.archive.records import Record, records_of

TRES = '{"cpu":4,"node":1}'


def records(**columns: list[Any]) -> list[Record]:
    kinds = arrow.archived()
    return records_of(
        pa, pc, pa.table({name: arrow.array(pa, values, kinds[name]) for name, values in columns.items()})
    )


@pytest.mark.parametrize(
    ("column", "text", "path"),
    [
        ("alloc_tres", '{"cpu":4,"node":1}', ("cpu",)),
        ("raw", '{"ExitCode":"{?"}', ("ExitCode",)),
        ("raw", '{"ExitCode":{"text":"?"}}', ("ExitCode", "text")),
        ("raw", '{"ExitCode":["?"]}', ("ExitCode", 0)),
        ("steps", '[{"id":"batch"}]', (0, "id")),
    ],
)
def test_who_changes_a_record_changes_no_other(column: str, text: str, path: tuple[Any, ...]) -> None:
    found = [record[column] for record in records(**{column: [text] * 4})]
    for value in found[:3]:
        for step in path[:-1]:
            value = value[step]  # noqa: PLW2901 - down to what is changed
        value[path[-1]] = "changed"
    assert found[3] == orjson.loads(text)


def test_objects_are_those_of_their_rows() -> None:
    found = records(alloc_tres=[TRES, None, '{"cpu":8}', TRES, "{}"])
    assert found == [
        {"alloc_tres": {"cpu": 4, "node": 1}}, {}, {"alloc_tres": {"cpu": 8}},
        {"alloc_tres": {"cpu": 4, "node": 1}}, {"alloc_tres": {}},
    ]  # fmt: skip


def test_times_are_written_as_the_store_writes_them() -> None:
    found = records(
        submit=["2026-11-23T00:00:00Z", "2024-02-29T23:59:59Z", "1970-01-01T00:00:01Z"],
        start=["2026-11-23T12:34:56Z", None, "9999-12-31T23:59:59Z"],
    )
    assert found == [
        {"submit": "2026-11-23T00:00:00Z", "start": "2026-11-23T12:34:56Z"},
        {"submit": "2024-02-29T23:59:59Z", "start": None},
        {"submit": "1970-01-01T00:00:01Z", "start": "9999-12-31T23:59:59Z"},
    ]


@pytest.mark.parametrize("rows", [[2], [0, 1, 2], [3, 4], [0, 2], [4, 3], [1, 1], [2, 4, 3]])
def test_rows_are_taken_in_the_order_that_is_asked_for(rows: list[int]) -> None:
    assert taken(pa, pa.table({"number": [0, 1, 2, 3, 4]}), rows)["number"].to_pylist() == rows
