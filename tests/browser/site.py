"""A fortnight of a busy cluster with hostile job names, served as the daemon serves it.

`python -m tests.browser.site FOLDER` prints the address and the logins as a line of JSON, and serves until its
standard input ends.
"""

import json
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from simslurm import SimCluster, Workload, install_commands
from slurmwatchd.config.loader import load
from slurmwatchd.config.settings import Config
from slurmwatchd.daemon import startup
from slurmwatchd.sinks.registry import sink_options
from tests.integration.api import serving_api

DAYS = 14
SEED = 3
HOUR = 3600

NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "</td></tr></table></main><h1>forged</h1>",
    "javascript:alert(3)",
    "{{ 7 * 7 }}{% raw %}",
    "a" * 255,
    "\u4e16" * 255,
    "\u05e9\u05dc\u05d5\u05dd \u202egnp.exe",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645",
    "tab\tline\nreturn\r\x1b[31mred\x07\x9b2J",
    "Z\u0337\u0321a\u0338l\u0335g\u0336o\u0334",
)
FIRST_HOSTILE = 900_001
BAD_NODE = "n07"
USERS = ("ada", "alan", "grace", "mary")


@dataclass(frozen=True, slots=True)
class Site:
    """What `serving_api` needs to know of a store."""

    config: Config
    store: Path


def made(folder: Path) -> Site:
    """Fill a store."""
    now = int(time.time())
    install_commands(folder / "bin", folder / "slurm.db")
    with closing(SimCluster.create(folder / "slurm.db", cluster="alpha")) as cluster:
        Workload(cluster, seed=SEED, nodes=24, runtime=2400).load(6000, now - DAYS * 24 * HOUR, now - 60)
        for number, name in enumerate(NAMES):
            cluster.add_job(
                id_job=FIRST_HOSTILE + number, job_name=name, user="mallory", id_user=1666, account="physics",
                partition="main", state="FAILED", exit_code=256, nodelist="n03", nodes_alloc=1,
                time_submit=now - 4000, time_start=now - 3500 + number, time_end=now - 600 + number,
            )  # fmt: skip
        for number in range(40):
            start = now - 40_000 + number * 900
            cluster.add_job(
                id_job=910_001 + number, job_name=f"train-{number}", user=USERS[number % 4],
                id_user=1700 + number % 4, account="physics", partition="main", state="FAILED", exit_code=256,
                nodelist=BAD_NODE, nodes_alloc=1, time_submit=start - 90, time_start=start, time_end=start + 20,
            )  # fmt: skip
    config = load(
        None,
        sink_options=sink_options(),
        environ={},
        flags={
            "slurm": {"bin_dir": str(folder / "bin")},
            "poll": {"since": f"{DAYS}d", "slice": "1d"},
            "store": {"path": str(folder / "store.db")},
            "sinks": {"jobs": {"type": "jsonl", "path": str(folder / "jobs.jsonl")}},
            "log": {"level": "warning"},
        },
    )
    anyio.run(startup.once, config)
    _read_as_after_an_outage(config.store.path, now)
    return Site(config, config.store.path)


def _read_as_after_an_outage(store: Path, now: int) -> None:
    """Have the store say that it was read in time, but for an outage of eight hours, half of them read again."""
    first = now - DAYS * 24 * HOUR
    first -= first % HOUR
    outage = now - now % (24 * HOUR) - 2 * 24 * HOUR + 9 * HOUR
    ages = (300, 900, 2 * HOUR, 12 * HOUR, 48 * HOUR, 192 * HOUR)
    stretches, readings = [], []
    for hour in range(first, now, HOUR):
        end = min(hour + HOUR, now)
        if outage + 4 * HOUR <= hour < outage + 8 * HOUR:
            continue
        whole = end if hour != outage + 3 * HOUR else hour + 1500
        read_at = max([whole + 30, *(end + age for age in ages if end + age <= now)])
        stretches.append(("alpha", hour, whole, read_at))
        readings += [("alpha", hour, whole, "poll", whole + 30, 9, 9)]
        for age in ages:
            if end + age <= now:
                late = (hour // HOUR * 7 + age) % 97 == 5 or (
                    outage <= hour < outage + 3 * HOUR and age == 2 * HOUR
                )
                readings.append(("alpha", hour, whole, "reread", end + age, 9, 3 if late else 0))
    with closing(sqlite3.connect(store)) as connection:
        connection.executescript("DELETE FROM coverage; DELETE FROM ledger")
        connection.executemany("INSERT INTO coverage VALUES (?, ?, ?, ?)", stretches)
        connection.executemany(
            'INSERT INTO ledger (cluster, start, "end", found_by, read_at, "rows", new, revised, rejected, '
            "seconds) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0.1)",
            readings,
        )
        connection.execute("UPDATE horizons SET horizon = ?", (first,))
        connection.commit()


async def _serve(folder: Path) -> None:
    site = await anyio.to_thread.run_sync(made, folder)
    async with serving_api(site, folder) as client:
        logins = {scope: client.token(scope) for scope in ("all", "user:mallory", "user:ada", "account:physics")}
        sys.stdout.write(json.dumps({"address": client.at(""), "tokens": logins}) + "\n")
        sys.stdout.flush()
        await anyio.to_thread.run_sync(sys.stdin.read)


if __name__ == "__main__":
    anyio.run(_serve, Path(sys.argv[1]))
