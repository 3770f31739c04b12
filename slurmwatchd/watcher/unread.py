"""What of an answer the store cannot know: ends that the daemon has never read, or not read yet."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from slurmwatchd.model.clock import rfc3339
from slurmwatchd.store.read.query import Question
from slurmwatchd.store.read.status import ClusterProgress
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


def unread(
    readings: Sequence[ClusterProgress],
    question: Question,
    *,
    now: int,
    archived: Callable[[str], int | None] = lambda _: None,
) -> list[Unread]:
    """Return what the store cannot know of an answer.

    Args:
        readings: How far each cluster is read.
        question: What was asked; where it names no time, it is about all of it.
        now: Epoch seconds.
        archived: Says at which moment a cluster's archive begins; None where the answer has none.
    """
    by_cluster = {reading.cluster: reading for reading in readings}
    if not by_cluster and not question.clusters:
        return [Unread(None, None, None)]
    found: list[Unread] = []
    for cluster in dict.fromkeys(question.clusters or by_cluster):
        if cluster in by_cluster:
            found += _unread_of(by_cluster[cluster], question, now, archived(cluster))
        elif archived(cluster) is None:
            found.append(Unread(cluster, None, None))
    return found


def is_running(question: Question) -> bool:
    """Return whether a question is about what was running."""
    return question.running_until is not None or question.running_from is not None


def _unread_of(reading: ClusterProgress, question: Question, now: int, archived: int | None) -> Iterator[Unread]:
    """Give what is unread of a cluster, whose archive begins at a moment, where there is one."""
    ledger = reading.ledger
    begin = question.ended_from if question.running_from is None else question.running_from
    end = question.ended_until if question.running_until is None else question.running_until
    ran = is_running(question)
    # What ran at a moment may have ended long after it.
    last = now if ran or end is None else min(end + 1, now)
    _, withheld = holes(ledger)
    for start, stop in ledger.unread(0, ledger.newest):
        if archived is not None and stop <= ledger.horizon:
            # The ledger forgets what was pruned; the archive has it.
            stop = min(stop, archived)  # noqa: PLW2901 - what is left of it
        if start < min(last, stop) and stop > (begin or 0) and (start, stop) not in withheld:
            yield Unread(reading.cluster, start or None, stop)
    if ran and (now if end is None else end) >= ledger.watermark:
        yield Unread(reading.cluster, ledger.watermark, None)
    elif not ran and last - ledger.newest > BEHIND_SECONDS:
        yield Unread(reading.cluster, ledger.newest, None)


def _wire(moment: int | None) -> str | None:
    return None if moment is None else rfc3339(moment)
