"""`schema --for`: each text is taken by its tool as it is, and nothing of a line is lost or changed by it."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.json as pj
import pytest
from click.testing import CliRunner

from slurmwatchd.cli import cli
from slurmwatchd.model.event_fields import HEAD, RECORD, STEP, TAIL, USAGE
from slurmwatchd.model.fields import Field

TIME = "2026-10-31T23:30:00Z"
MOMENT = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)

MIG = "gres/gpu:a100_1g.5gb"
VALUES: dict[str, Any] = {
    # What a reader that guesses would take for a number or a day.
    "string": "007",
    "int": 4_294_967_294,
    "number": 0.5,
    "bool": True,
    "time": TIME,
    "time or null": TIME,
    "[string]": ["n1", "n2"],
    "digits": "9223372036854775809",
    "uuid": "929bfcde-667f-56bd-a4fc-b11ffb267c89",
    "event": "job_usage",
    "schema": 1,
    "found by": "poll",
    "outcome": "completed",
    "tres": {"cpu": 2, "mem_bytes": 4_398_046_511_104, "gres/gpu": 3, MIG: 3},
    "counts": {"matlab@flex": 2},
    "texts": {"Elapsed": "1e5"},
    "changes": {"state": ["RUNNING", "FAILED"], "exit_code": [None, 2], "comment": [None, "007"]},
}


def printed(tool: str) -> str:
    done = CliRunner().invoke(cli, ["schema", "--for", tool])
    assert done.exit_code == 0
    return done.output


def whole_line() -> dict[str, Any]:
    """A line with every field there is."""

    def filled(fields: tuple[Field, ...]) -> dict[str, Any]:
        return {field.name: VALUES[field.kind] for field in fields}

    nested = {"usage": filled(USAGE), "steps": [filled(STEP)]}
    return {field.name: nested.get(field.kind) or VALUES[field.kind] for field in (*HEAD, *RECORD, *TAIL)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Lines with the least a line can have, and last one with everything."""
    whole = whole_line()
    least = {name: whole[name] for name in ("id", "event", "schema", "seq", "job_id", "state")} | {"start": None}
    few = {**least, "alloc_tres": {"cpu": 2, "node": 1}}
    path = tmp_path / "jobs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [few] * 150 + [whole]))
    return path


def with_times(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The same, with moments for times."""
    if isinstance(value, dict):
        return {name: with_times(member) for name, member in value.items()}
    if isinstance(value, list):
        return [with_times(member) for member in value]
    return MOMENT if value == TIME else value


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - any value
    """The same, without members that a struct has and the line has not."""
    if isinstance(value, dict):
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    return [without_nulls(member) for member in value] if isinstance(value, list) else value


def test_duckdb_reads_every_field_as_it_is(file: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        columns = printed("duckdb")
        read = connection.sql(f"SELECT * FROM read_json('{file}', format = 'nd', columns = {columns})")  # noqa: S608
        rows = [dict(zip(read.columns, row, strict=True)) for row in read.fetchall()]
    expected = with_times(whole_line())
    expected["changed"] = {
        "state": ['"RUNNING"', '"FAILED"'], "exit_code": [None, "2"], "comment": [None, '"007"'],
    }  # fmt: skip
    assert rows[-1] == expected
    assert rows[0]["alloc_tres"] == {"cpu": 2, "node": 1}
    assert len(rows) == 151


def test_polars_reads_every_field_as_it_is(file: Path) -> None:
    frame = pl.read_ndjson(file, schema=eval(printed("polars")))  # noqa: S307 - it is an expression
    expected = with_times(whole_line())
    expected["changed"] = {"state": ["RUNNING", "FAILED"], "exit_code": [None, "2"], "comment": [None, "007"]}
    assert frame.tail(1).to_dicts() == [expected]
    assert frame.columns == list(whole_line())
    assert frame.select(pl.col("alloc_tres").map.get(MIG).sum()).item() == 3


@pytest.mark.parametrize("block_bytes", [4096, 1 << 20], ids=["in pieces", "at once"])
def test_pyarrow_reads_every_field_as_it_is(file: Path, block_bytes: int) -> None:
    table = pj.read_json(
        file,
        parse_options=pj.ParseOptions(explicit_schema=eval(printed("pyarrow"))),  # noqa: S307 - an expression
        read_options=pj.ReadOptions(block_size=max(block_bytes, len(json.dumps(whole_line())) + 1)),
    )
    assert without_nulls(table.slice(table.num_rows - 1).to_pylist()) == [with_times(whole_line())]
    assert set(table.column_names) == set(whole_line())
    assert table.schema.field("name").type == pa.string()


def test_a_file_without_gpus_has_a_column_for_them_in_pyarrow(tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text('{"alloc_tres":{"cpu":2}}\n')
    options = pj.ParseOptions(explicit_schema=eval(printed("pyarrow")))  # noqa: S307 - an expression
    (row,) = pj.read_json(file, parse_options=options)["alloc_tres"].to_pylist()
    assert row == {"cpu": 2, "mem_bytes": None, "node": None, "billing": None, "gres/gpu": None}


@pytest.mark.parametrize("tool", ["duckdb", "polars", "clickhouse", "spark", "pyarrow", "postgresql"])
def test_every_field_has_its_column_in_the_order_of_the_line(tool: str) -> None:
    assert re.findall(r'^    [("`]*(\w+)', printed(tool), re.MULTILINE) == list(whole_line())


def test_what_clickhouse_cannot_make_null_is_not_declared_so() -> None:
    lines = dict(re.findall(r"^    `(\w+)` (.*?),?$", printed("clickhouse"), re.MULTILINE))
    assert lines["id"] == "String"
    assert lines["start"] == "Nullable(DateTime('UTC'))"
    assert lines["name"] == "Nullable(String)"
    assert lines["alloc_tres"] == "Map(String, Int64)"
    assert lines["nodes"] == "Array(String)"
    assert "`start` Nullable(DateTime('UTC'))" in lines["steps"]


def test_a_tool_nobody_knows_is_refused_with_the_names_of_those_it_knows() -> None:
    done = CliRunner().invoke(cli, ["schema", "--for", "excel"])
    assert done.exit_code == 2
    for tool in ("duckdb", "polars", "clickhouse", "spark", "pyarrow", "postgresql"):
        assert tool in done.output
