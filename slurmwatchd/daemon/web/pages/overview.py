"""The overview: ends by the hour, waits, efficiency, failures by partition, suspect nodes, sinks, lag."""

import time
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from slurmwatchd.config.units import HOUR
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.pages import charts, paths
from slurmwatchd.daemon.web.pages.view import View
from slurmwatchd.daemon.web.pages.visit import Object, Visit, address, seconds_of
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.model.outcomes import FAILURES

SPANS = {"24h": 24, "3d": 72, "7d": 168}
"""What can be looked at, and its hours."""

MAX_OWN = 1000
"""So many of a user's own jobs are added up."""

_FIELDS = "job_id,outcome,end,wait_seconds,partition,cpus,elapsed_seconds,usage.cpu_efficiency"


async def view(visit: Visit) -> View:
    """Show the overview."""
    visit.only("since", "cluster")
    span = dict(visit.pairs).get("since", "24h")
    if span not in SPANS:
        raise ProblemError(400, f"since: must be one of {', '.join(SPANS)}", parameter="since")
    now = int(time.time())
    first = now - now % HOUR - (SPANS[span] - 1) * HOUR
    asked = (*visit.given("cluster"), ("since", rfc3339(first)))
    status = await visit.ask("/status", link="Status")
    ended = await (_of_own(visit, asked) if visit.sees_own else _of_sums(visit, asked))
    suspects: Object = {}
    why = ""
    if visit.sees_all:
        suspects, why = await visit.ask_if("/nodes/suspect", asked, link="Suspect nodes")
    clusters = [cluster["cluster"] for cluster in status["clusters"]]
    chosen = dict(visit.pairs).get("cluster", "")
    return View(
        template="overview.html",
        context={
            "status": status,
            "span": span,
            "spans": [(name, address(paths.OVERVIEW, visit.given("cluster"), since=name)) for name in SPANS],
            "clusters": [("all", address(paths.OVERVIEW, cluster=None, since=span), not chosen)]
            + [(name, address(paths.OVERVIEW, cluster=name, since=span), name == chosen) for name in clusters]
            if len(clusters) > 1
            else [],
            "chart": _chart(ended["hours"], first, now, SPANS[span]),
            "hour_rows": _table(ended["hours"], first, now),
            "kinds_shown": [(kind, charts.css(kind)) for kind in charts.KINDS if kind in ended["kinds"]],
            "suspects": suspects.get("nodes", []) if visit.sees_all else None,
            "no_suspects": why,
            "failed_jobs": address(
                paths.JOBS,
                visit.given("cluster"),
                since=rfc3339(first),
                outcome=",".join(FAILURES),
            ),
            **ended,
        },
    )


async def _of_sums(visit: Visit, asked: Iterable[tuple[str, str]]) -> Object:
    """Return what the hourly sums say, for who sees more than one user's jobs."""
    asked = tuple(asked)
    hourly = await visit.ask("/report", (*asked, ("by", "hour")), link="Hours")
    partitions = await visit.ask("/report", (*asked, ("by", "partition")), link="Partitions")
    total = hourly["total"]
    hours = {
        seconds_of(f"{line['hour']}:00:00Z"): {
            "kinds": charts.by_kind(line["outcomes"]),
            "wait": line["wait_median_seconds"],
            "efficiency": line["cpu_efficiency"],
        }
        for line in hourly["lines"]
    }
    return {
        "hours": hours,
        "kinds": charts.by_kind(total["outcomes"]),
        "attempts": total["attempts"],
        "cpu_hours": total["cpu_hours"],
        "efficiency": total["cpu_efficiency"],
        "wait": total["wait_median_seconds"],
        "partitions": _partitions((line["partition"], line["outcomes"]) for line in partitions["lines"]),
        "cut": False,
    }


async def _of_own(visit: Visit, asked: Iterable[tuple[str, str]]) -> Object:
    """Return the same of one user's newest jobs: what sums cost tells how many others there are."""
    query = (*asked, ("limit", f"{MAX_OWN}"), ("fields", _FIELDS))
    page = await visit.ask("/jobs", query, link="Jobs")
    jobs: list[Mapping[str, Any]] = page["jobs"]
    partitions: dict[str, dict[str, int]] = {}
    by_hour: dict[int, list[Mapping[str, Any]]] = {}
    for job in jobs:
        end = seconds_of(job["end"])
        by_hour.setdefault(end - end % HOUR, []).append(job)
        outcomes = partitions.setdefault(job.get("partition") or "(none)", {})
        outcomes[job["outcome"]] = outcomes.get(job["outcome"], 0) + 1
    return {
        "hours": {hour: _added_up(some) for hour, some in by_hour.items()},
        **_added_up(jobs),
        "attempts": len(jobs),
        "cpu_hours": sum(job.get("cpus", 0) * (job.get("elapsed_seconds") or 0) for job in jobs) / HOUR,
        "partitions": _partitions(partitions.items()),
        "cut": page["next"] is not None,
    }


def _added_up(jobs: Iterable[Mapping[str, Any]]) -> Object:
    jobs = list(jobs)
    outcomes: dict[str, int] = {}
    for job in jobs:
        outcomes[job["outcome"]] = outcomes.get(job["outcome"], 0) + 1
    waits = [job["wait_seconds"] for job in jobs if job.get("wait_seconds") is not None]
    used = had = 0.0
    for job in jobs:
        share = job.get("usage", {}).get("cpu_efficiency")
        if share is not None:
            seconds = job.get("cpus", 0) * (job.get("elapsed_seconds") or 0)
            used, had = used + share * seconds, had + seconds
    return {
        "kinds": charts.by_kind(outcomes),
        "wait": median(waits) if waits else None,
        "efficiency": used / had if had else None,
    }


def _partitions(lines: Iterable[tuple[str, Mapping[str, int]]]) -> list[Object]:
    """Return partitions with how many of their jobs failed, the most failures first."""
    made = []
    for name, outcomes in lines:
        kinds = charts.by_kind(outcomes)
        if total := sum(kinds.values()):
            failed = charts.failures(kinds)
            parts = [(charts.css(kind), f"{name}: {count:,} {kind}", count) for kind, count in kinds.items()]
            bars = charts.shares(parts, total)
            made.append(
                {"partition": name, "ended": total, "failed": failed, "share": failed / total, "bars": bars}
            )
    return sorted(made, key=lambda row: (-row["failed"], -row["ended"], row["partition"]))


def _chart(hours: Mapping[int, Object], first: int, now: int, count: int) -> charts.Columns:
    starts = range(first, now + 1, HOUR)
    stacks = [(_spoken(start), hours[start]["kinds"] if start in hours else {}) for start in starts]
    step = 6 if count == SPANS["24h"] else 24
    labels = {}
    for number, start in enumerate(starts):
        hour = start // HOUR % 24
        if hour % step == 0:
            labels[number] = rfc3339(start)[5:10] if hour == 0 else f"{hour:02d}:00"
    return charts.columns(stacks, labels=labels)


def _table(hours: Mapping[int, Object], first: int, now: int) -> list[Object]:
    """Return the hours in which anything ended, the newest first."""
    rows = []
    for start in range(now - now % HOUR, first - 1, -HOUR):
        if (found := hours.get(start)) and found["kinds"]:
            kinds = found["kinds"]
            failed = charts.failures(kinds)
            rows.append({"hour": _spoken(start), "ended": sum(kinds.values()), "failed": failed, **found})
    return rows


def _spoken(hour: int) -> str:
    return rfc3339(hour)[5:16].replace("T", " ")
