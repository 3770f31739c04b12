"""How far a long command is: a bar where a person looks at it, a line now and then where a log does. On stderr."""

import sys
import time
from types import TracebackType
from typing import Self

import click

from slurmwatchd.config.units import spoken_duration

PLAIN_SECONDS = 10.0
"""How often a line is written where there is no terminal."""


class Progress:
    """The progress of reading stretches of end times; `update` is cheap and may be called often."""

    def __init__(self, what: str, total_seconds: int, *, terminal: bool | None = None) -> None:
        """Prepare; nothing is shown before `with`.

        Args:
            what: A word or two in front.
            total_seconds: How much end time there is to read.
            terminal: Whether to draw a bar; None: if stderr is a terminal.
        """
        self._what = what
        self._total = max(total_seconds, 1)
        self._bar = _Bar(what, self._total) if (sys.stderr.isatty() if terminal is None else terminal) else None
        self._began = self._told = time.monotonic()

    def __enter__(self) -> Self:
        """Begin."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; the bar stays where it is."""
        if self._bar is not None:
            self._bar.stop()

    def update(self, done_seconds: int, rows: int) -> None:
        """Show how much end time was read, and how many rows that were, since the beginning of this command."""
        now = time.monotonic()
        rate = rows / max(now - self._began, 0.001)
        if self._bar is not None:
            self._bar.update(done_seconds, rows, rate)
        elif now - self._told >= PLAIN_SECONDS:
            self._told = now
            click.echo(self.line(done_seconds, rows, now - self._began), err=True)

    def line(self, done_seconds: int, rows: int, elapsed_seconds: float) -> str:
        """Return the state in words."""
        left = ""
        if done_seconds > 0:
            seconds = elapsed_seconds * (self._total - done_seconds) / done_seconds
            left = f", {spoken_duration(seconds)} left"
        rate = rows / max(elapsed_seconds, 0.001)
        percent = 100 * done_seconds // self._total
        return f"{self._what}: {percent}% of {spoken_duration(self._total)}, {rows} rows, {rate:.0f} rows/s{left}"


class _Bar:
    """The bar, by rich, which is only imported where it is drawn."""

    def __init__(self, what: str, total: int) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
        from rich.progress import Progress as RichProgress  # noqa: PLC0415

        self._progress = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]} rows  {task.fields[rate]:.0f} rows/s"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(what, total=total, rows=0, rate=0.0)

    def start(self) -> None:
        self._progress.start()

    def stop(self) -> None:
        self._progress.stop()

    def update(self, done: int, rows: int, rate: float) -> None:
        self._progress.update(self._task, completed=done, rows=rows, rate=rate)
