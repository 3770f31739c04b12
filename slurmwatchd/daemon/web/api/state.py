"""What the daemon is doing, what it has read, and which nodes are suspect."""

import time
from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from slurmwatchd._version import __version__
from slurmwatchd.config.api_tokens import ScopeKind
from slurmwatchd.config.units import DAY, HOUR
from slurmwatchd.daemon.web.api import answers
from slurmwatchd.daemon.web.api.calls import Call
from slurmwatchd.daemon.web.api.parameters import HoursQuery, NoParameters, SuspectsQuery
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.api.questions import Asking
from slurmwatchd.daemon.web.api.sight import Sight
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.store.read import coverage as covered
from slurmwatchd.store.read import status as stored
from slurmwatchd.store.read import suspects as suspected
from slurmwatchd.store.read.query import Question
from slurmwatchd.store.read.status import ClusterProgress
from slurmwatchd.watcher.half_written import holes
from slurmwatchd.watcher.unread import unread

SUSPECTS_SECONDS = DAY
HOURS_SECONDS = 14 * DAY
MAX_HOURS = 2400


Object = dict[str, Any]


async def index(call: Call[NoParameters]) -> Response:
    """Answer the root: what the token shows."""
    value = {"version": __version__, "scope": str(call.caller.scope)}
    return answers.response(call.request, answers.prepared(value, gzip=answers.takes_gzip(call.request)))


async def status(call: Call[NoParameters]) -> Response:
    """Answer `status`; a token for a part learns how far each cluster is read, and no number of attempts."""
    health = call.behind.health
    now = int(health.clock.now())
    reasons = health.not_ready()
    errors = {name: entry.trouble for name, entry in health.clusters.items()}
    sinks = {name: entry.error for name, entry in health.sinks.items()}

    def build(sight: Sight, _: Asking) -> Object:
        whole: Object = {}
        if sight.is_whole:
            store = sight.whole()
            count, newest = stored.quarantine(store)
            whole = {
                "not_ready": reasons,
                "attempts": stored.attempts(store),
                "newest_event": stored.newest(store),
                "quarantine": {"rows": count, "newest": _moment(newest)},
                "sinks": [
                    {
                        "sink": position.sink,
                        "position": position.seq,
                        "waiting": position.behind,
                        "oldest_waiting": _moment(position.oldest_waiting),
                        "moved": rfc3339(position.moved),
                        "error": sinks.get(position.sink, ""),
                    }
                    for position in stored.positions(store)
                ],
            }
        return {
            "version": __version__,
            "ready": not reasons,
            "clusters": [
                {
                    "cluster": reading.cluster,
                    "horizon": rfc3339(reading.ledger.horizon),
                    "read_up_to": rfc3339(reading.ledger.watermark),
                    "lag_seconds": max(0, now - reading.ledger.watermark),
                    "failing": bool(errors.get(reading.cluster)),
                    **({"error": errors.get(reading.cluster, "")} if sight.is_whole else {}),
                    **({"last_reading": _last(reading)} if sight.is_whole else {}),
                }
                for reading in sight.readings()
            ],
            **whole,
        }

    return await call.answer(build)


async def coverage(call: Call[NoParameters]) -> Response:
    """Answer `coverage`."""

    def build(sight: Sight, _: Asking) -> Object:
        return {"clusters": [_coverage(reading) for reading in sight.readings()]}

    return await call.answer(build)


async def hours(call: Call[HoursQuery]) -> Response:
    """Answer `coverage/hours`."""
    query, now = call.query, int(time.time())
    until = now if query.until is None else query.until
    since = max(0, until - HOURS_SECONDS) if query.since is None else query.since
    _in_order(since, until)
    if until - since > MAX_HOURS * HOUR:
        raise ProblemError(400, f"since: more than {MAX_HOURS} hours before the end", parameter="since")

    def build(sight: Sight, asking: Asking) -> Object:
        found = []
        for reading in sight.readings():
            asking.check()
            if query.cluster and reading.cluster not in query.cluster:
                continue
            found.append(
                {
                    "cluster": reading.cluster,
                    "horizon": rfc3339(reading.ledger.horizon),
                    "read_up_to": rfc3339(reading.ledger.watermark),
                    "hours": [
                        _hour(hour, whole=sight.is_whole) for hour in sight.hours(reading, since, until, now=now)
                    ],
                }
            )
        return {
            "since": rfc3339(since - since % HOUR),
            "until": rfc3339(-(-until // HOUR) * HOUR),
            "clusters": found,
        }

    return await call.answer(build)


def _hour(hour: covered.HourRead, *, whole: bool) -> Object:
    return {
        "hour": rfc3339(hour.hour),
        "seconds": hour.seconds,
        "read_seconds": hour.read_seconds,
        "read_at": _moment(hour.read_at),
        "readings": hour.readings,
        **({"found_late": hour.found_late} if whole else {}),
    }


async def suspects(call: Call[SuspectsQuery]) -> Response:
    """Answer `nodes/suspect`."""
    query, now = call.query, int(time.time())
    until = now if query.until is None else query.until
    since = max(0, until - SUSPECTS_SECONDS) if query.since is None else query.since
    _in_order(since, until)
    if call.caller.scope.kind is not ScopeKind.ALL:
        raise ProblemError(403, "Suspects follow from all users' jobs, so they need a token for all.")
    question = Question(ended_from=since, ended_until=until, clusters=query.cluster)

    def build(sight: Sight, asking: Asking) -> Object:
        store = sight.whole()
        found: list[Object] = []
        for cluster in query.cluster or store.clusters():
            asking.check()
            found += [
                {"cluster": cluster, **asdict(suspect)}
                for suspect in suspected.suspects(store, cluster, since, until)
            ]
        found.sort(key=lambda row: -row["score"])
        return {
            "since": rfc3339(since),
            "until": rfc3339(until),
            "nodes": found[: query.limit],
            "unread": [stretch.on_wire() for stretch in unread(sight.readings(), question, now=now)],
        }

    return await call.answer(build)


def _in_order(since: int, until: int) -> None:
    if since >= until:
        raise ProblemError(400, "until: the stretch ends before it begins", parameter="until")


def _coverage(reading: ClusterProgress) -> Object:
    ledger = reading.ledger
    never, _ = holes(ledger)
    return {
        "cluster": reading.cluster,
        "horizon": rfc3339(ledger.horizon),
        "read_up_to": rfc3339(ledger.watermark),
        "holes": [{"start": rfc3339(start), "end": rfc3339(end)} for start, end in never],
        "stretches": [
            {"start": rfc3339(part.start), "end": rfc3339(part.end), "read_at": rfc3339(part.read_at)}
            for part in ledger.stretches
        ],
    }


def _last(reading: ClusterProgress) -> Object | None:
    return None if reading.last is None else {**reading.last, "read_at": rfc3339(reading.last["read_at"])}


def _moment(moment: int | None) -> str | None:
    return None if moment is None else rfc3339(moment)
