"""`slurmwatchd report`: who used what, and how well."""

import sys
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from slurmwatchd.cli import report_html, report_table
from slurmwatchd.cli.job_filters import WORDS
from slurmwatchd.cli.store_access import MOMENT, open_store, store_options
from slurmwatchd.cli.tables import TableFormat
from slurmwatchd.cli.unread import note_unread, unread
from slurmwatchd.config.loader import load_report
from slurmwatchd.config.settings import ReportSection
from slurmwatchd.errors import ConfigError
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.model.reports import ReportLine
from slurmwatchd.store.read import report as reports
from slurmwatchd.store.read.query import Question
from slurmwatchd.store.read.report import CHOICES, Wish

_HTML = "html"
_TIME = "%Y-%m-%d %H:%M"


@click.command("report")
@click.option(
    "--by",
    type=click.Choice(CHOICES),
    default="account",
    show_default=True,
    help="What the lines are grouped by.",
)
@click.option(
    "-S", "--since", "since", type=MOMENT, default="30d", show_default=True,
    help="From the full hour of this time on: 30d, 2026-11-01.",
)  # fmt: skip
@click.option("-E", "--until", "until", type=MOMENT, help="Up to this time, to the full hour [default: now].")
@click.option(
    "--top", type=click.IntRange(min=1), help="Only the N lines with the most CPU hours, the rest in one."
)
@click.option(
    "-f", "--format", "form", type=click.Choice([*(form.value for form in TableFormat), _HTML]), default="table",
    show_default=True, help="html is one file with plots and no script.",
)  # fmt: skip
@click.option("-u", "--user", "users", type=WORDS, default=(), help="Only these users.")
@click.option("-A", "--account", "accounts", type=WORDS, default=(), help="Only these accounts.")
@click.option("-p", "--partition", "partitions", type=WORDS, default=(), help="Only these partitions.")
@click.option("-q", "--qos", "qos", type=WORDS, default=(), help="Only these QOS.")
@click.option("-M", "--cluster", "clusters", type=WORDS, default=(), help="Only these clusters.")
@store_options
def command(
    by: str,
    since: int,
    until: int | None,
    top: int | None,
    form: str,
    config: Path | None,
    store: Path | None,
    **filters: Any,  # noqa: ANN401 - lists of words
) -> None:
    """Report who used what, and how well: jobs, hours, efficiency, waits, losses, price.

    The numbers come from hourly sums, which stay when attempts expire. If the store was lost once, what its sums
    lack comes from the archive. A job counts in the hour of its end; its CPU, GPU and node hours count in the
    hours in which it ran, as in sreport. What still runs is in neither. LOST are the hours of jobs that failed,
    ran out of memory or time, missed their deadline, or lost their node. Efficiency is weighted by hours.
    [report] in the configuration has the prices and the CO2 of a kWh.

    \b
    Example: slurmwatchd report --by account --since 2026-11-01 --top 10
             slurmwatchd report --by month --since 1095d --format html > report.html

    Exit codes: 0 done, even if nothing ended; 1 the store cannot be read; 2 the command line is wrong; 75 the
    store is busy, try again; 78 the configuration is wrong.
    """  # noqa: D301 - click's mark for lines to be left alone
    end = int(time.time()) if until is None else until
    if since >= end:
        raise click.UsageError(
            "--since and --until: the stretch ends before it begins", click.get_current_context()
        )
    wish = Wish(by=by, since=since, until=end, top=top, zone=None, **filters)
    settings = _settings(config, store)
    with open_store(config, store) as reader:
        lines = reports.report(reader, wish, settings.rates)
        question = Question(ended_from=wish.span[0], ended_until=end, clusters=wish.clusters)
        stretches = unread(reader, question, kept=partial(reports.reached, reader, archived=reader.archived))
        waiting = reports.behind(reader)
    if form == TableFormat.JSON:
        hours = dict(zip(("since", "until"), map(rfc3339, wish.span), strict=True))
        more = {**hours, "currency": settings.currency, "attempts_not_summed": waiting}
        besides = {**more, "unread": [stretch.on_wire() for stretch in stretches]}
        report_table.write_json(lines, by=by, besides=besides)
    elif form == _HTML:
        _write_page(lines, wish, settings.currency)
    else:
        report_table.write(lines, by=by, currency=settings.currency, form=TableFormat(form))
    note_unread(stretches, question, empty=not lines[-1].attempts)
    if waiting:
        click.echo(f"slurmwatchd: {waiting} attempts of before are not in the sums yet: ask again later", err=True)


def _settings(config: Path | None, store: Path | None) -> ReportSection:
    """Read `[report]`.

    Raises:
        ConfigError: The section has faults, or the file cannot be read.
    """
    try:
        return load_report(config)
    except ConfigError as error:
        # Whoever names a store need not be able to read the service's configuration.
        if store is None or config is not None:
            raise
        click.echo(f"slurmwatchd: {error}: the report has no prices", err=True)
        return ReportSection()


def _write_page(lines: list[ReportLine], wish: Wish, currency: str) -> None:
    begin, end = (datetime.fromtimestamp(moment).astimezone().strftime(_TIME) for moment in wish.span)
    made = datetime.now().astimezone().strftime(_TIME)
    page = report_html.render(lines, by=wish.by, span=(begin, end), currency=currency, made=made)
    sys.stdout.buffer.write(page)
    sys.stdout.buffer.flush()
