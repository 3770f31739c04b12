"""`report`: who used what, and how well, from the hourly sums and what the archive has besides."""

import time
from dataclasses import asdict
from functools import partial
from typing import Any

from starlette.responses import Response

from slurmwatchd.config.api_tokens import ScopeKind
from slurmwatchd.daemon.web.api.calls import Call
from slurmwatchd.daemon.web.api.parameters import ReportQuery
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.api.questions import Asking
from slurmwatchd.daemon.web.api.sight import Sight
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.model.reports import ReportLine
from slurmwatchd.store.read import report as reports
from slurmwatchd.store.read.query import Question
from slurmwatchd.store.read.report import Wish
from slurmwatchd.watcher.unread import unread

DEFAULT_SECONDS = 30 * 86_400

Object = dict[str, Any]


async def report(call: Call[ReportQuery]) -> Response:
    """Answer `report`."""
    if call.caller.scope.kind is ScopeKind.USER:
        raise ProblemError(403, "This token is for a user, and a report is for a token for all or an account.")
    query, now, settings = call.query, int(time.time()), call.behind.report
    until = now if query.until is None else query.until
    since = max(0, until - DEFAULT_SECONDS) if query.since is None else query.since
    if since >= until:
        raise ProblemError(400, "until: the stretch ends before it begins", parameter="until")
    wish = Wish(
        by=query.by,
        since=since,
        until=until,
        top=query.top,
        clusters=query.cluster,
        accounts=query.account,
        users=query.user,
        partitions=query.partition,
        qos=query.qos,
    )
    question = Question(ended_from=wish.span[0], ended_until=until, clusters=wish.clusters)

    archive = call.behind.archive

    def build(sight: Sight, asking: Asking) -> Object:
        ask = reports.report if archive is None else partial(archive.report, asking=asking)
        *parts, total = sight.report(wish, settings.rates, ask)
        reported = partial(sight.reported, archived=_none if archive is None else archive.archived)
        stretches = unread(sight.readings(), question, now=now, archived=reported)
        begin, end = wish.span
        return {
            "by": query.by,
            "since": rfc3339(begin),
            "until": rfc3339(end),
            "currency": settings.currency,
            "unread": [stretch.on_wire() for stretch in stretches],
            "lines": [{query.by: line.key, **_amounts(line)} for line in parts],
            "total": _amounts(total),
        }

    return await call.answer(build)


def _none(*_: object) -> tuple[tuple[int, int], ...]:
    """Return what an archive has where there is none."""
    return ()


def _amounts(line: ReportLine) -> Object:
    return {name: value for name, value in asdict(line).items() if name != "key"}
