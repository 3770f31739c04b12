"""`export`: what other programs read back is what the store has."""

import csv
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.integration.asked import HOSTILE, Ran, environment, many, run, run_on_terminal, run_process
from tests.integration.rig import Rig

pytestmark = pytest.mark.usefixtures("utc")

BY_END = ["11", "12", "13", "14_3", "16+1", "18", "18", "19", "20", "21"]


def export(rig: Rig, *arguments: object) -> Ran:
    return run("export", "--store", rig.store, *arguments)


def test_json_lines_are_the_records_with_their_nodes(filled: Rig, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    ran = export(filled, "-o", file)
    assert (ran.code, ran.err) == (0, f"slurmwatchd: 10 attempts written to {file}\n")
    records = [json.loads(line) for line in file.read_bytes().splitlines()]
    told = {(event["job_id"], event["submit"]): event for event in filled.records()}
    assert [record["job_id"] for record in records] == BY_END
    for record in records:
        event = told[record["job_id"], record["submit"]]
        head = {"id", "event", "schema", "seq", "revision", "time", "observed", "found_by"}
        assert record == {name: value for name, value in event.items() if name not in head}
    assert run_process("export", "--store", filled.store).out == file.read_text()


def test_csv_is_read_back(filled: Rig, tmp_path: Path) -> None:
    file = tmp_path / "jobs.csv"
    assert export(filled, "--format", "csv", "-o", file).code == 0
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["job_id"] for row in rows] == BY_END
    assert rows[1]["nodes"] == '["n1","n2"]'
    assert rows[1]["exit_code"] == "1"
    assert json.loads(rows[1]["alloc_tres"])["node"] == 2
    assert rows[8]["start"] == ""
    assert rows[9]["name"] == HOSTILE
    frame = pd.read_csv(file, parse_dates=["end"])
    assert frame["end"].iloc[1] == pd.Timestamp("2026-11-24T04:20:00Z")


def test_parquet_is_read_back_by_pandas_and_duckdb(filled: Rig, tmp_path: Path) -> None:
    file = tmp_path / "jobs.parquet"
    assert export(filled, "--format", "parquet", "-o", file).code == 0
    frame = pd.read_parquet(file)
    assert list(frame["job_id"]) == BY_END
    assert frame["end"].iloc[1] == pd.Timestamp("2026-11-24T04:20:00Z")
    assert list(frame["nodes"].iloc[1]) == ["n1", "n2"]
    assert pd.isna(frame["start"].iloc[8])
    assert frame["name"].iloc[9] == HOSTILE
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(
            "SELECT job_id, exit_code, len(nodes), CAST(alloc_tres->>'node' AS INT), strftime(\"end\", '%H:%M') "
            "FROM read_parquet(?) WHERE account = 'physics' ORDER BY job_id",
            [str(file)],
        ).fetchall()
    assert rows == [("12", 1, 2, 2, "04:20"), ("13", 0, 1, 1, "04:36")]


def test_parquet_has_the_same_schema_whatever_is_in_it(filled: Rig, tmp_path: Path) -> None:
    files = [tmp_path / "all.parquet", tmp_path / "none.parquet"]
    export(filled, "--format", "parquet", "-o", files[0])
    assert export(filled, "--format", "parquet", "--user", "nobody", "-o", files[1]).code == 0
    schemas = [pq.read_schema(file) for file in files]
    assert schemas[0] == schemas[1]
    assert str(schemas[0].field("end").type) == "timestamp[ms, tz=UTC]"
    assert str(schemas[0].field("elapsed_seconds").type) == "int64"
    assert str(schemas[0].field("usage_cpu_seconds").type) == "double"
    assert pq.read_table(files[1]).num_rows == 0


