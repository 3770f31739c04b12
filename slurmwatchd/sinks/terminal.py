"""Events as one readable line each on standard output: for the demo, and for watching by eye.

Names come from users: what could move the cursor or forge a line is shown escaped.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TextIO

import anyio.to_thread
import click
import orjson

from slurmwatchd.config.units import spoken_duration
from slurmwatchd.errors import SinkError
from slurmwatchd.model.records import Event, EventKind
from slurmwatchd.model.terminal_text import shown
from slurmwatchd.sinks.base import Sink, SinkKind, SinkOptions
from slurmwatchd.telemetry.metrics import Metrics

_GOOD = frozenset({"COMPLETED"})
_NEUTRAL = frozenset({"CANCELLED", "PREEMPTED", "REQUEUED", "RESIZING", "REVOKED"})
_NAME_WIDTH = 40


class TerminalOptions(SinkOptions):
    """Readable lines on standard output."""

    type: Literal["terminal"]


class TerminalSink(Sink):
    """Standard output. What was shown before a crash may be shown again."""

    def __init__(
        self, name: str, options: TerminalOptions, metrics: Metrics, *, stream: TextIO | None = None
    ) -> None:
        """Prepare; `name`, `options` and `metrics` are every sink's and not needed here."""
        del name, options, metrics
        self._stream = stream or sys.stdout
        self._colour = self._stream.isatty() and "NO_COLOR" not in os.environ

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        """Show events."""
        lines = "".join(line + "\n" for event in events if (line := readable(event, colour=self._colour)))
        try:
            await anyio.to_thread.run_sync(self._print, lines)
        except OSError as error:
            raise SinkError(f"standard output: {error.strerror}") from error
        return {}

    def _print(self, lines: str) -> None:
        self._stream.write(lines)
        self._stream.flush()


def readable(event: Event, *, colour: bool) -> str:
    """Return an event's line, without a line end; empty where it reports nothing worth one."""
    record: dict[str, Any] = orjson.loads(event.body)
    if event.kind is EventKind.JOB_USAGE and not record["usage"]["steps"]:
        return ""
    state = f"{record['state']:<13}"
    if colour:
        state = click.style(state, fg=_colour_of(record["state"]))
    count = record.get("node_count", 0)
    nodes = f"{count} {'node' if count == 1 else 'nodes'}" if record.get("node_list") else "never started"
    # In the machine's zone, as all commands show times; a backfill's events are of any day.
    ended = f"{datetime.fromisoformat(record['end']).astimezone():%m-%d %H:%M:%S}" if "end" in record else ""
    took = spoken_duration(record["elapsed_seconds"]) if "elapsed_seconds" in record else ""
    mark = _mark(event, record)
    return (
        f"{ended:<14}  {shown(record['job_id'], 16):<16} {state} "
        f"{shown(record.get('user', ''), 10):<10} {shown(record.get('partition', ''), 10):<10} "
        f"{nodes:>13} {took:>8}  {shown(record.get('name', ''), _NAME_WIDTH)}{mark}"
    )


def _mark(event: Event, record: Mapping[str, Any]) -> str:
    """Say what a line reports where it is not the end."""
    if event.kind is EventKind.JOB_USAGE:
        usage = record["usage"]
        shares = [
            f"{usage[field]:.0%} of its {what}"
            for field, what in (("cpu_efficiency", "CPUs"), ("memory_efficiency", "memory"))
            if field in usage
        ]
        return f"  used {', '.join(shares)}" if shares else "  usage not measured"
    return "" if event.kind is EventKind.JOB_ENDED else f"  ({event.kind} {event.revision})"


def _colour_of(state: str) -> str:
    return "green" if state in _GOOD else "yellow" if state in _NEUTRAL else "red"


KIND = SinkKind(options=TerminalOptions, make=TerminalSink)
