"""What of an answer the store cannot know: ends that the daemon has never read, or not read yet."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from slurmwatchd.model.clock import rfc3339
from slurmwatchd.model.ledger import left_over
from slurmwatchd.store.read.query import Question
from slurmwatchd.store.read.status import ClusterProgress
from slurmwatchd.watcher.half_written import holes

BEHIND_SECONDS = 600
"""A daemon that polls is never as far behind as this."""


class Unread(NamedTuple):
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


def unread(
    readings: Sequence[ClusterProgress],
    question: Question,
    *,
    now: int,
    archived: Callable[[str], Sequence[tuple[int, int]]] = lambda _: (),
) -> list[Unread]:
    """Return what the store cannot know of an answer.

    Args:
        readings: How far each cluster is read.
        question: What was asked; where it names no time, it is about all of it.
        now: Epoch seconds.
        archived: Says which stretches of a cluster the answer has besides, ascending: of what was pruned.
    """
    by_cluster = {reading.cluster: reading for reading in readings}
    if not by_cluster and not question.clusters:
        return [Unread(None, None, None)]
    found: list[Unread] = []
    for cluster in dict.fromkeys(question.clusters or by_cluster):
        if cluster in by_cluster:
            found += _unread_of(by_cluster[cluster], question, now, archived(cluster))
        elif not archived(cluster):
            found.append(Unread(cluster, None, None))
    return found


def is_running(question: Question) -> bool:
    """Return whether a question is about what was running."""
    return question.running_until is not None or question.running_from is not None


def _unread_of(
    reading: ClusterProgress, question: Question, now: int, archived: Sequence[tuple[int, int]]
) -> Iterator[Unread]:
    """Give what is unread of a cluster, of which an archive has some stretches."""
    ledger = reading.ledger
    begin = question.ended_from if question.running_from is None else question.running_from
    end = question.ended_until if question.running_until is None else question.running_until
    ran = is_running(question)
    # What ran at a moment may have ended long after it.
    last = now if ran or end is None else min(end + 1, now)
    _, withheld = holes(ledger)
    for whole in ledger.unread(0, ledger.newest):
        # The ledger forgets what was pruned; the archive has it.
        for start, stop in left_over(*whole, archived) if whole[1] <= ledger.horizon else (whole,):
            if start < min(last, stop) and stop > (begin or 0) and (start, stop) not in withheld:
                yield Unread(reading.cluster, start or None, stop)
    if ran and (now if end is None else end) >= ledger.watermark:
        yield Unread(reading.cluster, ledger.watermark, None)
    elif not ran and last - ledger.newest > BEHIND_SECONDS:
        yield Unread(reading.cluster, ledger.newest, None)


def _wire(moment: int | None) -> str | None:
    return None if moment is None else rfc3339(moment)
