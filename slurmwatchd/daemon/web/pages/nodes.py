"""Nodes: those that are suspect; and one with what ran there, along the time."""

import time
from collections.abc import Mapping
from typing import Any

from slurmwatchd.config.units import DAY, HOUR
from slurmwatchd.daemon.web.pages import charts, paths
from slurmwatchd.daemon.web.pages.jobs import listed
from slurmwatchd.daemon.web.pages.view import View
from slurmwatchd.daemon.web.pages.visit import Object, Visit, address, seconds_of
from slurmwatchd.model.clock import rfc3339

LANES = 40
FIELDS = (
    "cluster,job_id,name,user,account,partition,state,outcome,start,end,elapsed_seconds,wait_seconds,node_count,"
    "cpus,usage.cpu_efficiency"
)

_MARKS = 6
_STEPS = (60, 300, 900, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY, 365 * DAY)


async def search(visit: Visit) -> View:
    """Show the suspects, and go to a node that is named."""
    visit.only("node", "since", "until", "cluster")
    if node := dict(visit.pairs).get("node", "").strip():
        return View(elsewhere=paths.of_node(node))
    suspects: Object = {}
    if visit.sees_all:
        suspects = await visit.ask(
            "/nodes/suspect", visit.given("since", "until", "cluster"), link="Suspect nodes"
        )
    return View(
        template="nodes.html",
        context={
            "suspects": suspects.get("nodes") if visit.sees_all else None,
            "span": (suspects.get("since"), suspects.get("until")),
            "unread_stretches": suspects.get("unread", []),
        },
    )


async def one(visit: Visit) -> View:
    """Show what ran on a node."""
    visit.only("since", "until", "at", "cluster", "cursor", "limit")
    found = await visit.ask("/nodes/{node}", (*visit.pairs, ("fields", FIELDS)), link="Node")
    pairs = dict(visit.pairs)
    jobs = found["jobs"]
    runs = [_run(job) for job in jobs if job.get("start") and job.get("end")]
    start, end = _span(runs, pairs)
    where = paths.of_node(found["node"])
    line = charts.time_line(runs, start, end, lanes=LANES, marks=_marks(start, end))
    return View(
        template="node.html",
        context={
            "node": found["node"],
            "jobs": [listed(job) for job in jobs],
            "line": line,
            "span": (rfc3339(start), rfc3339(end)),
            "kinds_shown": [
                (kind, charts.css(kind))
                for kind in charts.KINDS
                if any(run.kind == charts.css(kind) for run in runs)
            ],
            "failed": sum(run.failed for run in runs),
            "unread_stretches": found["unread"],
            "next": address(where, visit.pairs, cursor=found["next"]) if found["next"] else None,
            "first": address(where, visit.pairs, cursor=None) if "cursor" in pairs else None,
            "values": pairs,
            "many_clusters": len({job["cluster"] for job in jobs}) > 1,
        },
    )


def _run(job: Mapping[str, Any]) -> charts.Run:
    kind = charts.kind_of(job.get("outcome"))
    title = f"{job['job_id']}, {job.get('user') or 'no user'}: {kind}, {job['start'][:16]} to {job['end'][:16]}"
    return charts.Run(
        seconds_of(job["start"]), seconds_of(job["end"]), charts.css(kind), title, kind in charts.FAILED
    )


def _span(runs: list[charts.Run], pairs: Mapping[str, str]) -> tuple[int, int]:
    """Return from and until when to draw: what is listed; one that ran for days does not make all else narrow."""
    if not runs:
        now = int(time.time())
        return now - DAY, now
    end = max(run.end for run in runs)
    starts = sorted(run.start for run in runs)
    oldest_end = min(run.end for run in runs)
    start = starts[0] if len(runs) == 1 or "at" in pairs else min(oldest_end, starts[len(starts) // 10])
    return (start if start < end else end - 60), end


def _marks(start: int, end: int) -> list[tuple[int, str]]:
    """Return round moments in a stretch, and what to call them."""
    step = next((step for step in _STEPS if (end - start) / step <= _MARKS), _STEPS[-1])
    first = -(-start // step) * step
    return [
        (moment, rfc3339(moment)[5:10] if moment % DAY == 0 else rfc3339(moment)[11:16])
        for moment in range(first, end + 1, step)
    ]
