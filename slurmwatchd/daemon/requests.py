"""What other processes ask of the daemon, through the store: noticed in seconds, done by those whose trade it is.

A command writes its request into the store (`store/backfills.py`, `store/quarantine.py`) and looks there what
becomes of it. So nothing is asked that a restart would forget, and only the daemon writes attempts and events.
"""

import time
from collections.abc import Callable

from slurmwatchd.daemon.quarantine_retrier import QuarantineRetrier
from slurmwatchd.errors import TransientError
from slurmwatchd.model.clock import Clock
from slurmwatchd.store.database import Database
from slurmwatchd.telemetry.log import get_logger

LOOK_SECONDS = 2.0
"""How often to look for requests: at the age of a file, and where that is new, by one query of two indexes."""

_SURE_SECONDS = 1.0
"""So long after it was last written a file gets another age with the next write, however coarse its clock."""

_LOOK = (
    "SELECT (SELECT coalesce(max(id), 0) FROM backfills) AS backfill, "
    "EXISTS (SELECT 1 FROM quarantine WHERE asked IS NOT NULL) AS retry"
)

_log = get_logger(__name__)


class Requests:
    """Looks for requests."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        retrier: QuarantineRetrier,
        *,
        asked: Callable[[], None],
        committed: Callable[[], None],
    ) -> None:
        """Prepare; nothing runs.

        Args:
            database: Where the requests are.
            clock: For waiting between two looks.
            retrier: Reads quarantined rows again.
            asked: Called when there is a new backfill: wakes the watchers.
            committed: Called when there are new events: wakes the sinks.
        """
        self._database = database
        self._clock = clock
        self._retrier = retrier
        self._asked = asked
        self._committed = committed
        self._newest = 0
        # SQLite appends each commit to this file, whoever made it.
        self._wal = database.path.with_name(f"{database.path.name}-wal")
        self._looked_at: tuple[int, int, int] | None = None

    async def run(self) -> None:
        """Look for ever; what fails is tried again at the next look."""
        while True:
            try:
                await self.look()
            except TransientError as error:
                _log.warning("requests failed", error=str(error))
            await self._clock.tick(LOOK_SECONDS)

    async def look(self) -> None:
        """Do what is asked now.

        Raises:
            StoreBusyError: The store cannot be used now.
        """
        state = self._state_of_wal()
        if state is not None and state == self._looked_at:
            return
        self._looked_at = None
        row = (await self._database.read(_LOOK))[0]
        if row["backfill"] != self._newest:
            self._newest = row["backfill"]
            self._asked()
        if row["retry"] and (await self._retrier.retry()).new:
            self._committed()
        self._looked_at = state

    def _state_of_wal(self) -> tuple[int, int, int] | None:
        """Return what differs after the next commit; None where that is not sure."""
        try:
            found = self._wal.stat()
        except OSError:
            return None
        is_sure = abs(time.time() - found.st_mtime) > _SURE_SECONDS
        return (found.st_ino, found.st_size, found.st_mtime_ns) if is_sure else None
