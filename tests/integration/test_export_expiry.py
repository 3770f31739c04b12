"""`export` while the daemon prunes: whole with an archive; without one it says how many expired unread."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.asked import environment
from tests.patience import HANGS_SECONDS
from tests.unit.archives import DAY, MIDNIGHT, archived, ended, fill, prune

JOBS = 2500


@pytest.mark.parametrize(
    ("with_archive", "there", "said"),
    [
        (True, range(1, JOBS + 1), ""),
        # The first page was read by then, and the newest attempt never expires.
        (
            False,
            [*range(1, 501), JOBS],
            "slurmwatchd: 1999 attempts expired during the export and are not in it\n",
        ),
    ],
)
async def test_attempts_that_expire_during_an_export(
    tmp_path: Path, with_archive: bool, there: range | list[int], said: str
) -> None:
    store, dataset = tmp_path / "store.db", tmp_path / "archive"
    await fill(store, [ended(number, 9) for number in range(1, JOBS + 1)])
    await archived(store, dataset)
    argv = [sys.executable, "-m", "slurmwatchd", "export", "--store", str(store), "--until", "2099-01-01"]
    argv += ["--archive", str(dataset)] if with_archive else []
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, bufsize=0, stdout=pipe, stderr=pipe, env=environment()) as process:
        assert process.stdout is not None
        # A page is larger than what a pipe holds: the next one is read once this one is taken.
        lines = [process.stdout.readline()]
        prune(store, f"job_id_raw < {JOBS}", MIDNIGHT - 5 * DAY)
        rest, errors = process.communicate(timeout=HANGS_SECONDS)
    lines += rest.splitlines()
    assert process.returncode == 0
    assert [json.loads(line)["job_id_raw"] for line in lines] == list(there)
    notes = [line for line in errors.decode().splitlines(keepends=True) if "expired" in line]
    assert notes == ([said] if said else [])
