"""`/-/status`: what the daemon knows of itself, for `slurmwatchd status` and other programs."""

import os
from dataclasses import asdict
from typing import Any

import orjson

from slurmwatchd._version import __version__
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.telemetry.health import ClusterHealth, Health


def _cluster(entry: ClusterHealth) -> dict[str, Any]:
    """Return one cluster's health, its moments as everywhere; null before the first reading."""
    moments = {
        name: rfc3339(moment) if (moment := getattr(entry, name)) else None for name in ("last_ok", "watermark")
    }
    return {**asdict(entry), **moments}


def status(health: Health) -> bytes:
    """Write the daemon's health as a JSON object: each part's own fields, and what keeps it from being ready."""
    value: dict[str, Any] = {
        "program": "slurmwatchd",
        "version": __version__,
        "pid": os.getpid(),
        "not_ready": health.not_ready(),
        "stalled": health.stalled(),
        "reload_refused": health.reload_refused,
        "archive": health.archive,
        "clusters": {name: _cluster(entry) for name, entry in health.clusters.items()},
        "sinks": {name: asdict(entry) for name, entry in health.sinks.items()},
    }
    return orjson.dumps(value, default=str, option=orjson.OPT_APPEND_NEWLINE)
