"""`nodes --suspect`: a black hole is named first, a user's broken array names none."""

import json
from pathlib import Path
from typing import Any

import pytest

from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from tests.integration.asked import run
from tests.unit.attempts import NOW, Reading, batch, reading

pytestmark = pytest.mark.usefixtures("utc")

SPAN = ("--since", f"@{NOW - 86_400}", "--until", f"@{NOW}")


def ran(number: int, node: int, user: str, *, failed: bool, **fields: Any) -> Reading:  # noqa: ANN401 - any field
    state = {"state": "FAILED", "outcome": "failed"} if failed else {"outcome": "completed"}
    run_seconds = 5 if failed else 900
    times = {"start": NOW - 2000 - run_seconds, "end": NOW - 2000, "elapsed_seconds": run_seconds}
    values: dict[str, Any] = {**state, **times, **fields}
    return reading(number, user=user, node_list=f"n{node}", **values)


async def stored(folder: Path, readings: list[Reading]) -> Path:
    path = folder / "store.db"
    async with open_database(path) as database:
        intake = await Intake.load(database)
        await intake.commit(batch(*readings, expanded={f"n{node}": (f"n{node}",) for node in range(50)}))
    return path


def ordinary() -> list[Reading]:
    return [ran(n, n % 50, f"u{n % 7}", failed=n % 20 == 3) for n in range(500)]


async def test_a_black_hole_is_named_with_what_speaks_against_it(tmp_path: Path) -> None:
    path = await stored(tmp_path, [*ordinary(), *(ran(1000 + n, 9, f"u{n % 7}", failed=True) for n in range(60))])
    told = run("nodes", "--store", path, "--suspect", *SPAN)
    assert (told.code, told.column("NODE")) == (0, ["n9"]), told.err
    (row,) = json.loads(run("nodes", "--store", path, "--suspect", "--json", *SPAN).out)["nodes"]
    assert (row["cluster"], row["node"], row["users"]) == ("sim", "n9", 7)
    assert row["failures"] >= 60
    assert row["expected"] < 20
    assert row["score"] > 2
    earlier = run(
        "nodes", "--store", path, "--suspect", "--since", f"@{NOW - 90_000}", "--until", f"@{NOW - 86_400}"
    )
    assert "no node whose failures" in earlier.err


async def test_a_users_broken_array_names_no_node(tmp_path: Path) -> None:
    broken = [
        ran(2000 + n, n % 50, "ann", failed=True, job_id=f"2000_{n}", array_job_id=2000, array_task_id=n)
        for n in range(400)
    ]
    told = run("nodes", "--store", await stored(tmp_path, [*ordinary(), *broken]), "--suspect", *SPAN)
    assert (told.code, told.column("NODE")) == (0, [])


async def test_the_node_that_slurm_calls_failed_is_named_and_not_its_neighbours(tmp_path: Path) -> None:
    failed = {"state": "NODE_FAIL", "outcome": "node_failure", "failed_node": "n4"}
    lost = [ran(3000 + n, 4, "ann", failed=True, **failed) for n in range(3)]
    told = run("nodes", "--store", await stored(tmp_path, [*ordinary(), *lost]), "--suspect", *SPAN)
    assert told.column("NODE") == ["n4"]


def test_mistakes(tmp_path: Path) -> None:
    assert "Missing argument 'NODE'" in run("nodes", "--store", tmp_path / "x").err
    assert "takes neither a node nor --at" in run("nodes", "n1", "--suspect", "--store", tmp_path / "x").err
