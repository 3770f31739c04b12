"""`status` and `coverage`: what the daemon is doing, and what it has read."""

from typing import Any

from starlette.responses import Response

from slurmwatchd._version import __version__
from slurmwatchd.daemon.web.api.calls import Call
from slurmwatchd.daemon.web.api.parameters import NoParameters
from slurmwatchd.daemon.web.api.questions import Asking
from slurmwatchd.daemon.web.api.sight import Sight
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.store.read import status as stored
from slurmwatchd.store.read.status import ClusterProgress
from slurmwatchd.watcher.half_written import holes

Object = dict[str, Any]


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
