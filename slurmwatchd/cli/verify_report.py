"""What `verify` found, for programs and for people."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from slurmwatchd.cli.columns import table
from slurmwatchd.clock import rfc3339
from slurmwatchd.verify.accounting import Difference, Tally, What
from slurmwatchd.verify.lines import Finding
from slurmwatchd.verify.scope import Scope, Span

Report = dict[str, Any]
"""A part of what `--json` writes."""


def cluster_report(name: str, scope: Scope, tally: Tally, stretch: Span) -> Report:
    """Return what was compared of one cluster, and what was not."""
    report: Report = {
        "cluster": name,
        "rows": tally.rows,
        "quarantined": tally.quarantined,
        "compared": _spans(scope.compared),
        "unread": _spans(scope.unread),
    }
    if scope.young < stretch[1]:
        report["young_from"] = rfc3339(max(scope.young, stretch[0]))
    if scope.old > stretch[0]:
        report["purged_until"] = rfc3339(min(scope.old, stretch[1]))
    return report


def _spans(spans: Sequence[Span]) -> list[Report]:
    return [{"start": rfc3339(start), "end": rfc3339(end)} for start, end in spans]


def difference(found: Difference) -> Report:
    """Return a difference, its moments as text."""
    moments = {What.NOT_IN_STORE, What.NOT_IN_SACCT, What.START, What.END}
    report = asdict(found)
    for name in ("store", "sacct") if found.what in moments else ():
        report[name] = None if report[name] is None else rfc3339(report[name])
    report["submit"] = None if found.submit is None else rfc3339(found.submit)
    return report


def finding(found: Finding) -> Report:
    """Return what is wrong with a line or an event."""
    report = asdict(found)
    report["file"] = None if found.file is None else str(found.file)
    return report


def text(report: Report) -> str:
    """Write a report for people."""
    parts = []
    if accounting := report.get("accounting"):
        for cluster in accounting["clusters"]:
            parts += _cluster_text(cluster)
        parts.append(f"store against sacct: {_plural(accounting['count'], 'difference')}")
        parts += _listed(
            accounting, ("cluster", "job_id", "submit", "what", "store", "sacct"),
            ("cluster", "job", "submitted", "differs in", "store", "sacct"),
        )  # fmt: skip
    for sink in report["sinks"]:
        parts.append(
            f"sink {sink['sink']}: {_plural(sink['events'], 'event')} must be there, "
            f"{_plural(sink['lines'], 'line')} in {_plural(len(sink['files']), 'file')}: "
            f"{_plural(sink['count'], 'difference')}"
        )
        if sink["left_out"]:
            parts.append(f"  {_plural(len(sink['left_out']), 'older file')} left out")
        rows = [
            {**row, "where": None if row["file"] is None else f"{Path(row['file']).name}:{row['line']}"}
            for row in sink["differences"]
        ]
        parts += _listed(
            {**sink, "differences": rows}, ("what", "id", "seq", "kind", "job_id", "where"),
            ("what", "event", "seq", "kind", "job", "file:line"),
        )  # fmt: skip
    return "\n".join(parts)


def _cluster_text(cluster: Report) -> list[str]:
    lines = [f"cluster {cluster['cluster']}: {_plural(cluster['rows'], 'row')} of sacct compared"]
    lines += [f"  ended {span['start']} to {span['end']}" for span in cluster["compared"]]
    lines += [
        f"  never read: {span['start']} to {span['end']} (`slurmwatchd backfill` reads what came before)"
        for span in cluster["unread"]
    ]
    if "young_from" in cluster:
        lines.append(f"  from {cluster['young_from']} on: left to the next poll")
    if "purged_until" in cluster:
        lines.append(f"  before {cluster['purged_until']}: purged by slurmdbd, or by [store] retain")
    if cluster["quarantined"]:
        lines.append(f"  {_plural(cluster['quarantined'], 'row')} in quarantine (`slurmwatchd quarantine list`)")
    return lines


def _listed(report: Report, names: Sequence[str], head: Sequence[str]) -> list[str]:
    rows = [[row[name] for name in names] for row in report["differences"]]
    if not rows:
        return []
    more = report["count"] - len(rows)
    return [table(head, rows), *([f"and {more} more (--limit)"] if more else [])]


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
