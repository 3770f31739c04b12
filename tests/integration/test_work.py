"""What 1,000 attempts cost, counted and not timed: a change that makes the daemon work more has to say so.

The figures are in `work.json` beside this file. Each may be exceeded by a tenth; whoever changes one on purpose
edits the file in the same commit. Instructions are those of `row_work.py` under callgrind. They depend on Python
and SQLite, so each pair of versions has figures of its own. `callgrind_annotate` shows where they go, given the
file that the test leaves.
"""

import json
import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.rig import Rig

FIGURES: dict[str, dict[str, int]] = json.loads(Path(__file__).with_name("work.json").read_text(encoding="utf-8"))
REPOSITORY = Path(__file__).parents[2]
VERSIONS = f"instructions, {platform.machine()}, Python {sys.version_info[0]}.{sys.version_info[1]}, SQLite "
VERSIONS += sqlite3.sqlite_version
ATTEMPTS = 1000
SLACK = 1.1


async def work_of(rig: Rig) -> dict[str, int]:
    """Read and deliver once, and count what that took."""
    statements: Counter[str] = Counter()
    async with rig.daemon() as daemon:
        for connection in (daemon.database._writer, daemon.database._reader):
            await connection.set_trace_callback(lambda sql: statements.update([sql.split(maxsplit=1)[0]]))
        await daemon.once()
        ((_, frames, _),) = await daemon.database.read("PRAGMA wal_checkpoint(PASSIVE)")
        ((page,),) = await daemon.database.read("PRAGMA page_size")
    return {
        "statements": statements.total(),
        "processes": len(rig.cluster.calls()),
        "bytes of the write-ahead log": frames * page,
        "bytes of the store": rig.store.stat().st_size,
        "bytes of lines": rig.file.stat().st_size,
    }


@pytest.mark.parametrize("mode", ["off", "summary"])
async def test_a_thousand_attempts_cost_no_more_work_than_before(tmp_path: Path, mode: str) -> None:
    with Rig(tmp_path, steps={"mode": mode}, poll={"since": "1h"}) as rig:
        with rig.cluster.batch():
            for number in range(ATTEMPTS):
                key = rig.ended(
                    5 + number % 3000, job_name=f"job {number * 7919 % 1000}", nodelist=f"n{number % 50}"
                )
                rig.cluster.add_step(key, "batch", max_rss=number << 20, cpu_milliseconds=number * 37)
        found = await work_of(rig)
        assert len(rig.names()) == ATTEMPTS
    figures = FIGURES[mode]
    assert found.keys() == figures.keys()
    more = {name: (count, figures[name]) for name, count in found.items() if count > SLACK * figures[name]}
    assert not more, f"more work than tests/integration/work.json allows, now and then: {more}"


@pytest.mark.heavy
@pytest.mark.parametrize("work", ["rows", "usage"])
def test_a_thousand_rows_cost_no_more_instructions_than_before(tmp_path: Path, work: str) -> None:
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        pytest.skip("INSTRUCTIONS ARE NOT COUNTED: valgrind is not here; on Debian: apt-get install valgrind")
    if VERSIONS not in FIGURES:
        pytest.skip(f"INSTRUCTIONS ARE NOT JUDGED: tests/integration/work.json has no {VERSIONS!r}")
    counting = [
        valgrind,
        "--tool=callgrind",
        "--instr-atstart=no",
        f"--callgrind-out-file={tmp_path}/callgrind.out",
    ]
    done = subprocess.run(
        [*counting, sys.executable, "-m", "tests.integration.row_work", work, str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    counted = re.search(r"Collected : (\d+)", done.stderr)
    assert counted is not None, done.stderr
    found, figure = int(counted[1]), FIGURES[VERSIONS][work]
    assert found > figure / 10, "most of the work was not counted"
    assert found <= SLACK * figure, f"more work than tests/integration/work.json allows: {found} for {figure}"
