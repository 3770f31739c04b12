"""What of an answer the store cannot know: ends that the daemon has never read, or not read yet."""

import time
from collections.abc import Callable, Sequence

import click

from slurmwatchd.cli.tables import local_time
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.model.terminal_text import shown
from slurmwatchd.store.read import status
from slurmwatchd.store.read.query import Question
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.watcher.unread import Unread, is_running
from slurmwatchd.watcher.unread import unread as unread_of


def unread(
    store: StoreReader,
    question: Question,
    *,
    kept: Callable[[str], Sequence[tuple[int, int]]] | None = None,
) -> list[Unread]:
    """Return what the store cannot know of an answer; see `watcher.unread`.

    Args:
        store: The store.
        question: What was asked.
        kept: Which stretches the answer has of a cluster's attempts that the store has pruned; without it, those
            that the archive has.
    """
    archived = store.archived if kept is None else kept
    return unread_of(status.readings(store), question, now=int(time.time()), archived=archived)


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


def _text(stretch: Unread, question: Question) -> str:
    start, end = stretch.start, stretch.end
    before = "" if stretch.cluster is None else f"{stretch.cluster}: "
    if start is None and end is None:
        return f"{before}nothing has been read yet"
    if end is None:
        what = ", or still run, are not in the store" if is_running(question) else " are not read yet"
        return f"{before}jobs that ended after {_local(start)}{what}"
    when = f"before {_local(end)}" if start is None else f"between {_local(start)} and {_local(end)}"
    return f"{before}jobs that ended {when} were never read"


def _local(moment: int | None) -> str:
    return "" if moment is None else local_time(rfc3339(moment))
