"""Ask slurmdbd, through sacct, for the steps of some attempts, and read what they used.

The steps of a window are cut by that window, so they are asked for by job id (`-j`), many at a time: sacct takes
as long for 50 jobs as for one, and a millisecond for each of thousands. `-j` finds every job that ever had an id,
and `-D` every attempt of it; each attempt is a row of its own, followed by the rows of its steps, which carry its
DBIndex, so a requeued job's steps fall to the attempt they belong to.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import IO

import anyio.to_thread

from slurmwatchd.model.usage import MeasuredUsage, UsageAnswer, UsageRequest, summed
from slurmwatchd.sources.sacct.arguments import uts
from slurmwatchd.sources.sacct.client import Sacct, fresh_delimiter
from slurmwatchd.sources.sacct.framing import RowReader
from slurmwatchd.sources.sacct.step_columns import StepColumns
from slurmwatchd.sources.sacct.step_fields import FIELDS, STEP_FIELDS, Key
from slurmwatchd.sources.sacct.step_limits import measurable

MAX_STEPS = 1000
"""So many steps of one attempt are told at most, and so many values that cannot be parsed; all of them are in its
sums."""

CLOCK_SECONDS = 3600
"""How far ahead of ours slurmctld's clock may be."""

_READ_BYTES = 1 << 18

_KEY_FIELDS = ("JobIDRaw", "Submit")


class StepSource:
    """The steps of one cluster's jobs."""

    def __init__(self, sacct: Sacct, *, full: bool) -> None:
        """Prepare; nothing is run.

        Args:
            sacct: Of the cluster.
            full: Whether each step is to be told, and not the sums alone.
        """
        self._sacct = sacct
        self._fields = FIELDS + STEP_FIELDS if full else FIELDS

    async def usage_of(
        self, attempts: Sequence[UsageRequest], *, now: int, timeout_seconds: float
    ) -> dict[Key, UsageAnswer]:
        """Return what attempts used; those that sacct does not print are not in it.

        Args:
            attempts: At least one.
            now: Epoch seconds.
            timeout_seconds: For the call.

        Raises:
            SacctError: No proved answer; see `Sacct`.
            StoreBusyError: The spool's disk is full.
        """
        delimiter = fresh_delimiter()
        arguments = list_arguments(attempts, self._fields, delimiter=delimiter, now=now)
        wanted = {(attempt.job_id_raw, attempt.submit): attempt for attempt in attempts}
        async with self._sacct.answer_to(arguments, timeout_seconds=timeout_seconds) as spool:
            reader = RowReader(delimiter.encode(), self._fields)
            return await anyio.to_thread.run_sync(self._read, spool, reader, wanted)

    async def shown(self, attempts: Sequence[UsageRequest], *, now: int, timeout_seconds: float) -> set[Key]:
        """Return which of some attempts sacct shows, without their steps; raises as `usage_of` does."""
        delimiter = fresh_delimiter()
        arguments = ["-X", *list_arguments(attempts, _KEY_FIELDS, delimiter=delimiter, now=now)]
        async with self._sacct.answer_to(arguments, timeout_seconds=timeout_seconds) as spool:
            reader = RowReader(delimiter.encode(), _KEY_FIELDS)
            columns = reader.feed(spool.read())
            reader.close()
        printed = set(zip(*columns, strict=True)) if columns else set()
        keys = [(attempt.job_id_raw, attempt.submit) for attempt in attempts]
        return {key for key in keys if tuple(str(part).encode() for part in key) in printed}

    def _read(
        self, spool: IO[bytes], reader: RowReader, wanted: Mapping[Key, UsageRequest]
    ) -> dict[Key, UsageAnswer]:
        """Read a whole answer; runs in a worker thread. A piece of it is held at a time."""
        found: dict[Key, UsageAnswer] = {}
        columns = StepColumns(self._fields)
        while chunk := spool.read(_READ_BYTES):
            self._sum(columns.feed(reader.feed(chunk)), wanted, found)
        reader.close()
        self._sum(columns.close(), wanted, found)
        return found

    @staticmethod
    def _sum(
        read: Iterable[tuple[Key, MeasuredUsage]],
        wanted: Mapping[Key, UsageRequest],
        found: dict[Key, UsageAnswer],
    ) -> None:
        for key, printed in read:
            attempt = wanted.get(key)
            if attempt is None:
                continue
            measured = measurable(attempt, printed)
            if measured.raw and len(measured.raw) > MAX_STEPS:
                measured = measured._replace(raw=dict(islice(measured.raw.items(), MAX_STEPS)))
            found[key] = UsageAnswer(usage=summed(attempt, measured), steps=measured.steps[:MAX_STEPS])


def list_arguments(
    attempts: Sequence[UsageRequest], fields: Sequence[str], *, delimiter: str, now: int
) -> list[str]:
    """Return sacct's arguments for the attempts and steps of some jobs.

    From the earliest submission on: an id may have been another job's, long ago. Without `-s`: with states the
    window would be one of ends.
    """
    since = min(attempt.submit for attempt in attempts)
    return [
        "-a", "-D", "--local", "--noconvert", "-p", f"--delimiter={delimiter}",
        "-j", ",".join(dict.fromkeys(attempt.selector for attempt in attempts)),
        "-S", uts(since), "-E", f"uts{now + CLOCK_SECONDS}", "-o", ",".join(fields),
    ]  # fmt: skip
