"""What of an answer the store cannot know: ends that the daemon has never read, or not read yet."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from slurmwatchd.cli.tables import local_time
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.model.terminal_text import shown
from slurmwatchd.store.read import status
from slurmwatchd.store.read.query import Question
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.watcher.half_written import holes

BEHIND_SECONDS = 600
"""A daemon that polls is never as far behind as this."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Ends that an answer may lack: those in `[start, end)`, epoch seconds.

    Attributes:
        cluster: Whose; None where the store knows of no cluster at all.
        start: None: since ever.
        end: None: up to now, and of a question about what was running also of jobs that still run.
    """

    cluster: str | None
    start: int | None
    end: int | None

    def on_wire(self) -> dict[str, str | None]:
        """Return it as `--json` has it."""
        return {"cluster": self.cluster, "start": _wire(self.start), "end": _wire(self.end)}


def unread(store: StoreReader, question: Question) -> list[Unread]:
    """Return what the store cannot know of an answer.

    Args:
        store: The store.
        question: What was asked; where it names no time, it is about all of it.
    """
    readings = {reading.cluster: reading for reading in status.readings(store)}
    if not readings and not question.clusters:
        return [Unread(None, None, None)]
    found: list[Unread] = []
    for cluster in dict.fromkeys(question.clusters or readings):
        if cluster in readings:
            found += _unread_of(readings[cluster], question, int(time.time()), store.archived_from(cluster))
        elif store.archived_from(cluster) is None:
            found.append(Unread(cluster, None, None))
    return found


def note_unread(stretches: Sequence[Unread], question: Question, *, empty: bool) -> None:
    """Say on stderr what of an answer cannot be known.

    Nothing is said where no time was asked for and something was found.

    Args:
        stretches: What `unread` gave.
        question: What was asked.
        empty: Whether nothing was found.
    """
    ended, ran = (question.ended_from, question.ended_until), (question.running_from, question.running_until)
    has_time = any(moment is not None for moment in (*ended, *ran))
    if has_time or empty:
        for stretch in stretches:
            click.echo(f"slurmwatchd: {shown(_text(stretch, question))}", err=True)


def _unread_of(reading: status.Reading, question: Question, now: int, archived: int | None) -> Iterator[Unread]:
    """Give what is unread of a cluster, whose archive begins at a moment, where there is one."""
    ledger = reading.ledger
    begin = question.ended_from if question.running_from is None else question.running_from
    end = question.ended_until if question.running_until is None else question.running_until
    is_running = _is_running(question)
    # What ran at a moment may have ended long after it.
    last = now if is_running or end is None else min(end + 1, now)
    _, withheld = holes(ledger)
    for start, stop in ledger.unread(0, ledger.newest):
        if archived is not None and stop <= ledger.horizon:
            # The ledger forgets what was pruned; the archive has it.
            stop = min(stop, archived)  # noqa: PLW2901 - what is left of it
        if start < min(last, stop) and stop > (begin or 0) and (start, stop) not in withheld:
            yield Unread(reading.cluster, start or None, stop)
    if is_running and (now if end is None else end) >= ledger.watermark:
        yield Unread(reading.cluster, ledger.watermark, None)
    elif not is_running and last - ledger.newest > BEHIND_SECONDS:
        yield Unread(reading.cluster, ledger.newest, None)


def _is_running(question: Question) -> bool:
    return question.running_until is not None or question.running_from is not None


def _text(stretch: Unread, question: Question) -> str:
    start, end = stretch.start, stretch.end
    before = "" if stretch.cluster is None else f"{stretch.cluster}: "
    if start is None and end is None:
        return f"{before}nothing has been read yet"
    if end is None:
        what = ", or still run, are not in the store" if _is_running(question) else " are not read yet"
        return f"{before}jobs that ended after {_local(start)}{what}"
    when = f"before {_local(end)}" if start is None else f"between {_local(start)} and {_local(end)}"
    return f"{before}jobs that ended {when} were never read"


def _wire(moment: int | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _local(moment: int | None) -> str:
    return "" if moment is None else local_time(rfc3339(moment))
