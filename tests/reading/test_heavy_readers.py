"""docs/reading.md with the tools that are too heavy for the ordinary tests: `make test-reading`.

As root on Debian it installs what is missing; whatever cannot be had is named at the end as not run.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from tests.reading.example import Example, make
from tests.reading.page import gpu_hours, recipes, rotated, run
from tests.reading.programs import ran
from tests.real_slurm.packages import CannotInstallError, install

pytestmark = [pytest.mark.reading_tools, pytest.mark.timeout(3600)]

REPOSITORY = Path(__file__).parents[2]
PACKAGES = {
    "Spark": {"/usr/bin/java": "default-jre-headless"},
    "R": {"/usr/bin/Rscript": "r-base-core", "/usr/lib/R/site-library/jsonlite": "r-cran-jsonlite"},
    "Miller": {"/usr/bin/mlr": "miller"},
    "PostgreSQL": {"/usr/bin/pg_ctlcluster": "postgresql", "/usr/bin/psql": "postgresql-client"},
    "lnav": {"/usr/bin/lnav": "lnav"},
}
MODULES = {"ClickHouse": "chdb", "Spark": "pyspark"}
OF_PARQUET = {"Parquet", *(tool for tool in recipes() if tool.startswith("The archive"))}
"""What reads no `jobs.jsonl`."""

SAMPLE = 20_480
"""How many lines duckdb looks at."""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return make(tmp_path_factory.mktemp("example"), plain_jobs=SAMPLE + 500)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return make(tmp_path_factory.mktemp("few"))


@pytest.fixture
def folder(example: Example, tmp_path: Path) -> Path:
    shutil.copy(example.folder / "jobs.jsonl", tmp_path)
    return tmp_path


def need(tool: str) -> None:
    """Have a tool here, or skip loudly."""
    module = MODULES.get(tool)
    if module is not None and importlib.util.find_spec(module) is None:
        pytest.skip(f"NOT RUN, {tool}: no {module}; pip install -e '.[reading]'")
    try:
        install(PACKAGES.get(tool, {}))
    except CannotInstallError as error:
        pytest.skip(f"NOT RUN, {tool}: {error}")


@contextmanager
def around(tool: str, folder: Path) -> Iterator[Mapping[str, str]]:
    """What a tool needs besides itself, as variables of its environment."""
    if tool == "PostgreSQL":
        with postgresql(folder) as variables:
            yield variables
    elif tool == "lnav":
        home = folder / "home"
        home.mkdir()
        format_file = re.findall(r"`lnav -i (\S+)`", recipes()["lnav"][0])
        environment = {**os.environ, "HOME": str(home)}
        subprocess.run(
            ["/usr/bin/lnav", "-i", REPOSITORY / format_file[0]], check=True, env=environment, capture_output=True
        )
        yield {"HOME": str(home)}
    else:
        yield {
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_SUBMIT_ARGS": SPARK_ARGUMENTS,
        }


SPARK_ARGUMENTS = (
    "--master local[1] --conf spark.ui.enabled=false --conf spark.sql.shuffle.partitions=1 pyspark-shell"
)


@contextmanager
def postgresql(folder: Path) -> Iterator[Mapping[str, str]]:
    """A server of our own, on a socket only; PostgreSQL refuses to run as root."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    # A socket's path must be short, and every folder on the way open to that user.
    place = Path(
        subprocess.run([*user, "mktemp", "-d"], check=True, capture_output=True, text=True).stdout.strip()
    )
    try:
        data = [*user, f"{programs}/pg_ctl", "-D", f"{place}/data", "-s"]
        subprocess.run([*data, "initdb", "-o", "--no-sync --auth=trust"], check=True, capture_output=True)
        options = f"-c listen_addresses= -c unix_socket_directories={place} -c fsync=off"
        log = f"{place}/log"
        subprocess.run([*data, "-w", "-l", log, "-o", options, "start"], check=True)
        try:
            name = "postgres" if user else os.environ["USER"]
            yield {"PGHOST": str(place), "PGUSER": name, "PGDATABASE": "postgres"}
        finally:
            subprocess.run([*data, "-m", "immediate", "stop"], check=True)
    finally:
        shutil.rmtree(place)


@pytest.mark.parametrize("tool", ["ClickHouse", "Spark", "R", "Miller", "PostgreSQL", "lnav"])
def test_recipe_prints_the_totals_of_the_store(example: Example, folder: Path, tool: str) -> None:
    need(tool)
    with around(tool, folder) as environment:
        printed = run(tool, folder, **environment)
        assert gpu_hours(printed) == {"007": 8.0, "7": 19.5, "1e5": 15.0, "100000": 33.0}
        assert gpu_hours(printed) == example.gpu_hours


