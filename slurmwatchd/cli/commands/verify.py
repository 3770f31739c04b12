"""`slurmwatchd verify`: the store against sacct, and files and archive against the store."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.to_thread
import click

from slurmwatchd.cli import EX_TEMPFAIL, is_output_error, tables
from slurmwatchd.cli.job_filters import MAX_LIMIT
from slurmwatchd.cli.options import load_quietly, store_options, stretch_of, stretch_options
from slurmwatchd.cli.progress import Progress
from slurmwatchd.cli.verify_report import VerifyReport, archive_finding, cluster_report, difference, finding, write
from slurmwatchd.config.settings import Config
from slurmwatchd.errors import FatalError, VerifyError
from slurmwatchd.model.clock import SystemClock, rfc3339
from slurmwatchd.model.ledger import Ledger
from slurmwatchd.model.terminal_text import shown
from slurmwatchd.model.windows import Window
from slurmwatchd.operations.read_only import ReadOnlyStore, onlooker
from slurmwatchd.operations.verify import deleted
from slurmwatchd.operations.verify.against_archive import ArchiveCheck
from slurmwatchd.operations.verify.against_files import SinkFiles
from slurmwatchd.operations.verify.against_sacct import ComparedRows, Comparison
from slurmwatchd.operations.verify.scope import Span, scope_of
from slurmwatchd.sinks.jsonl import JsonlOptions
from slurmwatchd.sources.sacctmgr import Limits
from slurmwatchd.store.read.reader import StoreReader


@click.command("verify")
@store_options
@stretch_options(since="24h")
@click.option("--sink", "sinks", multiple=True, metavar="NAME", help="Compare this sink's files with the store.")
@click.option(
    "--archive",
    is_flag=True,
    help="Compare the archive with the store, all of it unless --since is given.",
)
@click.option("--no-sacct", is_flag=True, help="Skip sacct; compare only files, with --sink or --archive.")
@click.option(
    "--accept-deleted",
    is_flag=True,
    help="Mark attempts that sacct no longer shows, not even by number, as deleted; the daemon no longer waits.",
)
@click.option("--cluster", "clusters", multiple=True, metavar="NAME", help="Only this cluster [default: all].")
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_LIMIT),
    default=100,
    show_default=True,
    help="List at most this many differences.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
def command(
    path: Path | None,
    since: str,
    until: str | None,
    sinks: tuple[str, ...],
    clusters: tuple[str, ...],
    limit: int,
    *,
    no_sacct: bool,
    as_json: bool,
    **flags: Any,  # noqa: ANN401 - options of any type
) -> None:
    """Prove that nothing is missing: the store against sacct, files against the store.

    The command compares the key, state, start and end of every attempt that ended in the stretch. With --sink,
    every event first seen in the stretch must be in the sink's files, rotated ones included, exactly once. With
    --archive, every file of the archive must be whole, no attempt in it twice, and all of a day that the store
    still has must be in the day's file. Only --accept-deleted changes anything. The daemon can keep running.

    \b
    Example: slurmwatchd verify --since 24h
             slurmwatchd verify --since 2026-11-20 --until 2026-11-21 --sink jobs --json
             slurmwatchd verify --no-sacct --archive

    Exit codes: 0 no difference; 1 at least one; 2 the command line is wrong; 74 the store or a file cannot be
    read, or the report not written; 75 sacct failed, or nothing of the stretch has been read yet for some cluster:
    try again later; 78 the configuration is wrong.
    """  # noqa: D301 - click's mark for lines to be left alone
    start, end = stretch_of(since, until)
    # Where no one names an end, what was seen in this very second counts: the cursor says what must be there.
    last = sys.maxsize if until is None else end
    accept_deleted, archive = bool(flags.pop("accept_deleted")), bool(flags.pop("archive"))
    _check_combination(sinks, no_sacct=no_sacct, accept_deleted=accept_deleted, archive=archive)
    config = load_quietly(path, flags)
    files = {name: _jsonl(config, name) for name in sinks}
    dataset = _dataset(config) if archive else None
    days = (start, end) if _is_given("since") or until is not None else None

    async def verify() -> VerifyReport:
        async with onlooker(config) as view:
            wanted = _clusters(view, clusters)
            report: VerifyReport = {"since": rfc3339(start), "until": rfc3339(end)}
            if not no_sacct:
                report["accounting"] = await _accounting(
                    view, wanted, (start, end), limit, accept_deleted=accept_deleted
                )
            report["sinks"] = [
                await _files(view, name, options, (start, last), limit) for name, options in files.items()
            ]
            if dataset is not None:
                report["archive"] = await anyio.to_thread.run_sync(
                    _archive, dataset, config.store.path, days, limit
                )
            return report

    try:
        report = anyio.run(verify)
    except FatalError as error:
        if error.exit_code != 1:
            raise
        # 1 says that there is a difference.
        raise VerifyError(str(error)) from error
    with _output_errors():
        if as_json:
            tables.write_json(report)
        else:
            write(report)
    accounting = report.get("accounting", {"count": 0, "clusters": []})
    unproved = [cluster["cluster"] for cluster in accounting["clusters"] if not cluster["compared"]]
    for name in unproved:
        why = "nothing in that stretch has been read yet: nothing is proved"
        click.echo(f"slurmwatchd: cluster {shown(name)}: {why}", err=True)
    found = [*report["sinks"], report.get("archive", {"count": 0})]
    if accounting["count"] or any(part["count"] for part in found):
        sys.exit(1)
    if unproved:
        sys.exit(EX_TEMPFAIL)


def _check_combination(sinks: Sequence[str], *, no_sacct: bool, accept_deleted: bool, archive: bool) -> None:
    if no_sacct and not sinks and not archive:
        raise click.UsageError("--no-sacct leaves nothing to verify without --sink or --archive")
    if no_sacct and accept_deleted:
        raise click.UsageError("--accept-deleted needs sacct: remove --no-sacct")


def _dataset(config: Config) -> Path:
    if config.archive.folder is None:
        raise click.UsageError("--archive: there is no archive; archive.path is not set")
    return config.archive.folder


def _is_given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is not click.core.ParameterSource.DEFAULT


@contextmanager
def _output_errors() -> Iterator[None]:
    """Have a report that cannot be written end with another status than a difference."""
    try:
        yield
    except OSError as error:
        if not is_output_error(error):
            raise
        raise VerifyError(f"standard output: {error.strerror}") from error


def _jsonl(config: Config, name: str) -> JsonlOptions:
    options = config.sinks.get(name)
    if options is None:
        raise click.UsageError(f"--sink: there is no sink {name!r}; there are {', '.join(config.sinks)}")
    if not isinstance(options, JsonlOptions):
        raise click.UsageError(
            f"--sink: {name!r} is of type {getattr(options, 'type', '')!r}: it has no JSON lines"
        )
    return options


def _clusters(view: ReadOnlyStore, wanted: Sequence[str]) -> list[str]:
    for name in wanted:
        if name not in view.sacct:
            raise click.UsageError(f"--cluster: {name!r} is not watched; {', '.join(view.sacct)} is")
    return list(wanted or view.sacct)


async def _accounting(
    view: ReadOnlyStore, clusters: Sequence[str], stretch: Span, limit: int, *, accept_deleted: bool
) -> VerifyReport:
    """Compare each cluster's accounting with the store."""
    clock = SystemClock()
    comparison = Comparison(view.reader, clock)
    await comparison.begin()
    limits = await view.limits()
    old = _old(view, limits)
    reports, accepted = [], 0
    for name in clusters:
        ledger = await view.ledger(name)
        scope = scope_of(ledger, *stretch, overlap=view.config.poll.overlap, old=old)
        with Progress(f"verify {name}", sum(end - start for start, end in scope.compared)) as progress:
            done = 0

            def seen(window: Window, tally: ComparedRows, progress: Progress = progress) -> None:
                nonlocal done
                done += window.seconds
                progress.update(done, tally.rows)

            tally = await comparison.compare(
                name,
                view.sacct[name],
                scope.compared,
                ledger=ledger or Ledger(stretch[0]),
                policy=view.policy(limits),
                timeout_seconds=view.config.slurm.timeout,
                seen=seen,
                held=not accept_deleted,
            )
        if accept_deleted:
            attempts = await comparison.not_in_sacct(name)
            accepted += await deleted.accept(
                view.config.store.path, view.sacct[name], attempts, now=int(clock.now())
            )
        reports.append(cluster_report(name, scope, tally, stretch))
    return {
        "clusters": reports,
        "compared": all(report["compared"] for report in reports),
        "accepted": accepted,
        "count": await comparison.count(),
        "differences": [difference(found) async for found in comparison.differences(limit)],
    }


