"""`slurmwatchd show`: all that is known of a job."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from slurmwatchd.cli import tables
from slurmwatchd.cli.job_filters import besides_jobs
from slurmwatchd.cli.store_access import open_store, store_options
from slurmwatchd.cli.tables import TableColumn
from slurmwatchd.cli.unread import note_unread, unread
from slurmwatchd.model.job_ids import NO_JOB_ID, is_job_id
from slurmwatchd.model.terminal_text import shown
from slurmwatchd.store.read import status
from slurmwatchd.store.read.query import Order, Question
from slurmwatchd.store.read.reader import Record, StoreReader

SHARED_LIMIT = 20
MAX_ATTEMPTS = 1000

_NODES_LISTED = 64
_STEP_COLUMNS = "id,name,state,elapsed_seconds,tasks,cpus,cpu_seconds,max_rss_bytes,node_list"
_SHARED_COLUMNS = "job_id,user,account,partition,state,start,end,node_list,name"
_BLOCKS = frozenset({"nodes", "usage", "steps", "history", "shared_nodes_with", "raw"})


@click.command("show")
@click.argument("job_ids", nargs=-1, required=True, metavar="JOBID...")
@click.option("-M", "--cluster", "cluster", help="Only this cluster.")
@click.option(
    "--json", "as_json", is_flag=True, help="A JSON object: jobs (one object per attempt), truncated, unread."
)
@store_options
def command(
    job_ids: tuple[str, ...],
    cluster: str | None,
    config: Path | None,
    store: Path | None,
    *,
    as_json: bool,
) -> None:
    """Show all that is known of jobs.

    That is each attempt, its nodes, usage and steps, its history, and who shared its nodes.

    12 means a job, all tasks of an array or all components of a heterogeneous job; 12_3 and 12+1 mean one of them,
    12_[0-9] the tasks of an array that never started.
    "Shared nodes with" lists other attempts that were on one of its nodes while it ran. With --json, the output
    is an object like that of `slurmwatchd jobs --json`.

    Example: slurmwatchd show 4711_3

    Exit codes: 0 done; 1 a job is not in the store, or the store cannot be read; 2 the command line is wrong; 75
    the store is busy, try again; 78 the configuration is wrong.
    """
    for text in job_ids:
        _check(text)
    clusters = (cluster,) if cluster else ()
    with open_store(config, store) as reader:
        found: list[Record] = []
        cut: list[str] = []
        stretches = unread(reader, Question(clusters=clusters))
        for text in dict.fromkeys(job_ids):
            question = Question(job_ids=(text,), clusters=clusters, order=Order.SUBMIT, limit=MAX_ATTEMPTS + 1)
            ids = reader.ids(question)
            if not ids:
                note_unread(stretches, question, empty=True)
                where = f"of cluster {cluster!r} in the store" if cluster else "in the store"
                raise click.ClickException(f"no ended job {text} is {where} {reader.path}")
            cut += [text] if len(ids) > MAX_ATTEMPTS else []
            found += _attempts(reader, ids[:MAX_ATTEMPTS])
    for text in cut:
        click.echo(f"slurmwatchd: first {MAX_ATTEMPTS} attempts of job {text} shown", err=True)
    if as_json:
        tables.write_json({"jobs": found, **besides_jobs(stretches, truncated=bool(cut))})
        return
    for number, record in enumerate(found):
        if number:
            click.echo()
        _write(record)


def _check(text: str) -> None:
    if not is_job_id(text):
        raise click.BadParameter(f"{text!r} {NO_JOB_ID}", click.get_current_context(), param_hint="JOBID")


def _attempts(store: StoreReader, jobs: Sequence[int]) -> list[Record]:
    """Return attempts by their row ids, each with its history and its neighbours."""
    records = []
    for job in jobs:
        for record in store.fetch([job], nodes=True, usage=True):
            # A negative id is a row of the archive, which has no events and no index of nodes.
            record["history"] = [] if job < 0 else status.history(store, job)
            others = [] if job < 0 else status.shared_with(store, job, limit=SHARED_LIMIT)
            record["shared_nodes_with"] = store.fetch(others)
            records.append(record)
    return records


def _write(record: Record) -> None:
    plain = {name: value for name, value in record.items() if name not in _BLOCKS}
    _write_pairs("", plain)
    nodes = record.get("nodes", [])
    if nodes and record.get("node_list") != nodes[0]:
        more = f" and {len(nodes) - _NODES_LISTED} more" if len(nodes) > _NODES_LISTED else ""
        click.echo(f"{'nodes':<20} {shown(' '.join(nodes[:_NODES_LISTED]))}{more}")
    _write_pairs("usage", record.get("usage", {}))
    _write_pairs("raw", record.get("raw", {}))
    _write_rows("steps", record.get("steps", []), _STEP_COLUMNS)
    for event in record["history"]:
        changes = "; ".join(
            f"{name}: {_value(name, old)} -> {_value(name, new)}"
            for name, (old, new) in event.get("changed", {}).items()
        )
        head = f"{event['event']} {event['revision']}, seq {event['seq']}, found by {event['found_by']}"
        told = f"{tables.local_time(event['observed'])}  {head}"
        click.echo(f"{'event':<20} {told}{f': {changes}' if changes else ''}")
    shared = record["shared_nodes_with"]
    _write_rows("shared nodes with", shared, _SHARED_COLUMNS)
    if len(shared) == SHARED_LIMIT:
        click.echo(f"the first {SHARED_LIMIT}; there may be more")


def _write_pairs(title: str, fields: Mapping[str, Any]) -> None:
    if title and fields:
        click.echo(f"\n{title}")
    for name, value in fields.items():
        if value is not None:
            click.echo(f"{shown(name):<20} {_value(name, value)}")


def _write_rows(title: str, rows: Sequence[Mapping[str, Any]], columns: str) -> None:
    if rows:
        click.echo(f"\n{title}")
        tables.write_table(rows, [TableColumn(name) for name in columns.split(",")])


def _value(name: str, value: object) -> str:
    return "none" if value is None else shown(TableColumn(name).text({name: value}))
