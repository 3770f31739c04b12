"""docs/reading.md: its recipes with light tools print the totals of the store, and the obvious calls do not."""

import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import duckdb
import pandas as pd
import polars as pl
import pytest

from slurmwatchd.model.tool_schemas import Tool, schema_for
from tests.integration.asked import zone
from tests.reading.example import Example, make
from tests.reading.page import PAGE, gpu_hours, recipes, rotated, run
from tests.unit.archives import archived, ended, fill

LIGHT = ("pandas", "polars", "duckdb", "pyarrow", "jq", "SQLite", "sqlite-utils")
ARCHIVE = tuple(f"The archive in {tool}" for tool in ("duckdb", "polars", "pandas", "pyarrow"))
HEAVY = ("ClickHouse", "Spark", "R", "Miller", "PostgreSQL", "lnav")
PROGRAMS = {"jq": "jq", "SQLite": "sqlite3"}


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return make(tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="module")
def archive(example: Example, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example's archive, and jobs of October and December in it."""
    folder = tmp_path_factory.mktemp("archived")
    store = shutil.copy(example.folder / "store.db", folder)
    anyio.run(archived, Path(store), folder / "archive")
    others = folder / "others.db"
    tres = {"gres/gpu": 1}
    anyio.run(fill, others, [ended(1, 24, alloc_tres=tres), ended(2, -9, alloc_tres=tres)])
    anyio.run(archived, others, folder / "archive")
    assert len({file.parent.name[:11] for file in (folder / "archive").rglob("*.parquet")}) == 3
    return folder


@pytest.fixture
def berlin() -> Iterator[None]:
    with zone("Europe/Berlin"):
        yield


def lines(example: Example) -> list[str]:
    return (example.folder / "jobs.jsonl").read_text(encoding="utf-8").splitlines()


def need(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def test_the_example_is_what_it_is_meant_to_be(example: Example) -> None:
    # Each from the job table by hand: hours times GPUs, the last revision alone.
    assert example.gpu_hours == {"007": 8.0, "7": 19.5, "1e5": 15.0, "100000": 33.0}
    assert example.gpu_hours_of_every_line == {
        "007": 8.0,
        "7": 19.5,
        "1e5": 17.0,
        "100000": pytest.approx(33 + 1 / 60),
    }
    ids = re.findall(r'"job_id":"(\d+[_+][^"]*)"', "\n".join(lines(example)))
    assert set(ids) == {"4711_0", "4711_3", "4711_7", "47120+0", "47120+1", "47130_[0-99:3]"}
    first_gpu = next(number for number, line in enumerate(lines(example)) if '"gres/gpu"' in line)
    assert first_gpu == 150


def test_every_recipe_of_the_page_is_run_by_a_test() -> None:
    assert sorted(recipes()) == sorted(("Parquet", *ARCHIVE, *LIGHT, *HEAVY))
    headings = re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == list(recipes())


@pytest.mark.parametrize("tool", LIGHT)
def test_recipe_prints_the_totals_of_the_store(example: Example, tool: str, tmp_path: Path) -> None:
    if tool in PROGRAMS:
        need(PROGRAMS[tool])
    shutil.copy(example.folder / "jobs.jsonl", tmp_path)
    assert gpu_hours(run(tool, tmp_path)) == example.gpu_hours


def test_parquet_has_the_same_totals(example: Example, tmp_path: Path) -> None:
    (command,) = re.findall(r"`slurmwatchd (export [^`]*)`", recipes()["Parquet"][0])
    subprocess.run(
        [sys.executable, "-m", "slurmwatchd", *command.split(), "--store", example.folder / "store.db"],
        check=True,
        cwd=tmp_path,
    )
    assert gpu_hours(run("Parquet", tmp_path)) == example.gpu_hours


@pytest.mark.parametrize("tool", ARCHIVE)
def test_the_archive_has_the_same_totals(example: Example, archive: Path, tool: str) -> None:
    # The recipe is of November, and so are the example's jobs; of two other months there is a day each.
    assert gpu_hours(run(tool, archive)) == example.gpu_hours


@pytest.mark.parametrize("tool", ["polars", "duckdb"])
def test_recipe_takes_rotated_and_packed_files_too(example: Example, tool: str, tmp_path: Path) -> None:
    rotated((example.folder / "jobs.jsonl").read_bytes(), tmp_path)
    assert gpu_hours(run(tool, tmp_path, files="jobs.jsonl*")) == example.gpu_hours


def test_recipe_of_another_tool_takes_them_put_together(example: Example, tmp_path: Path) -> None:
    rotated((example.folder / "jobs.jsonl").read_bytes(), tmp_path)
    (command,) = re.findall(r"`(zcat .*)`", PAGE.read_text(encoding="utf-8"))
    subprocess.run(["/bin/sh", "-c", command], check=True, cwd=tmp_path)
    assert gpu_hours(run("pandas", tmp_path, files="all.jsonl")) == example.gpu_hours


def test_pandas_left_to_guess_puts_the_accounts_007_and_7_together(example: Example) -> None:
    frame = pd.read_json(example.folder / "jobs.jsonl", lines=True)
    assert set(frame["account"]) == {7, 100_000}
    read = pd.read_json(example.folder / "jobs.jsonl", lines=True, dtype=False)
    assert set(read["account"]) == {"007", "7", "1e5", "100000"}


def test_pandas_left_to_guess_makes_a_task_another_users_job(example: Example, tmp_path: Path) -> None:
    file = tmp_path / "arrays.jsonl"
    kept = [line for line in lines(example) if re.search(r'"job_id":"(\d+|\d+_\d+)"', line)]
    file.write_text("\n".join(kept), encoding="utf-8")
    frame = pd.read_json(file, lines=True)
    assert set(frame[frame["job_id"] == 47113]["job_id_raw"]) == {4713, 47113}
    read = pd.read_json(file, lines=True, dtype=False)
    assert list(read[read["job_id"] == "47113"]["job_id_raw"]) == [47113]


def test_polars_left_to_guess_has_no_gpus_at_all(example: Example) -> None:
    frame = pl.read_ndjson(example.folder / "jobs.jsonl")
    assert [field.name for field in frame.schema["alloc_tres"].fields] == ["cpu", "mem_bytes", "node"]  # type: ignore[attr-defined]


def test_duckdb_left_to_guess_cannot_hold_two_spellings_of_a_type(example: Example) -> None:
    with duckdb.connect() as connection, pytest.raises(duckdb.Error, match='Duplicate name "gres/gpu:A100"'):
        connection.execute(f"SELECT count(*) FROM '{example.folder}/jobs.jsonl'")  # noqa: S608 - our own path


def test_duckdb_left_to_guess_counts_days_of_the_machines_zone(
    example: Example, berlin: None, tmp_path: Path
) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text("\n".join(line for line in lines(example) if "A100" not in line), encoding="utf-8")
    question = "SELECT strftime(\"end\", '%Y-%m-%d'), count(*) FROM {} WHERE event = 'job_ended' GROUP BY 1"
    with duckdb.connect() as connection:
        naive = dict(connection.execute(question.format(f"'{file}'")).fetchall())
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        reader = f"read_json('{file}', format = 'newline_delimited', columns = {schema_for(Tool.DUCKDB)})"
        right = dict(connection.execute(question.format(reader)).fetchall())
    with closing(sqlite3.connect(example.folder / "store.db")) as store:
        days = """
            SELECT date("end", 'unixepoch'), count(*) FROM jobs JOIN events ON events.seq = jobs.seq
            WHERE instr(body, CAST('A100' AS BLOB)) = 0 GROUP BY 1
        """
        assert right == dict(store.execute(days).fetchall()) == {"2026-11-23": 153, "2026-11-24": 17}
    if duckdb.__version__.startswith("1."):
        pytest.skip("duckdb 1 reads times without a zone")
    assert naive == {"2026-11-23": 152, "2026-11-24": 18}


def test_jq_that_adds_every_line_counts_revised_jobs_twice(example: Example) -> None:
    jq = need("jq")
    code = (
        '[inputs | select(.alloc_tres["gres/gpu"])] | group_by(.account)[] | '
        '[.[0].account, (map(.alloc_tres["gres/gpu"] * .elapsed_seconds) | add / 3600)] | @tsv'
    )
    naive = subprocess.run(
        [jq, "-n", "-r", code, example.folder / "jobs.jsonl"], check=True, capture_output=True, text=True
    )
    assert gpu_hours(naive.stdout) == pytest.approx(example.gpu_hours_of_every_line)
    assert gpu_hours(naive.stdout) != pytest.approx(example.gpu_hours)


def test_jq_1_6_is_an_hour_late_in_summer_but_for_utc() -> None:
    jq = need("jq")

    def asked(zone: str) -> str:
        argv = [jq, "-n", '"2026-07-01T12:00:00Z" | fromdate']
        return subprocess.run(argv, check=True, capture_output=True, text=True, env={"TZ": zone}).stdout.strip()

    version = subprocess.run([jq, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    assert asked("UTC") == "1782907200"
    assert asked("Europe/Berlin") == ("1782910800" if version == "jq-1.6" else "1782907200")


def test_sqlite_finds_a_key_with_a_point_only_by_its_quoted_path(example: Example) -> None:
    database = sqlite3.connect(":memory:")
    (line,) = [line for line in lines(example) if '"job_id":"50001"' in line]
    short, quoted = database.execute(
        """
        SELECT x ->> 'gres/gpu:a100_1g.5gb', x ->> '$."gres/gpu:a100_1g.5gb"' FROM (SELECT ? -> 'alloc_tres' AS x)
        """,
        [line],
    ).fetchone()
    database.close()
    assert quoted == 3
    assert short == (None if sqlite3.sqlite_version_info < (3, 45) else 3)
