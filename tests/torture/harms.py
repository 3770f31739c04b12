"""What is done to the daemon and to Slurm, drawn by weight; each harm ends by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.torture.arena import ANSWER_SECONDS, LAST_REREAD
from tests.torture.failures import (
    COMPLAINTS,
    NARROW_FAILURES,
    SCONTROL_FAILURES,
    SDIAG_FAILURES,
    SILENT_LIES,
    STATEMENT_LIMITS,
    STRANGERS,
    VISIBLE_FAILURES,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.torture.arena import Arena
    from tests.torture.failures import Wish

WINDOW = "--local"
"""Stands in the arguments of the calls that ask for a window."""

LIE_SECONDS = 1.5
CAUGHT_UP_SECONDS = 3.0
"""What sacct has shown for so long should be in the file where nothing fails."""

VERSIONS = ("21.08.8", "22.05.8", "23.02.7", "23.11.3", "24.05.4", "24.11.5")

KNOWN_ENOUGH = 200
"""The daemon runs as root, whose name says that it sees everything: only what it knows shows that it does not."""


class Harms:
    """Draws harms and does them."""

    def __init__(self, arena: Arena, *, long: bool, season: Wish | None = None, favours: str = "") -> None:
        """Prepare.

        Args:
            arena: Where.
            long: Whether there is time for what takes a minute.
            season: The failure that comes in seasons, and often; None draws one.
            favours: The name of a harm that comes often.
        """
        self._arena = arena
        self._dice = arena.dice
        self._cluster = arena.daemon.cluster
        kinds: dict[Callable[[], str], int] = {
            self._visible_failure: 8, self._hang: 2, self._slow: 3, self._trickle: 2,
            self._season: 8 if season else 2,
            self._scontrol: 4, self._sdiag: 2, self._sacctmgr: 1, self._upgrade: 2,
            self._outage: 4, self._long_outage: 2,
            self._silent_cut: 3, self._complaint: 3, self._lost_rights: 2,
            self._kill: 4, self._kill_as_file_grows: 4, self._terminate: 2, self._freeze: 2, self._reload: 2,
            self._kill_children: 5, self._second_daemon: 1, self._rotate: 3, self._rotate_and_reload: 2,
        }  # fmt: skip
        if arena.disks:
            kinds[self._full_disk] = 4
        if long:
            kinds[self._hanging_scontrol] = 1
        kinds |= {kind: 30 for kind in kinds if _name(kind) == favours}
        self._kinds, self._weights = list(kinds), list(kinds.values())
        self._seasons = (season,) if season else NARROW_FAILURES
        self._failing = False

    def one(self) -> None:
        """Do one that is drawn."""
        self._do(self._dice.choices(self._kinds, self._weights)[0])

    def lie(self) -> None:
        """Have sacct tell a silent lie: the one harm of a lull, as it takes a file that is up to date."""
        self._do(self._silent_lie)

    def _do(self, kind: Callable[[], str]) -> None:
        what = kind()
        name = _name(kind)
        self._arena.note(f"harm: {name}: {what or 'not now'}")
        if what:
            self._arena.done[name] += 1

    def calm(self) -> None:
        """End all harms."""
        self._cluster.clear_faults()
        self._cluster.set_statement_limit()
        self._cluster.set_complaints()
        self._show_everything()
        if self._cluster.config("slurmdbd_down") == "1":
            self._cluster.start_slurmdbd()
        for disk in self._arena.disks:
            disk.free()
        self._arena.signal(signal.SIGCONT)

    def _fault(self, kind: str, wish: dict[str, Any], *, count: int | None = 1, seconds: float = 10) -> str:
        until = time.time() + seconds
        self._cluster.add_fault("sacct", kind, count=count, until=until, match=WINDOW, **wish)
        return f"{kind} {wish} count {count}"

    def _visible_failure(self) -> str:
        kind, wish = self._dice.choice(VISIBLE_FAILURES)
        return self._fault(kind, wish, count=self._dice.choice((1, 1, 2, 4)))

    def _season(self) -> str:
        # Every call fails for longer than the schedule of re-reads, the last of which may wait half its age: only
        # who notices reads all that again.
        if self._failing:
            return ""
        self._failing = True
        kind, wish = self._dice.choice(self._seasons)
        seconds = self._dice.uniform(1.6, 2.1) * LAST_REREAD
        self._arena.later(seconds, self._end_season)
        return f"{seconds:.1f} s of {self._fault(kind, wish, count=None, seconds=seconds)}"

    def _end_season(self) -> None:
        self._failing = False

    def _hang(self) -> str:
        return self._fault("hang", self._dice.choice(({}, {"records": 1}, {"bytes": 10})))

    def _slow(self) -> str:
        return self._fault("slow", {"seconds": self._dice.uniform(0.2, 2.5)}, count=self._dice.randint(1, 3))

    def _trickle(self) -> str:
        return self._fault("trickle", {"bytes": 4000, "seconds": 0.01}, count=3)

    def _silent_lie(self) -> str:
        """Have one answer lack rows and say nothing: where another reading will come, and only there.

        Nothing tells such an answer from a true one. What makes up for it is that everything is read more than
        once; so it is told only while the file holds all that sacct has shown for a moment: what it hides has
        another reading before it.
        """
        if self._arena.is_out or self._failing or self._arena.judge(visible_at=time.time() - CAUGHT_UP_SECONDS):
            return ""
        kind, wish = self._dice.choice(SILENT_LIES)
        return self._fault(kind, wish, seconds=LIE_SECONDS)

    def _scontrol(self) -> str:
        kind, wish = self._dice.choice(SCONTROL_FAILURES)
        self._cluster.add_fault("scontrol", kind, count=self._dice.randint(1, 4), **wish)
        return f"{kind} {wish}"

    def _hanging_scontrol(self) -> str:
        self._cluster.add_fault("scontrol", "hang", until=time.time() + 5)
        return "hang"

    def _sdiag(self) -> str:
        kind, wish = self._dice.choice(SDIAG_FAILURES)
        self._cluster.add_fault("sdiag", kind, until=time.time() + 10, **wish)
        return f"{kind} {wish}"

    def _sacctmgr(self) -> str:
        kind = self._dice.choice(("exit", "garbage", "stderr_exit0"))
        self._cluster.add_fault("sacctmgr", kind)
        return kind

    def _upgrade(self) -> str:
        version = self._dice.choice(VERSIONS)
        self._cluster.set_version(version)
        return version

    def _outage(self) -> str:
        return self._stop_slurmdbd(self._dice.uniform(0.5, 8), after=self._dice.uniform(0, 3))

    def _long_outage(self) -> str:
        # Longer than the schedule of re-reads: what ended in it is found because the outage was noticed.
        return self._stop_slurmdbd(self._dice.uniform(1.6, 2.1) * LAST_REREAD, after=self._dice.uniform(1, 6))

    def _stop_slurmdbd(self, seconds: float, *, after: float) -> str:
        if self._arena.is_out:
            return ""
        self._cluster.stop_slurmdbd()
        gap = self._dice.uniform(0, 0.01)

        def start() -> None:
            self._cluster.start_slurmdbd(after=after, gap=gap)
            self._arena.note(f"slurmdbd is back; {self._cluster.undelivered()} messages wait")

        self._arena.later(seconds, start)
        return f"{seconds:.1f} s, messages {after:.1f} s later, {gap:.3f} s apart"

    def _silent_cut(self) -> str:
        """Have MariaDB end statements: windows come back empty, at times also lists of ids and of open jobs."""
        if self._failing:
            return ""
        self._failing = True
        wish = self._dice.choice(STATEMENT_LIMITS)
        seconds = self._dice.choice((self._dice.uniform(1, 8), self._dice.uniform(1.2, 2) * LAST_REREAD))
        self._cluster.set_statement_limit(**wish)

        def lift() -> None:
            self._cluster.set_statement_limit()
            self._end_season()

        self._arena.later(seconds, lift)
        return f"{wish} for {seconds:.1f} s"

    def _complaint(self) -> str:
        """Have every command complain for a while, or of something else than before."""
        lines = self._dice.choice(COMPLAINTS)
        seconds = self._dice.uniform(0.5, 20)
        self._cluster.set_complaints(*lines)
        self._arena.later(seconds, self._cluster.set_complaints)
        return f"{lines} for {seconds:.1f} s"

    def _lost_rights(self) -> str:
        """Let the daemon see nobody's jobs, or one user's only, for a while."""
        if self._failing or self._arena.known() < KNOWN_ENOUGH:
            return ""
        self._failing = True
        name, uid = self._dice.choice(STRANGERS)
        seconds = self._dice.choice((self._dice.uniform(1, 8), self._dice.uniform(1.2, 2) * LAST_REREAD))
        self._cluster.lose_rights(uid=uid, name=name)

        def give_back() -> None:
            self._show_everything()
            self._end_season()

        self._arena.later(seconds, give_back)
        return f"as {name} for {seconds:.1f} s"

    def _show_everything(self) -> None:
        self._cluster.set_private_data()
        self._cluster.set_caller(None)

    def _kill(self) -> str:
        seconds = self._dice.choice((0, 0, self._dice.uniform(0, 4)))
        self._arena.kill(down_seconds=seconds)
        return f"down for {seconds:.1f} s"

    def _kill_as_file_grows(self) -> str:
        """Kill between writing lines and moving the cursor, or near it."""
        file = self._arena.daemon.file
        before = file.stat().st_size if file.exists() else 0
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            with suppress(FileNotFoundError):
                if file.stat().st_size > before:
                    break
            time.sleep(0.0002)
        self._arena.kill(down_seconds=0)
        return "as the file grew"

    def _terminate(self) -> str:
        self._arena.terminate()
        return "and start"

    def _freeze(self) -> str:
        seconds = self._dice.uniform(0.2, 3)
        self._arena.signal(signal.SIGSTOP)
        self._arena.later(seconds, lambda: self._arena.signal(signal.SIGCONT))
        return f"{seconds:.1f} s"

    def _reload(self) -> str:
        return "SIGHUP" if self._send_hangup() else ""

    def _kill_children(self) -> str:
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            if children := self._arena.children():
                for pid in children:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                return f"pids {children}"
            time.sleep(0.005)
        return ""

    def _second_daemon(self) -> str:
        if self._arena.daemon.get("/-/healthy")[0] != 200:
            return ""
        try:
            done = self._arena.daemon.run("run", "--listen", "", timeout=ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            # It was killed. A machine too busy to start it in time says nothing about it.
            return f"no answer in {ANSWER_SECONDS:.0f} s"
        if done.returncode != 1 or "is in use by another slurmwatchd" not in done.stderr:
            self._arena.ends.append(f"a second daemon was not refused: {done.returncode} {done.stderr[-300:]}")
        return f"exit {done.returncode}"

    def _rotate(self) -> str:
        file = self._arena.daemon.file
        if not file.exists() or not file.stat().st_size:
            return ""
        number = 1
        while file.with_name(f"{file.name}.{number}").exists():
            number += 1
        for shifted in range(number, 1, -1):
            file.with_name(f"{file.name}.{shifted - 1}").rename(file.with_name(f"{file.name}.{shifted}"))
        file.rename(file.with_name(f"{file.name}.1"))
        return f"{number} rotated files"

    def _rotate_and_reload(self) -> str:
        rotated = self._rotate()
        self._send_hangup()
        return rotated

    def _send_hangup(self) -> bool:
        # While Python still imports, nobody can have said what SIGHUP means; systemd does not send it then.
        if self._arena.daemon.get("/-/healthy")[0] != 200:
            return False
        self._arena.signal(signal.SIGHUP)
        return True

    def _full_disk(self) -> str:
        disk = self._dice.choice(self._arena.disks)
        if disk.is_full:
            return ""
        seconds, leave = self._dice.uniform(0.5, 5), self._dice.choice((0, 4096, 20_000, 300_000))
        disk.fill(leave)
        self._arena.later(seconds, disk.free)
        return f"{disk.folder.name}: {leave} bytes left for {seconds:.1f} s"


def _name(kind: Callable[[], str]) -> str:
    return kind.__name__.strip("_").replace("_", " ")
