"""Ends that may still be on their way: noticed when slurmdbd fails or slurmctld holds records back.

What ended during an outage of slurmdbd becomes visible some time after it, with its old end, when slurmctld has
worked off its queue (measured: a record 44 s after its end, 20 s after slurmdbd was back). A poll's overlap may
be too short for that, and the first scheduled re-read is minutes away; so the stretch is read again as soon as
the queue is empty, and once more a poll later. A queue that is briefly not empty is the normal state of a busy
cluster and no reason for doubt. On a very busy one it is never empty. There an end that slurmdbd shows is the
proof: slurmctld sends its messages in the order in which it made them, so what came before has arrived too.

A daemon that dies in the middle of that must not forget it: in the ledger that is saved, what may still be in
doubt was not read (`withhold`), so that the next start begins there.
"""

from slurmwatchd.model.ledger import Ledger

PATIENT_POLLS = 3
"""So many polls in a row must see a queue before it is more than messages in flight."""

BLIND_SECONDS = 60
"""How long after an outage a stretch is read again if the queue's size is not known."""


class Outage:
    """What of one cluster's past is in doubt."""

    def __init__(self) -> None:
        """Begin without doubt."""
        self._since: int | None = None
        self._calm = 0
        self._waiting = 0
        self._polled: int | None = None
        self._over: int | None = None
        self._again: tuple[int, int] | None = None

    @property
    def since(self) -> int | None:
        """The earliest end in doubt, epoch seconds; None where there is no doubt."""
        return self._since

    def begin(self, newest: int, queue: int | None) -> None:
        """Go on where an earlier life of the daemon stopped.

        Args:
            newest: Of the ledger it saved, which leaves out what was in doubt. What ended since is in doubt if
                there is a queue: no one knows for how long.
            queue: Messages waiting now, before anything is read; None where it is not known.
        """
        self._calm = newest
        if queue:
            self._since, self._waiting = newest, 1

    def withhold(self, ledger: Ledger, *, overlap: int) -> Ledger:
        """Return the ledger to save: what is in doubt, or may turn out to be, was not read."""
        begins = [] if self._since is None else [self._since - overlap]
        if self._waiting and self._calm:
            begins.append(self._calm - overlap)
        if self._again is not None:
            begins.append(self._again[0])
        return ledger.forget(max(min(begins), ledger.horizon), ledger.newest) if begins else ledger

    def failed(self, last_good: int) -> None:
        """Note that a query failed; what ended since the last good one is in doubt."""
        self._since = last_good if self._since is None else min(self._since, last_good)
        self._over = self._polled = None

    def polled(self, queue: int | None, now: int, *, shown: int | None = None) -> None:
        """Note that slurmdbd answers, and what slurmctld's queue was just before.

        Args:
            queue: Messages waiting; None where it is not known.
            now: Epoch seconds.
            shown: The newest end that slurmdbd has shown, none ahead of now; None where there is none.
        """
        before, self._polled = self._polled, now
        if queue is None and self._since is None:
            # That is not known, which is no news: neither that there is a queue nor that there is none.
            return
        if queue and shown is not None and before is not None and shown >= before:
            # All that waited at the poll before has arrived: what waits now is in flight.
            queue, self._calm = 0, shown
        elif not queue:
            self._calm = now
        if queue:
            self._waiting += 1
            self._over = None
            if self._waiting >= PATIENT_POLLS and self._since is None:
                self._since = self._calm or now
            return
        self._waiting = 0
        if self._since is not None and (self._over is None or queue == 0):
            self._over = now if queue == 0 else now + BLIND_SECONDS

    def review(self, ledger: Ledger, now: int, *, overlap: int) -> Ledger:
        """Return the ledger in which what must be read again was never read; called before each poll's successor.

        Args:
            ledger: What was read.
            now: Epoch seconds.
            overlap: How far before the first end in doubt to begin.
        """
        if self._again is not None:
            ledger, self._again = ledger.forget(*self._again), None
        if self._since is not None and self._over is not None and now >= self._over:
            stretch = (max(self._since - overlap, ledger.horizon), now)
            self._since = self._over = None
            self._again = stretch
            ledger = ledger.forget(*stretch)
        return ledger