def test_parquet_goes_through_a_pipe_and_not_to_a_terminal(filled: Rig, tmp_path: Path) -> None:
    file = tmp_path / "piped.parquet"
    ran = run_process("export", "--store", filled.store, "--format", "parquet", reader=f"cat > {file}")
    assert (ran.code, ran.err) == (0, "")
    assert pq.read_table(file).num_rows == 10
    ran = run_on_terminal("export", "--store", filled.store, "--format", "parquet")
    assert (ran.code, ran.out) == (2, "")


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_file_a_day(filled: Rig, tmp_path: Path, form: str) -> None:
    store = tmp_path / "store.db"
    with closing(sqlite3.connect(filled.store)) as source, closing(sqlite3.connect(store)) as copy:
        source.backup(copy)
        # The first two ended a day earlier, and the newest nobody knows when.
        copy.execute(
            "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), '11-24T04:03', '11-23T04:03') AS BLOB)"
        )
        copy.execute('UPDATE jobs SET "end" = "end" - 86400 WHERE job_id = \'11\'')
        copy.commit()
    folder = tmp_path / "jobs"
    ran = run("export", "--store", store, "--format", form, "--partition-by", "day", "-o", folder)
    assert ran.code == 0, ran.err
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        f"day=2026-11-23/jobs.{form}",
        f"day=2026-11-24/jobs.{form}",
    ]
    with duckdb.connect() as connection:
        read = {"jsonl": "read_json", "csv": "read_csv", "parquet": "read_parquet"}[form]
        options = ", format='newline_delimited'" if form == "jsonl" else ""
        files = f"{read}('{folder}/*/*.{form}', hive_partitioning=true{options})"
        rows = connection.execute(
            f"SELECT CAST(day AS TEXT), count(*) FROM {files} GROUP BY day ORDER BY day"  # noqa: S608 - ours
        ).fetchall()
    assert rows == [("2026-11-23", 1), ("2026-11-24", 9)]


def test_files_that_are_there_are_kept_unless_told_otherwise(filled: Rig, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text("precious\n")
    ran = export(filled, "-o", file)
    assert (ran.code, ran.err) == (1, f"slurmwatchd: {file}: already exists; --overwrite replaces it\n")
    assert file.read_text() == "precious\n"
    assert export(filled, "-o", file, "--overwrite", "--user", "mal").code == 0
    assert len(file.read_text().splitlines()) == 1
    ran = export(filled, "-o", tmp_path)
    assert (ran.code, ran.err) == (
        1,
        f"slurmwatchd: {tmp_path}: is a folder; --partition-by day writes into it\n",
    )


def test_what_cannot_be_written_is_one_line_and_leaves_nothing(filled: Rig, tmp_path: Path) -> None:
    ran = export(filled, "-o", tmp_path / "none" / "jobs.csv")
    assert (ran.code, ran.err) == (1, f"slurmwatchd: {tmp_path}/none/jobs.csv: No such file or directory\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    limited = subprocess.run(
        [
            sys.executable,
            "-m",
            "slurmwatchd",
            "export",
            "--store",
            many(filled, tmp_path, 1000),
            "-o",
            folder / "x",
        ],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
        preexec_fn=_no_large_files,
    )
    assert (limited.returncode, limited.stderr) == (1, f"slurmwatchd: {folder}/x: File too large\n")
    assert list(folder.iterdir()) == []


def _no_large_files() -> None:
    # SQLite makes a file of 32 KiB beside the store.
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))


def test_without_pyarrow_it_says_what_to_install(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ran = export(filled, "--format", "parquet", "-o", tmp_path / "x.parquet")
    assert (ran.code, ran.err) == (
        1,
        "slurmwatchd: Parquet needs pyarrow: install slurmwatchd with its extra [parquet], or pyarrow beside it\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_progress_is_for_terminals_and_on_stderr(filled: Rig, tmp_path: Path) -> None:
    script = shutil.which("script")
    if script is None:
        pytest.skip("no script(1) here to give it a terminal")
    argv = f"{sys.executable} -m slurmwatchd export --store {filled.store} -o {tmp_path}/x.jsonl"
    done = subprocess.run(
        [script, "-qec", argv, "/dev/null"], check=False, capture_output=True, env=environment(TERM="xterm")
    )
    assert done.returncode == 0
    assert b"exporting" in done.stdout
    assert b"exporting" not in run_process("export", "--store", filled.store).err.encode()


@pytest.mark.heavy
def test_memory_stays_flat(filled: Rig, tmp_path: Path) -> None:
    """Forty times the attempts take hardly more memory: eight bytes each, and a page of them at a time."""
    peaks = []
    for copies in (1000, 40_000):
        file = tmp_path / f"{copies}.csv"
        store = many(filled, tmp_path, copies)
        peaks.append(_peak_kilobytes("export", "--store", store, "--format", "csv", "-o", file))
        with file.open(newline="", encoding="utf-8") as lines:
            assert sum(1 for _ in csv.DictReader(lines)) == copies + 10
    assert peaks[1] - peaks[0] < 8_000, peaks


def _peak_kilobytes(*arguments: Any) -> int:  # noqa: ANN401 - paths and texts
    """Run a command and return the most memory it had."""
    process = subprocess.Popen(
        [sys.executable, "-m", "slurmwatchd", *map(str, arguments)], stderr=subprocess.DEVNULL, env=environment()
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_maxrss
