"""`slurmwatchd report` against `sreport`, over hours that slurmdbd has rolled up, on real Slurm."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.watch import Watch
from tests.real_slurm.daemons import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.timeout(900)]

HOUR = 3600
JOBS = 600
HOURS_AGO = 5
"""When the jobs begin to end: long before this cluster came up, so they are all that ran in these hours."""
SPAN_HOURS = 3


@pytest.fixture
def hours(cluster: RealCluster) -> Iterator[range]:
    """The beginnings of hours in which jobs ran, which slurmdbd has rolled up."""
    now = int(time.time())
    begin = now - now % HOUR - HOURS_AGO * HOUR
    first = cluster.load_jobs(JOBS, begin + HOUR, begin + (SPAN_HOURS - 1) * HOUR)
    cluster.stop_slurmdbd()
    # The cluster was there before them, and nothing was rolled up since.
    before = begin - HOUR
    cluster.sql(f"update `{cluster.name}_event_table` set time_start = %s where node_name = ''", (before,))  # noqa: S608
    cluster.sql(
        f"update `{cluster.name}_last_ran_table` set hourly_rollup = %s, daily_rollup = %s, monthly_rollup = %s",  # noqa: S608
        (before,) * 3,
    )
    cluster.start_slurmdbd()
    wait_until(lambda: rolled_up(cluster) >= begin + SPAN_HOURS * HOUR, "slurmdbd's roll-up")
    yield range(begin, begin + SPAN_HOURS * HOUR, HOUR)
    cluster.remove_jobs(first, JOBS)


def rolled_up(cluster: RealCluster) -> int:
    """Up to when slurmdbd has added up hours, epoch seconds."""
    (row,) = cluster.sql(f"select hourly_rollup from `{cluster.name}_last_ran_table`")  # noqa: S608
    return int(row["hourly_rollup"] or 0)


def by_sreport(cluster: RealCluster, start: int, end: int) -> Counter[tuple[str, str]]:
    """CPU seconds by account and login; an account's own line has no login, and root's is the whole tree's."""
    form = "%Y-%m-%dT%H:%M:%S"
    span = [f"{name}={time.strftime(form, time.localtime(at))}" for name, at in (("start", start), ("end", end))]
    printed = cluster.run("sreport", "-nPt", "seconds", "cluster", "AccountUtilizationByUser", *span).stdout
    found = Counter[tuple[str, str]]()
    for line in printed.splitlines():
        _, account, login, _, used, _ = line.split("|")
        if account != "root" or login:
            found[account, login] += int(used)
    return found


def by_report(watch: Watch, start: int, end: int) -> Counter[tuple[str, str]]:
    """The same of our own command."""
    found = Counter[tuple[str, str]]()
    span = ("--since", f"@{start}", "--until", f"@{end}", "--format", "json")
    accounts = {line["account"]: line["cpu_hours"] for line in lines(watch, "--by", "account", *span)}
    for account, hours in accounts.items():
        found[account, ""] += round(hours * HOUR)
        for line in lines(watch, "--by", "user", "--account", account, *span):
            found[account, line["user"]] += round(line["cpu_hours"] * HOUR)
    return found


def lines(watch: Watch, *arguments: str) -> list[dict[str, Any]]:
    done = watch.run("report", *arguments)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["lines"]
    return found


def test_report_equals_sreport_for_closed_hours(cluster: RealCluster, hours: range, tmp_path: Path) -> None:
    watch = Watch(cluster, tmp_path / "watch", steps="off", since=f"{HOURS_AGO + 2}h")
    done = watch.run("once")
    assert done.returncode == 0, done.stderr
    *busy, idle = hours
    # None of the jobs ran in the last hour: what sreport has there, slurmdbd counts in every hour, for what other
    # tests have left.
    besides = by_sreport(cluster, idle, idle + HOUR)
    assert not by_report(watch, idle, idle + HOUR)
    whole = Counter[tuple[str, str]]()
    for hour in busy:
        expected = by_sreport(cluster, hour, hour + HOUR)
        expected.subtract(besides)
        assert by_report(watch, hour, hour + HOUR) == expected
        whole += expected
    # Two accounts, each with a login.
    assert len(whole) == 4
    assert min(whole.values()) > JOBS * HOUR
    assert by_report(watch, hours[0], hours[-1] + HOUR) == whole
