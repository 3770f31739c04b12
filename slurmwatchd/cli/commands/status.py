"""`slurmwatchd status`: what the daemon is doing."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from slurmwatchd.cli import daemon_http, tables
from slurmwatchd.cli.options import usable_configuration
from slurmwatchd.cli.store_access import open_store, store_options
from slurmwatchd.cli.tables import TableColumn
from slurmwatchd.config.settings import Config
from slurmwatchd.config.units import spoken_duration
from slurmwatchd.errors import ConfigError
from slurmwatchd.model.clock import epoch, rfc3339
from slurmwatchd.model.terminal_text import shown
from slurmwatchd.store.archive import layout
from slurmwatchd.store.archive.stock import stock_in
from slurmwatchd.store.lockfile import holder
from slurmwatchd.store.read import status
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.watcher.half_written import holes

NOT_RUNNING = 3
TROUBLE = 4

SILENT_INTERVALS = 5
"""After so many polls without a complete reading, and the time one call may take, a cluster counts as failing."""

WAITING_SECONDS = 300
"""An event that a sink has not got after so long waits for something."""

ARCHIVE_SECONDS = 6 * 3600
"""A finished day that the archive lacks after so long waits for something."""

StatusReport = dict[str, Any]

_CLUSTERS = "cluster,read_up_to,lag_seconds,holes,last_reading,state"
_SINKS = "sink,position,waiting,lag_seconds,state"


@click.command("status")
@store_options
@click.option("--json", "as_json", is_flag=True, help="A JSON object.")
def command(config: Path | None, store: Path | None, *, as_json: bool) -> None:
    """Show what the daemon is doing, what waits and what is wrong.

    Most of this comes from the store, whether a daemon runs or not, and shows also if a running daemon has stopped
    reading or delivering. If the daemon listens on this machine, the command gets the daemon's own state (why a
    query or a delivery fails) over HTTP. If the configuration file has become invalid while a daemon runs with the
    old one, the command reports that.

    Example: slurmwatchd status

    Exit codes: 0 it runs and nothing is wrong; 1 the store cannot be read; 2 the command line is wrong; 3 it does
    not run; 4 it runs, and something is wrong; 75 the store is busy, try again; 78 the configuration is wrong.
    """
    settings, faults = usable_configuration(config, store)
    if faults and holder(settings.store.path) is None:
        raise ConfigError(faults)
    with open_store(config, settings.store.path) as reader:
        state = _state(reader, settings, faults, int(time.time()))
    if as_json:
        tables.write_json(state)
    else:
        _write(state)
    sys.exit(TROUBLE if state["wrong"] and state["running"] else 0 if state["running"] else NOT_RUNNING)


def _state(store: StoreReader, config: Config, faults: Sequence[str], now: int) -> StatusReport:
    pid = holder(config.store.path)
    url, told = (None, None) if pid is None else daemon_http.ask(config.web, status.secret(store))
    if told is not None and told["pid"] != pid:
        # Another daemon, with another store, has the address.
        told = None
    readings = status.readings(store)
    held = status.held(store, config.slurm.clusters, config.slurm.conf, retain=config.store.retain, now=now)
    clusters = [_cluster(reading, told, now, held=held.get(reading.cluster, 0)) for reading in readings]
    known = {reading.cluster for reading in readings}
    if told is not None:
        clusters += [_unread(name, own) for name, own in told["clusters"].items() if name not in known]
    state: StatusReport = {
        "running": pid is not None,
        "pid": pid,
        "url": url if told else None,
        "version": told["version"] if told else None,
        "not_ready": told["not_ready"] if told else [],
        "stalled": told["stalled"] if told else [],
        "reload_refused": told.get("reload_refused", "") if told else "",
        "configuration_faults": list(faults),
        "store": {
            "path": str(store.path),
            "bytes": _size(store.path),
            "schema": status.schema(store),
            "attempts": status.attempts(store),
            "newest_event": status.newest(store),
        },
        "clusters": clusters,
        "sinks": [_sink(position, config, told, now) for position in status.positions(store)],
        "archive": _archive(store, config, told, now),
        "quarantine": _quarantine(store),
        "backfills": [_backfill(row) for row in status.backfills(store)],
    }
    if pid is not None:
        _judge(state, config, now)
    state["wrong"] = list(_wrong(state, silent_at=url if pid is not None and told is None else None))
    return state


def _judge(state: StatusReport, config: Config, now: int) -> None:
    """Say of a daemon that runs what the store shows and it does not say itself: that it does nothing any more."""
    patience = SILENT_INTERVALS * config.poll.interval + config.slurm.timeout
    for row in state["clusters"]:
        last = row["last_reading"]
        silent = 0 if last is None else now - (epoch(last["read_at"]) or now)
        if not row["error"] and silent > patience:
            row["error"] = f"no complete answer from sacct for {spoken_duration(silent)}"
    archive = state["archive"]
    if archive and not archive["error"] and archive["waiting_since"]:
        waits = now - (epoch(archive["waiting_since"]) or now)
        if waits > ARCHIVE_SECONDS:
            archive["error"] = f"a finished day waits for {spoken_duration(waits)}"
    for row in state["sinks"]:
        if row["configured"] and not row["error"] and row["lag_seconds"] > WAITING_SECONDS:
            row["error"] = f"an event waits for {spoken_duration(row['lag_seconds'])}"


def _archive(store: StoreReader, config: Config, told: StatusReport | None, now: int) -> StatusReport | None:
    """Return how the archive stands; None where there is none."""
    if config.archive.folder is None:
        return None
    found = stock_in(store, now=now, finished_after=config.finished_seconds)
    if found is None:
        return None
    return {
        "path": config.archive.path,
        "files": found.files,
        "attempts": found.attempts,
        "bytes": found.bytes,
        "newest_day": None if found.newest is None else layout.day_text(found.newest),
        "waiting": found.waiting,
        "waiting_since": None if found.waiting_since is None else rfc3339(found.waiting_since),
        "error": told.get("archive", "") if told else "",
    }


def _wrong(state: StatusReport, *, silent_at: str | None) -> Iterator[str]:
    """Give what is wrong, a line each and nothing twice."""
    if silent_at is not None:
        yield f"the daemon does not answer at {silent_at}"
    for fault in state["configuration_faults"]:
        yield f"the configuration cannot be used; the daemon keeps the one it read: {fault}"
    if state["reload_refused"] and not state["configuration_faults"]:
        yield f"the last reload was refused: {state['reload_refused']}; reload again"
    for reason in state["not_ready"]:
        yield f"not ready: {reason}"
    for loop in state["stalled"]:
        yield f"stuck: {loop}"
    for row in state["clusters"]:
        if row["error"] and f"{row['cluster']}: {row['error']}" not in state["not_ready"]:
            yield f"cluster {row['cluster']}: {row['error']}"
    parts = {f"sink {row['sink']}": row["error"] for row in state["sinks"]}
    if state["archive"]:
        parts["archive"] = state["archive"]["error"]
    yield from (f"{part}: {error}" for part, error in parts.items() if error)


def _size(path: Path) -> int:
    """Return how many bytes the store has, with what was committed and is not in its own file yet."""
    wal = path.with_name(f"{path.name}-wal")
    return path.stat().st_size + (wal.stat().st_size if wal.exists() else 0)


def _cluster(reading: status.ClusterProgress, told: StatusReport | None, now: int, *, held: int) -> StatusReport:
    ledger, last = reading.ledger, reading.last
    never, withheld = holes(ledger)
    own = told["clusters"].get(reading.cluster, {}) if told else {}
    return {
        "cluster": reading.cluster,
        "horizon": rfc3339(ledger.horizon),
        "read_up_to": rfc3339(ledger.watermark),
        "lag_seconds": max(0, now - ledger.watermark),
        "holes": _spans(never),
        "half_written": _spans(withheld),
        "retention_held_seconds": held,
        "last_reading": None if last is None else {**last, "read_at": rfc3339(last["read_at"])},
        "error": own.get("error", ""),
        "daemon": own or None,
    }


def _spans(spans: Sequence[tuple[int, int]]) -> list[StatusReport]:
    return [{"start": rfc3339(start), "end": rfc3339(end)} for start, end in spans]


def _unread(cluster: str, own: StatusReport) -> StatusReport:
    """Return what there is of a cluster of which nothing was ever read."""
    error = own.get("error") or "the first query is still running"
    unread = dict.fromkeys(("horizon", "read_up_to", "lag_seconds", "last_reading"))
    return {"cluster": cluster, **unread, "holes": [], "half_written": [], "retention_held_seconds": 0,
            "error": error, "daemon": own}  # fmt: skip


def _sink(position: status.SinkProgress, config: Config, told: StatusReport | None, now: int) -> StatusReport:
    oldest = position.oldest_waiting
    own = told["sinks"].get(position.sink, {}) if told else {}
    return {
        "sink": position.sink,
        "configured": position.sink in config.sinks or bool(own),
        "position": position.seq,
        "waiting": position.behind,
        "lag_seconds": 0 if oldest is None else max(0, now - oldest),
        "moved": rfc3339(position.moved),
        "error": own.get("error", ""),
        "daemon": own or None,
    }


def _quarantine(store: StoreReader) -> StatusReport:
    count, newest = status.quarantine(store)
    return {"rows": count, "newest": None if newest is None else rfc3339(newest)}


def _backfill(row: StatusReport) -> StatusReport:
    share = (row["end"] - row["reached"]) / max(1, row["end"] - row["start"])
    times = {name: rfc3339(row[name]) for name in ("start", "end", "reached")}
    return {**row, **times, "done": round(share, 4)}


def _write(state: StatusReport) -> None:
    if state["running"]:
        told = f", {state['url']}, version {state['version']}" if state["url"] else ", not reached over HTTP"
        click.echo(f"running     pid {state['pid']}{shown(told)}")
    else:
        click.echo("not running")
    store = state["store"]
    size = TableColumn("size_bytes").text({"size_bytes": store["bytes"]})
    click.echo(
        f"store       {shown(store['path'])}: {store['attempts']:,} attempts, {size}, schema {store['schema']}"
    )
    if archive := state["archive"]:
        size = TableColumn("size_bytes").text({"size_bytes": archive["bytes"]})
        newest = f", the newest of {archive['newest_day']}" if archive["newest_day"] else ""
        waiting = f", {archive['waiting']} to be written" if archive["waiting"] else ""
        click.echo(
            f"archive     {shown(archive['path'])}: {archive['attempts']:,} attempts, {size}, "
            f"{archive['files']:,} days{newest}{waiting}"
        )
    quarantine = state["quarantine"]
    newest = f", the newest of {tables.local_time(quarantine['newest'])}" if quarantine["newest"] else ""
    rows = "1 row" if quarantine["rows"] == 1 else f"{quarantine['rows']:,} rows"
    click.echo(f"quarantine  {rows}{newest}")
    click.echo()
    running = state["running"]
    tables.write_table([_cluster_row(row, running=running) for row in state["clusters"]], _columns(_CLUSTERS))
    for row in state["clusters"]:
        for hole in row["holes"]:
            ends = f"{tables.local_time(hole['start'])} to {tables.local_time(hole['end'])}"
            click.echo(f"hole        {shown(row['cluster'])}: never read: {ends}")
        for second in row["half_written"]:
            # It is waited for, and read again with the next poll.
            end = tables.local_time(second["start"])
            click.echo(f"waiting     {shown(row['cluster'])}: for slurmdbd to finish a row that ended {end}")
        if row["retention_held_seconds"]:
            over = spoken_duration(row["retention_held_seconds"])
            what = f"attempts stay for {over} longer than retain, since later ones are not read yet"
            click.echo(f"held        {shown(row['cluster'])}: {what}; {status.LET_GO}")
    click.echo()
    tables.write_table([_sink_row(row, running=running) for row in state["sinks"]], _columns(_SINKS))
    for row in state["backfills"]:
        ends = f"{tables.local_time(row['start'])} to {tables.local_time(row['end'])}"
        click.echo(f"backfill    {shown(row['cluster'])}: {ends}, {row['done']:.0%} read")
    for line in state["wrong"]:
        click.echo(f"wrong       {shown(line)}")


def _columns(names: str) -> list[TableColumn]:
    return [TableColumn(name) for name in names.split(",")]


def _cluster_row(row: StatusReport, *, running: bool) -> StatusReport:
    last = row["last_reading"]
    told = ""
    if last is not None:
        rows = f"{last['rows']} rows, {last['new']} new, {spoken_duration(last['seconds'])}"
        told = f"{tables.local_time(last['read_at'])} ({last['found_by']}: {rows})"
    return {
        **row,
        "read_up_to": row["read_up_to"] and tables.local_time(row["read_up_to"]),
        "holes": len(row["holes"]),
        "last_reading": told,
        "state": _state_of(row, running=running),
    }


def _sink_row(row: StatusReport, *, running: bool) -> StatusReport:
    return {**row, "state": _state_of(row, running=running) if row["configured"] else "not configured"}


def _state_of(row: StatusReport, *, running: bool) -> str:
    if not running:
        return "stopped"
    return "failing" if row["error"] else "ok"
