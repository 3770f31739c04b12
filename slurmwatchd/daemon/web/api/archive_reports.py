"""Reports that need the archive: they come from a process of their own, one at a time.

Nearly none does, since the sums outlive the attempts: only after a loss of the store has the archive what the sums
lack. pyarrow in the daemon would hold up the event loop while it is imported, and keep its memory for good.
"""

import subprocess
import threading
from pathlib import Path

from slurmwatchd.daemon.archiver import environment
from slurmwatchd.daemon.web.api.questions import Asking
from slurmwatchd.model.reports import Rates, ReportLine
from slurmwatchd.store.archive.horizon import lacks, noted_stretches
from slurmwatchd.store.archive.report_process import COMMAND, ReportOrder, lines_of
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.report import Wish, report

LOOK_SECONDS = 0.05
"""How often a question that waits for the process looks whether it is over."""


class ArchiveReports:
    """Reports from a store, and from its archive what the store's sums lack."""

    def __init__(self, archive: Path) -> None:
        """Start nothing yet."""
        self._archive = archive
        self._turn = threading.Lock()

    def report(self, store: StoreReader, wish: Wish, rates: Rates, *, asking: Asking) -> list[ReportLine]:
        """Return the lines of a report; in a question's thread.

        Raises:
            StoppedError: The question is over, and so is the process.
            StoreBusyError: Store or archive cannot be read now.
            StoreError: One of them cannot be read at all.
        """
        if not lacks(store, wish):
            return report(store, wish, rates)
        order = ReportOrder(store=str(store.path), archive=str(self._archive), wish=wish, rates=rates)
        while not self._turn.acquire(timeout=LOOK_SECONDS):
            asking.check()
        try:
            return lines_of(_answer(order.text(), asking))
        finally:
            self._turn.release()

    def archived(self, store: StoreReader, cluster: str) -> list[tuple[int, int]]:
        """Return the stretches of a cluster's ends that the archive has, epoch seconds, ascending."""
        return noted_stretches(store, cluster)


def _answer(order: bytes, asking: Asking) -> bytes:
    """Have the process carry out an order, and return what it printed; end it when the question is over."""
    given: bytes | None = order
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as process:
        try:
            while True:
                asking.check()
                try:
                    return process.communicate(given, timeout=LOOK_SECONDS)[0]
                except subprocess.TimeoutExpired:
                    given = None
        finally:
            process.kill()
