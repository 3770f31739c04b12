"""The report: who used what, and how well."""

from collections.abc import Mapping
from typing import Any

from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.pages import charts
from slurmwatchd.daemon.web.pages.view import View
from slurmwatchd.daemon.web.pages.visit import Object, Visit
from slurmwatchd.model.outcomes import failed
from slurmwatchd.store.read.report import CHOICES

TOP = "50"
TEXTS = ("account", "user", "partition", "qos", "cluster")
_TIMES = ("hour", "day", "month")


async def view(visit: Visit) -> View:
    """Show the report that the address asks for."""
    pairs = dict(visit.pairs)
    by = pairs.get("by", "account")
    report: Object = {"lines": [], "total": None, "unread": [], "currency": "", "since": None, "until": None}
    problem = None
    try:
        asked = visit.pairs if "top" in pairs or by in _TIMES else (*visit.pairs, ("top", TOP))
        report = await visit.ask("/report", asked, link="Report")
    except ProblemError as error:
        if error.parameter is None:
            raise
        problem = error
    lines, total = report["lines"], report["total"]
    most = max((line["cpu_hours"] for line in lines), default=0.0)
    return View(
        template="report.html",
        status=200 if problem is None else problem.status,
        context={
            "problem": problem,
            "by": by,
            "choices": CHOICES,
            "values": pairs,
            "texts": TEXTS,
            "span": (report["since"], report["until"]),
            "lines": [_line(line, by, most) for line in lines],
            "total": None if total is None else _line(total, by, 0.0),
            "currency": report["currency"] or "price",
            "unread_stretches": report["unread"],
            "has_gpus": bool(total and total["gpu_hours"]),
            "has_price": bool(total and total["price"] is not None),
            "has_energy": bool(total and total["energy_kwh"]),
        },
    )


def _line(line: Mapping[str, Any], by: str, most: float) -> Object:
    """Return a line with its bar: used, idle and lost."""
    lost = line["lost_cpu_hours"]
    # What was lost was partly used: of the rest as large a share is idle as of all.
    rest = line["cpu_hours"] - lost
    share = line["cpu_efficiency"]
    idle = rest * max(0.0, 1 - (1.0 if share is None else min(1.0, share)))
    kinds = charts.by_kind(line["outcomes"])
    parts = [
        ("r-used", f"used, or use unknown: {rest - idle:,.1f} h", rest - idle),
        ("r-idle", f"idle: {idle:,.1f} h", idle),
        ("r-lost", f"lost to failures: {lost:,.1f} h", lost),
    ]
    return {
        **line,
        "key": line.get(by, "total"),
        "failed": failed(line["outcomes"]),
        "bars": charts.shares(parts, most),
        "ends": charts.shares(
            [(charts.css(kind), f"{count:,} {kind}", count) for kind, count in kinds.items()], sum(kinds.values())
        ),
    }