def _old(view: ReadOnlyStore, limits: Limits) -> int:
    """Return before which moment either side no longer has what ended."""
    kept = view.config.store.retain
    if limits.purge_seconds is not None:
        kept = min(kept, limits.purge_seconds)
    return int(time.time()) - kept


async def _files(view: ReadOnlyStore, name: str, options: JsonlOptions, stretch: Span, limit: int) -> VerifyReport:
    """Compare one sink's files with the store."""
    files = SinkFiles(view.reader, name, options.path, selection=options.selection())
    read = await files.compare(*stretch, seen=lambda _: None)
    return {
        "sink": name,
        "files": [str(file) for file in read.files],
        "left_out": [str(file) for file in read.left_out],
        "lines": read.lines,
        "events": read.events,
        "count": await files.count(),
        "differences": [finding(found) async for found in files.findings(limit)],
    }


def _archive(dataset: Path, store: Path, stretch: Span | None, limit: int) -> VerifyReport:
    """Compare the archive with the store."""
    with StoreReader(store) as reader, TemporaryDirectory() as scratch:
        check = ArchiveCheck(dataset, reader, Path(scratch))
        count, listed = 0, list[VerifyReport]()
        for found in check.findings(stretch):
            count += 1
            if len(listed) < limit:
                listed.append(archive_finding(found))
    read = check.read
    return {
        "path": str(dataset), "files": read.files, "attempts": read.attempts, "days_waiting": read.waiting,
        "count": count, "differences": listed,
    }  # fmt: skip
