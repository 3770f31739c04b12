"""`slurmwatchd backfill`: read what ended before the daemon's first poll."""

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import anyio
import click
import orjson

from slurmwatchd.cli import EX_TEMPFAIL
from slurmwatchd.cli.options import load_quietly, store_options, stretch_of, stretch_options
from slurmwatchd.cli.progress import PLAIN_SECONDS, Progress
from slurmwatchd.cli.tables import local_time
from slurmwatchd.cli.tuning import tune
from slurmwatchd.config.settings import Config
from slurmwatchd.config.units import spoken_duration
from slurmwatchd.errors import StoreInUseError, TransientError
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.operations import backfill
from slurmwatchd.operations.backfill import BackfillCount, BackfillProgress, BackfillScope, UnknownClusterError
from slurmwatchd.operations.read_only import onlooker
from slurmwatchd.store.backfills import Backfill

BackfillReport = dict[str, Any]


@click.command("backfill")
@store_options
@stretch_options(since=None)
@click.option("--cluster", "clusters", multiple=True, metavar="NAME", help="Only this cluster [default: all].")
@click.option("--again", is_flag=True, help="Also read what has been read before, up to the newest poll.")
@click.option("--dry-run", is_flag=True, help="Count what would be read; store nothing.")
@click.option("--cancel", is_flag=True, help="Drop the rest of all backfills; what was read stays.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object at the end.")
def command(
    path: Path | None,
    since: str | None,
    until: str | None,
    clusters: tuple[str, ...],
    *,
    again: bool,
    dry_run: bool,
    cancel: bool,
    as_json: bool,
    **flags: str | None,
) -> None:
    """Read what ended before the daemon's first poll.

    If a daemon runs on the store, it does the work between its polls, and this command shows the progress.
    Otherwise the command reads by itself, queries usage, and delivers the events. Sinks receive them unless their
    configuration has `backfill = false`. Run again, even after a kill, it continues where it stopped.

    \b
    Example: slurmwatchd backfill --since 30d --dry-run
             slurmwatchd backfill --since 2026-01-01 --until 2026-02-01
             slurmwatchd backfill --cancel

    Exit codes: 0 everything is read; 1 it cannot be read (store, sacct); 2 the command line is wrong; 75 slurmdbd,
    the store, a sink or the daemon failed, or the backfill was cancelled: run it again later; 78 the configuration
    is wrong; 130 interrupted (a daemon continues).
    """  # noqa: D301 - click's mark for lines to be left alone
    config = load_quietly(path, flags)
    if cancel:
        _cancel(config, clusters)
        return
    if since is None:
        raise click.UsageError("Missing option '--since'.")
    start, end = stretch_of(since, until)
    wish = BackfillScope(start=start, end=end, again=again, clusters=clusters)
    try:
        report = _count(config, wish) if dry_run else _read(config, wish)
    except UnknownClusterError as error:
        raise click.UsageError(f"--cluster: {error}") from None
    click.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() if as_json else _text(report))
    if report.get("cancelled"):
        sys.exit(EX_TEMPFAIL)


def _cancel(config: Config, clusters: Sequence[str]) -> None:
    number = anyio.run(backfill.cancel, config, clusters)
    click.echo(f"{number} cancelled; what was read stays" if number else "there is no backfill")


def _read(config: Config, wish: BackfillScope) -> BackfillReport:
    """Have it read, by a daemon or here, and show how far that is."""
    tune()
    try:
        try:
            with _Shown("reading, and delivering at the end") as shown:
                state = anyio.run(backfill.alone, config, wish, shown.begun, shown.seen)
        except StoreInUseError:
            with _Shown("the daemon reads it between its polls") as shown:
                state = anyio.run(backfill.beside, config, wish, shown.begun, shown.seen)
    except TransientError:
        click.echo("not everything is read; run it again to continue", err=True)
        raise
    except KeyboardInterrupt:
        click.echo("interrupted; a daemon continues it, `slurmwatchd backfill --cancel` cancels it", err=True)
        raise
    return {
        "dry_run": False,
        "since": rfc3339(wish.start),
        "until": rfc3339(wish.end),
        "read": [
            {"cluster": r.cluster, "start": rfc3339(r.start), "end": rfc3339(r.reached)} for r in shown.requests
        ],
        "rows": state.rows,
        "new": state.new,
        "cancelled": state.cancelled,
        "usage_waiting": state.usage_waiting,
    }


class _Shown:
    """A progress bar that is made once it is known how much there is to do."""

    def __init__(self, how: str) -> None:
        self._how = how
        self._progress: Progress | None = None
        self._usage_told = -math.inf
        self.requests: Sequence[Backfill] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.__exit__(None, None, None)

    def begun(self, requests: Sequence[Backfill]) -> None:
        self.requests = requests
        total = sum(request.reached - request.start for request in requests)
        if total:
            click.echo(f"{spoken_duration(total)} of end times to read: {self._how}", err=True)
            self._progress = Progress("backfill", total).__enter__()

    def seen(self, state: BackfillProgress) -> None:
        if self._progress is not None:
            self._progress.update(state.done_seconds, state.rows)
        if state.left_seconds or not state.usage_waiting:
            return
        now = time.monotonic()
        if now - self._usage_told >= PLAIN_SECONDS:
            self._usage_told = now
            click.echo(f"usage: {state.usage_waiting} attempts left to query", err=True)


def _count(config: Config, wish: BackfillScope) -> BackfillReport:
    """Count, with a bar."""
    now = int(time.time())
    bars: list[Progress] = []

    def seen(done: int, total: int, rows: int) -> None:
        if not bars:
            bars.append(Progress("count", total).__enter__())
        bars[0].update(done, rows)

    async def counted() -> list[BackfillCount]:
        async with onlooker(config) as view:
            return await backfill.count(view, wish, seen, now=now)

    try:
        counts = anyio.run(counted)
    finally:
        for bar in bars:
            bar.__exit__(None, None, None)
    return {
        "dry_run": True,
        "since": rfc3339(wish.start),
        "until": rfc3339(wish.end),
        "read": [
            {"cluster": count.cluster, "start": rfc3339(start), "end": rfc3339(end)}
            for count in counts
            for start, end in count.spans
        ],
        "rows": sum(count.rows for count in counts),
        "new": sum(count.new for count in counts),
    }


def _text(report: BackfillReport) -> str:
    verb = "would be read" if report["dry_run"] else "read"
    lines = [
        f"cluster {span['cluster']}: ended {local_time(span['start'])} to {local_time(span['end'])}"
        for span in report["read"]
    ]
    if lines:
        lines.append(f"{report['rows']} rows {verb}, {report['new']} of them new to the store")
    else:
        lines.append("nothing to read: it was read before, or the daemon reads it (--again reads it once more)")
    if waiting := report.get("usage_waiting"):
        lines.append(
            f"the usage of {waiting} attempts is still missing: a daemon adds it; if none runs, run this again "
            "in a quarter of an hour"
        )
    if report.get("cancelled"):
        lines.append("the rest was cancelled")
    return "\n".join(lines)
