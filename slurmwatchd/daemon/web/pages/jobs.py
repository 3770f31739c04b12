"""Jobs: the search, as `slurmwatchd jobs` has it; and one job with all that is known of it."""

from collections.abc import Mapping
from typing import Any

from slurmwatchd.daemon.web.api.parameters import JobsQuery, job_id_of
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.pages import charts, paths
from slurmwatchd.daemon.web.pages.view import View
from slurmwatchd.daemon.web.pages.visit import Object, Visit, address, seconds_of
from slurmwatchd.model.outcomes import Outcome

FIELDS = (
    "cluster,job_id,name,user,account,partition,state,outcome,start,end,elapsed_seconds,wait_seconds,node_count,cpus,"
    "usage.cpu_efficiency,usage.memory_efficiency"
)
TEXTS = ("user", "account", "partition", "name", "node", "state", "qos", "cluster")
"""The fields of the form that take a text, those used most first."""

TIMES = ("since", "until")
_HIDDEN = ("from", "to", "limit")
_ORDERS = ("newest", "oldest", "longest", "least-efficient")
_SHOWN_HISTORY = 60


async def search(visit: Visit) -> View:
    """Show the jobs that match the address."""
    pairs = dict(visit.pairs)
    if job_id := pairs.pop("job_id", ""):
        return View(elsewhere=paths.of_job(job_id_of(job_id.strip())))
    page: Object = {"jobs": [], "next": None, "unread": []}
    problem = None
    if "fields" in pairs:
        raise ProblemError(400, "fields: there is no such parameter here", parameter="fields")
    try:
        page = await visit.ask("/jobs", (*visit.pairs, ("fields", FIELDS)), link="Jobs")
    except ProblemError as error:
        # The form stays as it was filled in, so that it can be mended.
        problem = error
    found = [listed(job) for job in page["jobs"]]
    return View(
        template="jobs.html",
        status=200 if problem is None else problem.status,
        context={
            "problem": problem,
            "jobs": found,
            "unread_stretches": page["unread"],
            "next": address(paths.JOBS, visit.pairs, cursor=page["next"]) if page["next"] else None,
            "first": address(paths.JOBS, visit.pairs, cursor=None) if "cursor" in pairs else None,
            "values": pairs,
            "texts": [(name, JobsQuery.model_fields[name].description or "") for name in TEXTS],
            "times": TIMES,
            "hidden": [(name, pairs[name]) for name in _HIDDEN if name in pairs],
            "outcomes": sorted({outcome.value for outcome in Outcome}),
            "outcome": pairs.get("outcome", ""),
            "orders": _ORDERS,
            "order": pairs.get("order", "newest"),
            "asked": [(name, value) for name, value in visit.pairs if name not in {"cursor", "limit", "order"}],
            "many_clusters": len({job["cluster"] for job in found}) > 1,
            "more_open": any(name in pairs for name in ("state", "qos", "cluster", "node", "until", "order")),
        },
    )


def listed(job: Mapping[str, Any]) -> Object:
    """Return a job as lists of jobs show it."""
    return {
        **{name: job.get(name) for name in FIELDS.split(",") if "." not in name},
        "kind": charts.css(charts.kind_of(job.get("outcome"))),
        "usage": job.get("usage", {}),
    }


async def one(visit: Visit) -> View:
    """Show one job: each attempt with its life line, usage, steps, neighbours and revisions."""
    visit.only("cluster", "cursor", "limit")
    found = await visit.ask("/jobs/{job_id}", visit.pairs, link="Job")
    where = paths.of_job(found["job_id"])
    return View(
        template="job.html",
        context={
            "job_id": found["job_id"],
            "attempts": [_attempt(attempt) for attempt in found["attempts"]],
            "next": address(where, visit.pairs, cursor=found["next"]) if found["next"] else None,
        },
    )


def _attempt(attempt: Mapping[str, Any]) -> Object:
    history = attempt.get("history", [])
    return {
        "job": attempt,
        "kind": charts.css(charts.kind_of(attempt.get("outcome"))),
        "life": _life(attempt),
        "moments": _moments(attempt),
        "gauges": _gauges(attempt.get("usage", {})),
        "usage": [
            (name, value) for name, value in attempt.get("usage", {}).items() if not isinstance(value, dict)
        ],
        "tres": sorted({*attempt.get("req_tres", {}), *attempt.get("alloc_tres", {})}),
        "steps": attempt.get("steps", []),
        "neighbours": [listed(job) for job in attempt.get("shared_nodes_with", [])],
        "history": history[:_SHOWN_HISTORY],
        "nodes": attempt.get("nodes", []),
        "facts": _facts(attempt),
    }


def _life(attempt: Mapping[str, Any]) -> list[charts.Part]:
    """Return the stretches from the submission to the end."""
    submit, end = seconds_of(attempt["submit"]), attempt.get("end")
    if end is None:
        return []
    eligible = min(max(seconds_of(attempt.get("eligible") or attempt["submit"]), submit), seconds_of(end))
    start = attempt.get("start")
    started = seconds_of(end) if start is None else max(eligible, seconds_of(start))
    suspended = min(attempt.get("suspended_seconds") or 0, max(0, seconds_of(end) - started))
    ran = max(0, seconds_of(end) - started) - suspended
    kind = charts.css(charts.kind_of(attempt.get("outcome")))
    return charts.divided(
        [
            ("l-held", "not yet eligible", eligible - submit),
            ("l-wait", "waiting", started - eligible),
            (kind, "running", ran),
            ("l-suspended", "suspended", suspended),
        ]
    )


def _moments(attempt: Mapping[str, Any]) -> list[tuple[str, str | None, int | None]]:
    """Return what happened when, and how long after what came before."""
    moments: list[tuple[str, str | None, int | None]] = []
    before: int | None = None
    for name, field in (("submitted", "submit"), ("eligible", "eligible"), ("started", "start"), ("ended", "end")):
        moment = attempt.get(field)
        now = None if moment is None else seconds_of(moment)
        later = None if now is None or before is None else max(0, now - before)
        moments.append((name, moment, later))
        before = before if now is None else now
    return moments


def _gauges(usage: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Return efficiencies: what of, the share, and how wide to draw it, in percent."""
    named = (("CPU", "cpu_efficiency"), ("Memory", "memory_efficiency"), ("GPU", "gpu_efficiency"))
    return [
        (name, usage[field], round(100 * min(1.0, max(0.0, usage[field])), 2))
        for name, field in named
        if usage.get(field) is not None
    ]


_SHOWN_ELSEWHERE = frozenset(
    {
        "job_id", "cluster", "name", "user", "outcome", "submit", "eligible", "start", "end", "req_tres",
        "alloc_tres", "usage", "steps", "nodes", "history", "shared_nodes_with", "raw",
    }
)  # fmt: skip


def _facts(attempt: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return all else that the record says."""
    return [
        (name, value)
        for name, value in attempt.items()
        if name not in _SHOWN_ELSEWHERE and value is not None and not isinstance(value, dict | list)
    ]
