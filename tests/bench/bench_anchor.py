"""What it costs that each answer must show an attempt that is known: sacct's calls and rows in a simulated day.

    python -m tests.bench.bench_anchor [--hours 24]

A busy site (a job ends every ten seconds) and a quiet one (one in 48 minutes) are polled every 30 seconds, with
the default re-reads. The figures count work, so they are the same on every machine. To compare, run it in a
checkout of another commit.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import anyio

from tests.integration.rig import Rig

INTERVAL = 30
SITES = {"busy": 10, "quiet": 2880}
"""Seconds between two ends."""


async def _day(folder: Path, seconds_between: int, hours: int) -> tuple[int, int, int]:
    """Return sacct's calls, the rows it printed, and the attempts that ended."""
    with Rig(folder) as rig:
        ended = 0
        async with rig.daemon() as daemon:
            watcher = daemon.watchers[0]
            for second in range(0, hours * 3600, INTERVAL):
                rig.move(INTERVAL)
                for age in range(INTERVAL):
                    if (second + INTERVAL - age) % seconds_between == 0:
                        rig.ended(age + 1)
                        ended += 1
                await watcher.once()
            value = daemon.metrics.registry.get_sample_value
            rows = value("slurmwatchd_sacct_rows_total", {"slurm_cluster": "sim"}) or 0
        calls = sum("-V" not in call.argv and "-e" not in call.argv for call in rig.cluster.calls("sacct"))
        return calls, int(rows), ended


def main() -> None:
    """Print a line a site."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=24)
    hours = parser.parse_args().hours
    for name, seconds_between in SITES.items():
        with tempfile.TemporaryDirectory() as folder:
            calls, rows, ended = anyio.run(_day, Path(folder), seconds_between, hours)
        print(f"{name:5}  {hours} h  {ended} ended  {calls} calls of sacct  {rows} rows")  # noqa: T201 - its output


if __name__ == "__main__":
    main()
