"""Every endpoint: its path, its parameters, who answers it, and what stands in its answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from slurmwatchd.daemon.web.api import events, lists, reporting, state
from slurmwatchd.daemon.web.api.calls import Call
from slurmwatchd.daemon.web.api.parameters import (
    ArraysQuery,
    EventsQuery,
    ExportQuery,
    HoursQuery,
    JobQuery,
    JobsQuery,
    NodeQuery,
    NoParameters,
    Parameters,
    ReportQuery,
    RunningQuery,
    SuspectsQuery,
)
from slurmwatchd.model.job_ids import JOB_ID

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One of them.

    Attributes:
        path: Below `PREFIX`; what is in braces is a parameter.
        summary: What it answers, in a sentence.
        text: What else there is to know.
        schema: The name of the answer's schema.
        media: In which forms it answers; the first is the usual one.
        path_parameters: Name to schema and description.
    """

    path: str
    answer: Callable[[Call[Any]], Awaitable[Response]]
    query: type[Parameters]
    summary: str
    schema: str
    text: str = ""
    media: tuple[str, ...] = ("application/json",)
    path_parameters: Mapping[str, tuple[Mapping[str, Any], str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name in the description."""
        return self.path.strip("/").replace("/{", "_").replace("}", "").replace("/", "_") or "index"


INDEX = Endpoint(
    path="/",
    answer=state.index,
    query=NoParameters,
    summary="What the token shows, and the daemon's version.",
    text="It reads nothing from the store: use it to try address and token. You may omit the last slash.",
    schema="Index",
)
ENDPOINTS = (
    INDEX,
    Endpoint(
        path="/jobs",
        answer=lists.jobs,
        query=JobsQuery,
        summary="Attempts that ended, by user, state, node, time and more.",
        text="The newest comes first. It has names of nodes only if `fields` has `nodes`.",
        schema="JobPage",
    ),
    Endpoint(
        path="/jobs/{job_id}",
        answer=lists.job,
        query=JobQuery,
        summary="One job: each attempt with its nodes, usage, steps, history, and who shared its nodes.",
        text="`12` is a job, every task of an array or every component of a heterogeneous job; `12_3` and `12+1` "
        "are one of them, and `12_[0-9]` the tasks that never started. The attempt that was submitted first comes "
        "first.",
        schema="Job",
        path_parameters={
            "job_id": (
                {"type": "string", "pattern": f"^{JOB_ID}$"},
                "As sacct's `-j` takes it.",
            )
        },
    ),
    Endpoint(
        path="/nodes/suspect",
        answer=state.suspects,
        query=SuspectsQuery,
        summary="Nodes whose failures cannot be chance, the worst first.",
        text="As `slurmwatchd nodes --suspect --json`; for a token for all. For a node of the name `suspect`, ask "
        "`/jobs?node=suspect`.",
        schema="SuspectList",
    ),
    Endpoint(
        path="/nodes/{node}",
        answer=lists.node,
        query=NodeQuery,
        summary="What ran on a node, the newest first.",
        schema="NodePage",
        path_parameters={"node": ({"type": "string", "minLength": 1, "maxLength": 255}, "The node's name.")},
    ),
    Endpoint(
        path="/running",
        answer=lists.running,
        query=RunningQuery,
        summary="What was running in an interval, in the order of starts.",
        text="The store has no jobs that still run, or that ended after the last poll; `unread` says so.",
        schema="JobPage",
    ),
    Endpoint(
        path="/arrays",
        answer=lists.arrays,
        query=ArraysQuery,
        summary="Job arrays, one object each, the one that ended last first.",
        text="The filters are about tasks, and the numbers are of the tasks that meet them. Without a time: "
        "of the last 7 days.",
        schema="ArrayPage",
    ),
    Endpoint(
        path="/report",
        answer=reporting.report,
        query=ReportQuery,
        summary="Who used what, and how well: jobs, hours, efficiency, waits, losses, price.",
        text="As `slurmwatchd report -f json`, see [Reports](reports.md); for a token for all or an account.",
        schema="Report",
    ),
    Endpoint(
        path="/export",
        answer=lists.export,
        query=ExportQuery,
        summary="All attempts that match, as a stream of JSON lines, the oldest end first.",
        text="There is no limit. A stream that breaks off has no proper end of its body, so a client reports an "
        "error.",
        schema="Attempt",
        media=("application/x-ndjson",),
    ),
    Endpoint(
        path="/events",
        answer=events.events,
        query=EventsQuery,
        summary="Events after a place in their stream, at once, by waiting, or as server-sent events.",
        text="Each event is an object as a JSON-lines sink writes it in the format `flat`; a token for a user or "
        "account sees no `seq`. With `Accept: text/event-stream` the answer has no end, and `Last-Event-ID` "
        "resumes it.",
        schema="EventPage",
        media=("application/json", events.STREAM_TYPE),
    ),
    Endpoint(
        path="/status",
        answer=state.status,
        query=NoParameters,
        summary="What the daemon is doing, and how far it has read.",
        text="Numbers of attempts, sinks and errors are for a token for all only.",
        schema="Status",
    ),
    Endpoint(
        path="/coverage",
        answer=state.coverage,
        query=NoParameters,
        summary="Which stretches of end times were read, and when last.",
        schema="Coverage",
    ),
    Endpoint(
        path="/coverage/hours",
        answer=state.hours,
        query=HoursQuery,
        summary="Each hour of end times: whether it was read, when last, how often, and what was found late.",
        text="At most 2,400 hours. It omits hours before the horizon. `found_late` is for a token for all.",
        schema="CoverageHours",
    ),
)
