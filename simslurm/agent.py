"""slurmctld's DBD agent: what it holds back while slurmdbd is away, and how it hands it over afterwards.

A record written between `stop_slurmdbd` and the end of the queue's delivery becomes visible late, with its old
end. `set_slurmdbd_down` only makes the commands fail: what is written meanwhile is there when they work again.
"""

from __future__ import annotations

import time

from .troubles import Troubles

NEVER = 1e12
"""A moment that does not come: the message waits in the queue."""


class DbdAgent(Troubles):
    """The queue of messages to slurmdbd, first in, first out."""

    def stop_slurmdbd(self) -> None:
        """Stop slurmdbd: the commands fail, and slurmctld holds back what happens from here on."""
        with self.batch():
            self._set("slurmdbd_down", 1)
            self._set("agent_holds", 1)

    def start_slurmdbd(self, *, after: float = 0.0, gap: float = 0.0) -> None:
        """Start slurmdbd again: the commands work at once, what was held back arrives little by little.

        Args:
            after: Seconds until slurmctld notices that slurmdbd is back.
            gap: Seconds between two messages.
        """
        with self.batch():
            self._set("slurmdbd_down", 0)
            self._set("agent_holds", 0)
            self._set("agent_gap", gap)
            moment = max(self._moment() + after, self._last_delivery())
            waiting = self._db.execute(
                "SELECT id, job, what FROM agent_queue WHERE delivered_at IS NULL ORDER BY id"
            ).fetchall()
            for number, job, what in waiting:
                moment += gap
                self._db.execute("UPDATE agent_queue SET delivered_at = ? WHERE id = ?", (moment, number))
                self._show(job, what.decode(), moment)

    def lose_start(self, key: tuple[str, int, int]) -> None:
        """Let slurmdbd never get a job's start message: its row is `allocation`, root's, without a partition.

        Args:
            key: A `JobKey`.
        """
        self._execute(
            "UPDATE jobs SET whole_at = ? WHERE cluster = ? AND id_job = ? AND time_submit = ?", (NEVER, *key)
        )

    def undelivered(self) -> int:
        """Count the messages that slurmctld still holds."""
        row = self._execute(
            "SELECT count(*) FROM agent_queue WHERE delivered_at IS NULL OR delivered_at > ?", (self._moment(),)
        ).fetchone()
        return int(row[0])

    def _send(self, job: int, what: str) -> None:
        """Bring a message on its way, inside a batch: it arrives at once unless others are held back.

        Args:
            job: The row's `key`.
            what: `row` for a row that is new, `end` for its end.
        """
        if self.config("agent_holds") == "1":
            moment, delivered = NEVER, None
        else:
            last = self._last_delivery()
            if last <= self._moment():
                return
            moment = delivered = last + float(self.config("agent_gap") or 0)
        self._db.execute(
            "INSERT INTO agent_queue (job, what, delivered_at) VALUES (?, ?, ?)", (job, what, delivered)
        )
        self._show(job, what, moment)

    def _show(self, job: int, what: str, moment: float) -> None:
        """Let a row or its end be seen from a moment on; one that was to show itself even later stays so."""
        column = "visible_at" if what == "row" else "end_visible_at"
        # A row that waited is seen when its message arrives, not when it would have been seen in time.
        self._db.execute(
            f"UPDATE jobs SET {column} = max(iif({column} >= {NEVER}, 0, {column}), ?) WHERE key = ?",  # noqa: S608
            (moment, job),
        )

    def _last_delivery(self) -> float:
        row = self._db.execute("SELECT max(delivered_at) FROM agent_queue").fetchone()
        return float(row[0] or 0)

    def _moment(self) -> float:
        return float(self.config("now") or time.time())
