"""Coverage: for every hour since the horizon whether it was read, when last, how often, what was found late."""

import time
from datetime import UTC, datetime

from slurmwatchd.config.units import DAY, HOUR
from slurmwatchd.daemon.web.pages import paths
from slurmwatchd.daemon.web.pages.view import View
from slurmwatchd.daemon.web.pages.visit import Object, Visit, address, seconds_of
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.watcher.unread import BEHIND_SECONDS

SPAN_DAYS = 14

_JUST_SECONDS = 60
_AGES = ((15 * 60, "c1"), (2 * HOUR, "c2"), (2 * DAY, "c3"))
"""Read again up to so long after the hour's end, and the style's class; `c4` is later still."""

LEGEND = (
    ("c1", "read"),
    ("c2", "read again after 15 minutes"),
    ("c3", "after 2 hours"),
    ("c4", "after 2 days"),
    ("part", "in part"),
    ("never", "never read"),
)


async def view(visit: Visit) -> View:
    """Show the coverage."""
    visit.only("since", "until", "cluster")
    pairs = dict(visit.pairs)
    if "since" not in pairs and "until" not in pairs:
        pairs["since"] = rfc3339(int(time.time()) // DAY * DAY - (SPAN_DAYS - 1) * DAY)
    found = await visit.ask("/coverage/hours", tuple(pairs.items()), link="Hours")
    since, until = seconds_of(found["since"]), seconds_of(found["until"])
    visit.links.append(("Stretches", "/api/v1/coverage"))
    earlier = max(0, since - SPAN_DAYS * DAY)
    horizon = min((seconds_of(cluster["horizon"]) for cluster in found["clusters"]), default=until)
    return View(
        template="coverage.html",
        context={
            "since": found["since"],
            "until": found["until"],
            "clusters": [_cluster(cluster) for cluster in found["clusters"]],
            "legend_entries": LEGEND,
            "earlier": None
            if horizon >= since
            else address(paths.COVERAGE, visit.given("cluster"), since=rfc3339(earlier), until=rfc3339(since)),
            "later": None
            if until >= time.time()
            else address(
                paths.COVERAGE,
                visit.given("cluster"),
                since=rfc3339(until),
                until=rfc3339(until + SPAN_DAYS * DAY),
            ),
        },
    )


def _cluster(cluster: Object) -> Object:
    hours: list[Object] = [_settled(hour, time.time()) for hour in cluster["hours"]]
    days: dict[str, dict[int, Object]] = {}
    for hour in hours:
        days.setdefault(hour["hour"][:10], {})[int(hour["hour"][11:13])] = hour
    return {
        "cluster": cluster["cluster"],
        "horizon": cluster["horizon"],
        "read_up_to": cluster["read_up_to"],
        "late": sum(hour.get("found_late", 0) for hour in hours),
        "shows_late": any("found_late" in hour for hour in hours),
        "unread": sum(hour["seconds"] - hour["read_seconds"] for hour in hours),
        "whole": sum(hour["seconds"] == hour["read_seconds"] for hour in hours),
        "count": len(hours),
        "days": [
            {
                "day": day,
                "name": datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).strftime("%a %d %b"),
                "cells": [_cell(number, in_day[number]) for number in sorted(in_day)],
            }
            for day, in_day in sorted(days.items(), reverse=True)
        ],
        "hours": [
            {**hour, "state": _state(hour), "unread": hour["seconds"] - hour["read_seconds"]}
            for hour in reversed(hours)
        ],
    }


def _settled(hour: Object, now: float) -> Object:
    """Return an hour as it is shown: what the next poll is about to read is not missing."""
    unread = hour["seconds"] - hour["read_seconds"]
    if unread <= BEHIND_SECONDS and seconds_of(hour["hour"]) + hour["seconds"] >= int(now) - _JUST_SECONDS:
        return {**hour, "seconds": hour["read_seconds"]}
    return hour


def _cell(number: int, hour: Object) -> Object:
    late = hour.get("found_late", 0)
    title = f"{hour['hour'][:13].replace('T', ' ')}:00, {_state(hour)}"
    if hour["read_at"] is not None:
        title += f", last read {hour['read_at'][:16].replace('T', ' ')}, {hour['readings']:,} readings"
    if late:
        title += f", {late:,} found late"
    return {"x": round(number * 100 / 24, 3), "kind": _kind(hour), "title": title, "late": late}


def _state(hour: Object) -> str:
    return {"never": "never read", "part": "read in part"}.get(_kind(hour), "read")


def _kind(hour: Object) -> str:
    if not hour["read_seconds"] and hour["seconds"]:
        return "never"
    if hour["read_seconds"] < hour["seconds"]:
        return "part"
    if hour["read_at"] is None:
        return "c1"
    age = seconds_of(hour["read_at"]) - (seconds_of(hour["hour"]) + hour["seconds"])
    return next((kind for most, kind in _AGES if age < most), "c4")