@pytest.mark.parametrize("tool", ["polars", "duckdb", "pyarrow", "pandas", "jq", "SQLite", "sqlite-utils"])
def test_recipe_of_a_light_tool_still_holds_behind_its_sample(example: Example, folder: Path, tool: str) -> None:
    assert gpu_hours(run(tool, folder)) == example.gpu_hours


@pytest.mark.parametrize("tool", ["ClickHouse", "Spark", "Miller"])
def test_recipe_takes_rotated_and_packed_files_too(few: Example, tool: str, tmp_path: Path) -> None:
    need(tool)
    rotated((few.folder / "jobs.jsonl").read_bytes(), tmp_path)
    with around(tool, tmp_path) as environment:
        assert gpu_hours(run(tool, tmp_path, files="jobs.jsonl*", **environment)) == few.gpu_hours


@pytest.mark.parametrize("tool", [tool for tool in recipes() if tool not in OF_PARQUET])
def test_what_a_shipper_sent_twice_counts_once(few: Example, tool: str, tmp_path: Path) -> None:
    need(tool)
    text = (few.folder / "jobs.jsonl").read_bytes()
    (tmp_path / "jobs.jsonl").write_bytes(text + text)
    with around(tool, tmp_path) as environment:
        assert gpu_hours(run(tool, tmp_path, **environment)) == few.gpu_hours


def test_duckdb_left_to_guess_fails_behind_its_sample(folder: Path) -> None:
    with duckdb.connect() as connection, pytest.raises(duckdb.Error, match="unknown key"):
        connection.execute(f"SELECT * FROM '{folder}/jobs.jsonl'").fetchall()  # noqa: S608 - our own path


def test_clickhouse_left_to_guess_has_no_gpus_at_all(folder: Path) -> None:
    need("ClickHouse")
    # Its own sample is 25,000 lines; that many lines more would show the same.
    code = """
import chdb
print(chdb.query("SELECT sum(alloc_tres.`gres/gpu` * elapsed_seconds) FROM file('jobs.jsonl', JSONEachRow)"
                 " SETTINGS input_format_max_rows_to_read_for_schema_inference = 1000"))
"""
    naive = ran([sys.executable, "-c", code], cwd=folder)
    # A question for GPUs has no such column to ask; one for the whole object loses them in silence.
    assert "gres/gpu" in naive.stderr
    whole = code.replace(
        "sum(alloc_tres.`gres/gpu` * elapsed_seconds)", "countIf(toJSONString(alloc_tres) LIKE '%gpu%')"
    )
    silent = ran([sys.executable, "-c", whole], cwd=folder)
    assert (silent.returncode, silent.stdout.strip()) == (0, "0")


def test_spark_left_to_guess_cannot_hold_two_spellings_of_a_type(folder: Path) -> None:
    need("Spark")
    code = """
from pyspark.sql import SparkSession
SparkSession.builder.getOrCreate().read.json("jobs.jsonl").count()
"""
    with around("Spark", folder) as environment:
        naive = ran([sys.executable, "-c", code], cwd=folder, env={**os.environ, **environment})
    assert naive.returncode != 0
    assert "The column `gres/gpu:a100` already exists" in naive.stderr


def test_miller_without_unsparsify_does_not_write_one_table(folder: Path) -> None:
    need("Miller")
    naive = subprocess.run(
        ["/usr/bin/mlr", "--ijsonl", "--ocsv", "cat", "jobs.jsonl"],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    headers = [line for line in naive.stdout.splitlines() if line.startswith("id,event,")]
    # Releases differ: some stop at the first line with other fields, some begin another table there.
    assert naive.returncode != 0 or len(headers) > 1


def test_lnav_knows_failed_jobs_by_our_format(folder: Path) -> None:
    need("lnav")
    question = ";SELECT log_level, count(*) AS jobs FROM {} GROUP BY log_level ORDER BY log_level"
    counts = ["/usr/bin/lnav", "-n", "-c", ":write-csv-to -", "jobs.jsonl"]
    with around("lnav", folder) as environment:
        right = subprocess.run(
            [*counts[:2], "-c", question.format("slurmwatchd_log"), *counts[2:]],
            check=True, capture_output=True, text=True, cwd=folder, env={**os.environ, **environment},
        )  # fmt: skip
    lines = (folder / "jobs.jsonl").read_text(encoding="utf-8").splitlines()
    failed = sum('"state":"FAILED"' in line for line in lines)
    cancelled = sum('"state":"CANCELLED"' in line for line in lines)
    assert (failed, cancelled) == (2, 2)
    assert sorted(right.stdout.splitlines()) == sorted(
        ["log_level,jobs", "error,2", "warning,2", f"info,{len(lines) - 4}"]
    )
