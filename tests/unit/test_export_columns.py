"""Records as columns: what is cut out of many at once is what each row has by itself."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slurmwatchd.cli import export_writers
from slurmwatchd.cli.export_writers import ParquetWriter
from slurmwatchd.model.columns import ColumnKind, columns, cut, row
from slurmwatchd.store.archive import arrow

RECORDS: list[dict[str, Any]] = [
    {"cluster": "tux", "job_id": "1", "job_id_raw": 1, "start": None, "end": "2026-11-20T08:09:10Z"},
    {
        "cluster": "tux", "job_id": "2_[0-9%2]", "job_id_raw": 2, "start": "1969-12-31T23:59:59Z",
        "end": "9999-12-31T23:59:59Z", "flags": "StartMain", "constraints": ["a", "b"], "nodes": [],
        "alloc_tres": {"gres/gpu:a100": 2, "cpu": "?"}, "raw": {"ExitCode": '}{"\\\n', "TRES": "é"},
        "usage": {"cpu_seconds": 1.5, "complete": False, "raw": {"batch.MaxRSS": "?"}},
    },
    {},
    {"name": 'a\u2028"b', "alloc_tres": {}, "usage": None, "nodes": ["n1"]},
    {"usage": {}, "flags": [], "end": "2024-02-29T00:00:00Z"},
]  # fmt: skip


def test_columns_are_the_rows_turned() -> None:
    found = [values if values is not None else [None] * len(RECORDS) for values in cut(RECORDS)]
    assert found == [list(values) for values in zip(*map(row, RECORDS), strict=True)]
    named = dict(zip(columns(), cut(RECORDS), strict=True))
    assert named["alloc_tres"] == [None, '{"gres/gpu:a100":2,"cpu":"?"}', None, "{}", None]
    assert named["flags"] == [None, ["StartMain"], None, None, []]
    assert named["usage_raw"] == [None, '{"batch.MaxRSS":"?"}', None, None, None]
    assert named["qos"] is None


def test_no_records_have_no_columns() -> None:
    assert cut([]) == [None] * len(columns())


def test_parquet_has_what_the_rows_have() -> None:
    stream = io.BytesIO()
    writer = ParquetWriter(stream)
    writer.write(RECORDS[:2])
    writer.write(RECORDS[2:])
    writer.close()
    rows = list(zip(*map(row, RECORDS), strict=True))
    kinds = arrow.types(pa)
    wanted = pa.table({
        name: pa.array(values, pa.string()).cast(kinds[kind])
        if kind is ColumnKind.TIME else pa.array(values, kinds[kind])
        for (name, kind), values in zip(columns().items(), rows, strict=True)
    })  # fmt: skip
    found = pq.read_table(stream)
    assert found.schema == wanted.schema
    assert found.equals(wanted)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59Z", -1000),
        ("2024-02-29T23:59:59Z", 1_709_251_199_000),
        ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        # Spelled as the store never spells them, and read all the same.
        ("2024-02-29T23:59:59.125Z", 1_709_251_199_125),
        ("2024-02-29 23:59:59Z", 1_709_251_199_000),
        ("2024-02-29T23:59:59+01:00", 1_709_247_599_000),
        (None, None),
    ],
)
def test_times_are_read_as_they_are_spelled(text: str | None, milliseconds: int | None) -> None:
    found = arrow.array(pa, ["2026-11-20T08:09:10Z", text], ColumnKind.TIME)
    assert str(found.type) == "timestamp[ms, tz=UTC]"
    assert found.cast(pa.int64()).to_pylist() == [1_795_162_150_000, milliseconds]


@pytest.mark.parametrize(
    "text", ["2026-13-01T00:00:00Z", "2026-11-31T00:00:00Z", "2026-11-20T24:00:00Z", "2026-11-20T08:60:00Z", ""]
)
def test_what_is_no_time_does_not_fit(text: str) -> None:
    with pytest.raises(pa.ArrowInvalid):
        arrow.array(pa, [text], ColumnKind.TIME)


@pytest.mark.parametrize(("limit", "rows"), [("GROUP_BYTES", [2, 2, 1]), ("GROUP_ROWS", [2, 2, 1])])
def test_row_groups_are_bounded(limit: str, rows: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_writers, limit, {"GROUP_BYTES": 2_000_000, "GROUP_ROWS": 2}[limit])
    stream = io.BytesIO()
    writer = ParquetWriter(stream)
    for letter in "abcde":
        writer.write([{"name": letter * 1_100_000}])
    writer.close()
    footer = pq.read_metadata(stream)
    assert [footer.row_group(number).num_rows for number in range(footer.num_row_groups)] == rows
    assert [name[0] for name in pq.read_table(stream)["name"].to_pylist()] == ["a", "b", "c", "d", "e"]
