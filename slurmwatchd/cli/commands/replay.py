"""`slurmwatchd replay`: events that a sink was given once, sent again or written to a file."""

import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import anyio.to_thread
import click

from slurmwatchd.cli.options import load_quietly, store_options, stretch_of
from slurmwatchd.config.settings import Config
from slurmwatchd.errors import SinkError
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.base import Sink, SinkOptions
from slurmwatchd.sinks.forms.form import EventForm
from slurmwatchd.sinks.forms.options import FormOptions
from slurmwatchd.sinks.registry import make_sink, sink_kinds
from slurmwatchd.store import event_log
from slurmwatchd.store.read.second_process import open_for_reading
from slurmwatchd.telemetry.metrics import Metrics

_MODE = 0o640


@click.command("replay")
@store_options
@click.option("--sink", "name", required=True, metavar="NAME", help="The sink of the configuration.")
@click.option(
    "--since", required=True, metavar="WHEN", help="Events first seen from then on: 24h, 2026-11-20, ISO 8601."
)
@click.option("--until", metavar="WHEN", help="Up to this moment [default: now].")
@click.option(
    "--to", "target", type=click.Path(path_type=Path), metavar="FILE",
    help="Write them to a new file, as the sink would, instead; -: standard output.",
)  # fmt: skip
def command(
    path: Path | None,
    name: str,
    since: str,
    until: str | None,
    target: Path | None,
    **flags: Any,  # noqa: ANN401 - options of any type
) -> None:
    """Deliver events to a sink once more, after its receiver has lost them.

    The events come from the store, as far as the sink's options select them, and look as the sink writes them. Its
    cursor stays where it is, and the daemon may run meanwhile. A nats or kafka sink skips events that are among
    the newest messages of its receiver; an http receiver gets each event again. A file holds each event once for
    ever, so those of a jsonl sink go to another file: --to.

    \b
    Example: slurmwatchd replay --sink stream --since 2026-11-20 --until 2026-11-21
             slurmwatchd replay --sink jobs --since 2h --to again.jsonl

    Exit codes: 0 done; 1 the store cannot be read or the file not written; 2 the command line is wrong; 75 the
    receiver cannot take them now: the message says what was sent, replay the rest later; 78 the configuration is
    wrong; 141 the reader of the output closed it.
    """  # noqa: D301 - click's mark for lines to be left alone
    start, end = stretch_of(since, until, now=time.time())
    # What was seen in this very second counts where no one names an end.
    last = end if until is not None else sys.maxsize
    config = load_quietly(path, flags)
    options = _options(config, name)
    kind = sink_kinds()[options.type]
    if not isinstance(options, FormOptions):
        raise click.UsageError(f"--sink: {name!r} is of type {options.type!r}: it writes no events")
    if target is None and not kind.replays:
        raise click.UsageError(f"--sink: {name!r} is of type {options.type!r}: name a file with --to")

    async def replay() -> str:
        async with open_for_reading(config.store.path) as reader:
            first = await event_log.first_since(reader, start)
            pages = event_log.after(reader, first - 1, since=start, until=last)
            if target is not None:
                return f"{await _to_file(target, name, options, pages)} events written"
            return await _to_sink(name, options, pages)

    click.echo(f"slurmwatchd: {anyio.run(replay)}", err=True)


def _options(config: Config, name: str) -> SinkOptions:
    options = config.sinks.get(name)
    if not isinstance(options, SinkOptions):
        raise click.UsageError(f"--sink: there is no sink {name!r}; there are {', '.join(config.sinks)}")
    return options


async def _to_sink(name: str, options: SinkOptions, pages: AsyncIterator[list[Event]]) -> str:
    """Send events, by a sink of this command's own, whose cursor is no one's; return what was sent, in words."""
    selection, count = options.selection(), 0
    sink = make_sink(name, options.for_replay(name), Metrics())
    try:
        await sink.open({})
        async for page in pages:
            events = await selection.among(page)
            try:
                if events:
                    await sink.write(events)
                    sink.committed()
            except SinkError as error:
                rest = events[error.written]
                seen = rfc3339(rest.observed)
                sent = f"{_sent(sink, count + error.written)}; the next was first seen at {seen}"
                raise SinkError(f"sinks.{name}: {error} ({sent})") from error
            count += len(events)
    finally:
        with anyio.CancelScope(shield=True):
            await sink.close()
    return _sent(sink, count)


def _sent(sink: Sink, count: int) -> str:
    """Say how many of so many events were sent."""
    text = f"{count - sink.already_there} events sent"
    return f"{text}, {sink.already_there} were with the receiver already" if sink.already_there else text


async def _to_file(target: Path, name: str, options: FormOptions, pages: AsyncIterator[list[Event]]) -> int:
    """Write events as the sink does; a file gets its name once it is whole."""
    selection, form, count = options.selection(), EventForm(name, options), 0
    await anyio.to_thread.run_sync(form.prepare)
    with _opened(target) as write:
        async for page in pages:
            events = await selection.among(page)
            await anyio.to_thread.run_sync(write, form.lines(events))
            count += len(events)
    return count


@contextmanager
def _opened(target: Path) -> Iterator[Callable[[Sequence[bytes]], None]]:
    if str(target) == "-":
        yield sys.stdout.buffer.writelines
        sys.stdout.buffer.flush()
        return
    if target.exists():
        raise click.ClickException(f"{target}: is there already")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb") as stream:
            yield stream.writelines
            _flush(stream)
        # Unlike a rename this never replaces what came meanwhile.
        target.hardlink_to(part)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise click.ClickException(f"{target}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _flush(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())
