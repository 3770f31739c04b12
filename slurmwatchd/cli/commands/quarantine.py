"""`slurmwatchd quarantine`: the rows that could not be read, and reading them again."""

import sys
import time
from base64 import b64encode
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import click
import orjson

from slurmwatchd.cli import tables
from slurmwatchd.cli.options import load_quietly, store_options
from slurmwatchd.config.settings import Config
from slurmwatchd.daemon.assembly import assembled
from slurmwatchd.daemon.daemon import Outside
from slurmwatchd.errors import StoreInUseError, TransientError
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.store import quarantine
from slurmwatchd.store.quarantine import Quarantined
from slurmwatchd.store.read.second_process import open_beside, open_for_reading

WAIT_SECONDS = 60.0
"""How long a daemon may take before it does not answer."""

_LOOK_SECONDS = 0.2
_EMPTY = "the quarantine is empty"
_COLUMNS = [
    tables.TableColumn(name) for name in ("id", "cluster", "observed", "job_id_raw", "submitted", "reason")
]


@click.group("quarantine")
def command() -> None:
    """List the rows that have no key, and read them again.

    They are kept whole, and nothing in them is guessed.

    Example: slurmwatchd quarantine list
    """


@command.command("list")
@store_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per row, raw bytes as base64.")
def list_rows(path: Path | None, *, as_json: bool, **flags: str | None) -> None:
    """List the rows, with the reason why each is here.

    Example: slurmwatchd quarantine list --json

    Exit codes: 0 done, even if there is none; 1 the store cannot be read; 2 the command line is wrong; 78 the
    configuration is wrong.
    """
    anyio.run(_list, load_quietly(path, flags), as_json)


@command.command("retry")
@store_options
@click.argument("ids", nargs=-1, type=click.IntRange(1, 2**63 - 1), metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All rows.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
def retry_rows(
    path: Path | None, ids: tuple[int, ...], *, everything: bool, as_json: bool, **flags: str | None
) -> None:
    """Parse rows again with this program: a row that now has a key becomes an attempt and an event.

    A running daemon does this within seconds, with its own program: restart it first after an upgrade. Otherwise
    this command does it, and the next daemon delivers the events.

    Example: slurmwatchd quarantine retry --all

    Exit codes: 0 no requested row is left; 1 some are (`list` says why), or the store cannot be used; 2 the
    command line is wrong, or the row does not exist; 75 the store is busy or the daemon does not answer; 78 the
    configuration is wrong.
    """
    if bool(ids) == everything:
        raise click.UsageError("give row ids, or --all" if not ids else "either ids or --all")
    config = load_quietly(path, flags)
    wanted = None if everything else sorted(set(ids))
    try:
        asked, left = anyio.run(_retry_alone, config, wanted)
    except StoreInUseError:
        asked, left = anyio.run(_retry_beside, config, wanted)
    if as_json:
        click.echo(orjson.dumps({"asked": asked, "released": asked - left, "left": left}).decode())
    elif not asked:
        click.echo(_EMPTY)
    else:
        click.echo(f"{asked - left} of {asked} rows are out of the quarantine")
    if left:
        sys.exit(1)


async def _list(config: Config, as_json: bool) -> None:  # noqa: FBT001 - anyio.run passes by position
    """Write the rows page by page: there may be more than memory should hold."""
    sql = f"SELECT {quarantine.COLUMNS} FROM quarantine ORDER BY id"  # noqa: S608 - constants
    count = 0
    # The pages are closed at once where writing fails, or their last answer would be left for no one.
    async with open_for_reading(config.store.path) as reader, aclosing(reader.pages(sql)) as pages:
        async for page in pages:
            count += len(page)
            _write_page([Quarantined.of(row) for row in page], as_json=as_json)
    if not count and not as_json:
        click.echo(_EMPTY)


def _write_page(rows: Sequence[Quarantined], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            click.echo(orjson.dumps(_json(row)).decode())
    else:
        tables.write_table(map(_shown, rows), _COLUMNS)


def _json(row: Quarantined) -> dict[str, Any]:
    values = zip(row.fields, row.row, strict=False)
    return {
        "id": row.id,
        "cluster": row.cluster,
        "observed": rfc3339(row.observed),
        "reason": row.reason,
        "row": {name: value.decode(errors="backslashreplace") for name, value in values},
        "raw": [b64encode(value).decode() for value in row.row],
    }


def _shown(row: Quarantined) -> dict[str, Any]:
    """Return the columns of a table; job id and submission as sacct printed them, as they may be what is wrong."""
    report = _json(row)
    return {**report, "job_id_raw": report["row"].get("JobIDRaw"), "submitted": report["row"].get("Submit")}


async def _retry_alone(config: Config, ids: Sequence[int] | None) -> tuple[int, int]:
    """Take the store and read the rows again; returns how many were asked for, and how many stay."""
    async with assembled(config, Outside()) as daemon:
        asked = _found(await quarantine.ask(daemon.database, ids, now=int(time.time())), ids)
        await daemon.errands.look()
        return len(asked), await quarantine.left(daemon.database, asked)


async def _retry_beside(config: Config, ids: Sequence[int] | None) -> tuple[int, int]:
    """Ask the daemon that has the store, and wait until it has done so."""
    async with open_beside(config.store.path) as store:
        asked = _found(await quarantine.ask(store, ids, now=int(time.time())), ids)
        deadline = anyio.current_time() + WAIT_SECONDS
        while True:
            if not await quarantine.waiting(store, asked):
                return len(asked), await quarantine.left(store, asked)
            store.must_be_in_place()
            if anyio.current_time() > deadline:
                raise TransientError(
                    f"the daemon has not retried the rows within {WAIT_SECONDS:g} s; it may still do so"
                )
            await anyio.sleep(_LOOK_SECONDS)


def _found(asked: Sequence[int], ids: Sequence[int] | None) -> Sequence[int]:
    """Return the rows asked for, if all that were named are there."""
    if missing := set(ids or ()) - set(asked):
        raise click.UsageError(f"there is no row {', '.join(map(str, sorted(missing)))} in the quarantine")
    return asked
