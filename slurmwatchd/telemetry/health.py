"""How the daemon is: what `/-/ready`, `/`, systemd's STATUS and its watchdog receive.

Each part writes its own entry; no one reads the store to answer a probe.
"""

from dataclasses import dataclass, field

from slurmwatchd.model.clock import Clock, rfc3339


@dataclass(slots=True)
class ClusterHealth:
    """One cluster's readings.

    Attributes:
        error: Why the last query failed; empty while it works.
        failures: How many failed in a row.
        last_ok: Epoch seconds of the last complete reading; 0 before the first.
        answered: Whether any reading was complete since the start.
        attempted: Whether a first reading came to any end, good or bad.
        suspicion: Why sacct's answers cannot be all there is; empty where nothing is suspected.
        probing: Whether only a cheap probe is sent, after failures in a row.
    """

    error: str = ""
    failures: int = 0
    last_ok: int = 0
    watermark: int = 0
    new: int = 0
    attempted: bool = False
    suspicion: str = ""
    probing: bool = False

    @property
    def answered(self) -> bool:
        """Whether any reading was complete since the start."""
        return self.last_ok > 0

    @property
    def trouble(self) -> str:
        """What is wrong, in one line; empty where nothing is."""
        trouble = self.suspicion or self.error
        return f"{trouble} (only probing until slurmdbd answers)" if trouble and self.probing else trouble


@dataclass(slots=True)
class SinkHealth:
    """One sink's deliveries.

    Attributes:
        error: Why the last delivery failed; empty while it works.
        seq: The newest event it has.
        delivered: Events since the start.
    """

    error: str = ""
    seq: int = 0
    delivered: int = 0


@dataclass(slots=True)
class Health:
    """The whole daemon."""

    clock: Clock
    clusters: dict[str, ClusterHealth] = field(default_factory=dict)
    sinks: dict[str, SinkHealth] = field(default_factory=dict)
    full: dict[str, str] = field(default_factory=dict)
    """What waits for room on a disk (`store`, `spool`, `sink NAME`), and what it said; see `Disks`."""
    archive: str = ""
    """Why the archive could not be written; empty once it could."""
    reload_refused: str = ""
    """Why the last reload was refused; empty once one was taken."""
    _deadlines: dict[str, float] = field(default_factory=dict)

    def tick(self, loop: str, *, within_seconds: float) -> None:
        """Say that a loop is alive and will say so again within some seconds."""
        self._deadlines[loop] = self.clock.monotonic() + within_seconds

    def stalled(self) -> list[str]:
        """Return the loops that have not kept their word; the watchdog is not fed while there are any."""
        now = self.clock.monotonic()
        return [loop for loop, deadline in self._deadlines.items() if deadline < now]

    def not_ready(self) -> list[str]:
        """Return why the daemon is not ready.

        A line for each full disk, and for each cluster that never answered or is not believed.
        """
        return [f"{part}: {reason}" for part, reason in self.full.items()] + [
            f"{name}: {entry.suspicion or entry.error or 'the first query is still running'}"
            for name, entry in self.clusters.items()
            if not entry.answered or entry.suspicion
        ]

    def started(self) -> bool:
        """Return whether each cluster's first reading has come to an end, good or bad."""
        return all(entry.attempted for entry in self.clusters.values())

    def line(self) -> str:
        """Return the state in one line, for `systemctl status`."""
        parts = []
        if self.reload_refused:
            parts.append(f"reload refused, the old configuration is in use: {self.reload_refused}"[:200])
        parts += [f"{part}: {reason}"[:200] for part, reason in self.full.items()]
        for name, entry in self.clusters.items():
            if entry.error:
                probing = ", only probing" if entry.probing else ""
                parts.append(f"{name}: {entry.failures} failed{probing}: {entry.error}"[:300])
            elif entry.suspicion:
                parts.append(f"{name}: {entry.suspicion}")
            elif entry.answered:
                parts.append(f"{name}: {entry.new} ended, all before {rfc3339(entry.watermark)} read")
            else:
                parts.append(f"{name}: first query")
        parts += [f"sink {name}: {entry.error}"[:200] for name, entry in self.sinks.items() if entry.error]
        if self.archive and "archive" not in self.full:
            parts.append(f"archive: {self.archive}"[:200])
        return "; ".join(parts)
