"""What `verify` found, for programs and for people: those read times in their own zone."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from slurmwatchd.cli import tables
from slurmwatchd.cli.tables import TableColumn, local_time
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.model.terminal_text import shown
from slurmwatchd.operations.verify.against_archive import ArchiveFinding
from slurmwatchd.operations.verify.against_files import FileDifference, LineFault
from slurmwatchd.operations.verify.against_sacct import AccountingDifference, ComparedRows, DifferenceKind
from slurmwatchd.operations.verify.scope import Scope, Span

VerifyReport = dict[str, Any]
"""A part of what `--json` writes."""

_MOMENTS = frozenset(
    {DifferenceKind.NOT_IN_STORE, DifferenceKind.NOT_IN_SACCT, DifferenceKind.START, DifferenceKind.END}
)
"""What differs in these is a time."""


def cluster_report(name: str, scope: Scope, tally: ComparedRows, stretch: Span) -> VerifyReport:
    """Return what was compared of one cluster, and what was not."""
    report: VerifyReport = {
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


def _spans(spans: Sequence[Span]) -> list[VerifyReport]:
    return [{"start": rfc3339(start), "end": rfc3339(end)} for start, end in spans]


def difference(found: AccountingDifference) -> VerifyReport:
    """Return a difference, its moments as text."""
    report = asdict(found)
    for name in ("store", "sacct") if found.what in _MOMENTS else ():
        report[name] = None if report[name] is None else rfc3339(report[name])
    report["submit"] = None if found.submit is None else rfc3339(found.submit)
    return report


def finding(found: FileDifference) -> VerifyReport:
    """Return what is wrong with a line or an event."""
    report = asdict(found)
    report["file"] = None if found.file is None else str(found.file)
    for name in ("since", "until"):
        report[name] = None if report[name] is None else rfc3339(report[name])
    return report


def archive_finding(found: ArchiveFinding) -> VerifyReport:
    """Return what is wrong with a file of the archive, or with an attempt in it."""
    report = asdict(found)
    report["submit"] = None if found.submit is None else rfc3339(found.submit)
    return report


def write(report: VerifyReport) -> None:
    """Write a report for people to standard output."""
    if accounting := report.get("accounting"):
        for cluster in accounting["clusters"]:
            _write_cluster(cluster)
        click.echo(f"store against sacct: {_plural(accounting['count'], 'difference')}")
        if accounting["accepted"]:
            click.echo(f"  {_plural(accounting['accepted'], 'attempt')} accepted as deleted from slurmdbd")
        _write_listed(accounting, map(_local, accounting["differences"]), "cluster,job_id,submit,what,store,sacct")
    for sink in report["sinks"]:
        click.echo(
            f"sink {shown(sink['sink'])}: {_plural(sink['events'], 'event')} must be there, "
            f"{_plural(sink['lines'], 'line')} in {_plural(len(sink['files']), 'file')}: "
            f"{_plural(sink['count'], 'difference')}"
        )
        if sink["left_out"]:
            click.echo(f"  {_plural(len(sink['left_out']), 'older file')} left out")
        stretches = [row for row in sink["differences"] if row["what"] == LineFault.STRETCH]
        for row in stretches:
            click.echo(f"  {_stretch_missing(row)}")
        others = [row for row in sink["differences"] if row not in stretches]
        _write_listed(sink, map(_placed, others), "what,id,seq,kind,job_id,where")
    if archive := report.get("archive"):
        _write_archive(archive)


def _write_archive(archive: VerifyReport) -> None:
    click.echo(
        f"archive {shown(archive['path'])}: {_plural(archive['attempts'], 'attempt')} "
        f"in {_plural(archive['files'], 'file')}: {_plural(archive['count'], 'difference')}"
    )
    if archive["days_waiting"]:
        click.echo(f"  {_plural(archive['days_waiting'], 'day')} still to be written")
    _write_listed(archive, archive["differences"], "what,file,cluster,day,job_id,submit,text")


def _stretch_missing(row: VerifyReport) -> str:
    when = f"{local_time(row['since'])} to {local_time(row['until'])}"
    return (
        f"{row['events']} events in a row are in none of its files, seq {row['seq']} to {row['last_seq']}, "
        f"first seen {when}: was the sink's path different then, or was a file removed?"
    )


def _write_cluster(cluster: VerifyReport) -> None:
    click.echo(f"cluster {shown(cluster['cluster'])}: {_plural(cluster['rows'], 'row')} of sacct compared")
    for span in cluster["compared"]:
        click.echo(f"  ended {_between(span)}")
    for span in cluster["unread"]:
        click.echo(f"  never read: {_between(span)} (`slurmwatchd backfill` reads what came before)")
    if "young_from" in cluster:
        click.echo(f"  from {local_time(cluster['young_from'])} on: left to the next poll")
    if "purged_until" in cluster:
        click.echo(f"  before {local_time(cluster['purged_until'])}: purged by slurmdbd, or by [store] retain")
    if cluster["quarantined"]:
        click.echo(f"  {_plural(cluster['quarantined'], 'row')} in quarantine (`slurmwatchd quarantine list`)")


def _between(span: VerifyReport) -> str:
    return f"{local_time(span['start'])} to {local_time(span['end'])}"


def _local(row: VerifyReport) -> VerifyReport:
    """Return a difference with what differs in it as a person reads it."""
    if row["what"] not in _MOMENTS:
        return row
    return {**row, **{name: row[name] and local_time(row[name]) for name in ("store", "sacct")}}


def _placed(row: VerifyReport) -> VerifyReport:
    """Return a finding with the line it concerns."""
    return {**row, "where": None if row["file"] is None else f"{Path(row['file']).name}:{row['line']}"}


def _write_listed(report: VerifyReport, rows: Iterable[VerifyReport], columns: str) -> None:
    rows = list(rows)
    if rows:
        tables.write_table(rows, [TableColumn(name) for name in columns.split(",")])
    if more := report["count"] - len(report["differences"]):
        click.echo(f"and {more} more (--limit)")


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
