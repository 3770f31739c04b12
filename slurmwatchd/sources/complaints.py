"""What Slurm's commands complain of whatever they are asked: lines about slurm.conf that say nothing of an answer.

A key that is ignored, a node whose numbers do not fit: every command prints such lines as `sacct: error: ...`,
does its work and exits 0. With `-V` a command asks no one, and it has read slurm.conf by then: it prints the very
same lines (measured on 22.05.8, 24.11.5 and 26.05.5). So a line that `-V` prints too is a warning, any other a
failure. A call that complains is judged by a `-V` of its own, made behind it: what is known is never kept, so an
edited slurm.conf stops nothing, and a line that was harmless once hides no error later. One that is mended between
a call and its `-V` costs that call, which is made again like any that failed.

What a wrapper in `slurm.bin_dir` writes is judged in the same way.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from slurmwatchd.sources.process import UNKEPT, Completed

VERSION = ("-V",)
"""The question that no one needs to be asked for."""

REMEDY = "fix slurm.conf; the daemon accepts the answers anyway"

OnComplaint = Callable[[str, Sequence[str]], None]
"""Called with a command and all it complains of, if that is new; with nothing once it complains no more."""


def to_nobody(command: str, complaints: Sequence[str]) -> None:
    """Do nothing: for what runs once and has no log."""


class Complaints:
    """What each command complained of last, as it was reported."""

    def __init__(self, tell: OnComplaint = to_nobody) -> None:
        """Begin with no complaints."""
        self._tell = tell
        self._of: dict[str, tuple[str, ...]] = {}

    @property
    def of(self) -> Mapping[str, Sequence[str]]:
        """By command what it complained of last; without commands that did not complain."""
        return self._of

    def note(self, command: str, complaints: Iterable[str]) -> None:
        """Take what a call complained of, harmless all of it; report once what no command complained of before."""
        before = {line for lines in self._of.values() for line in lines}
        now = tuple(dict.fromkeys(complaints))
        if now:
            self._of[command] = now
            if not before.issuperset(now):
                self._tell(command, now)
        elif command in self._of:
            # They all read the one slurm.conf, and some are seldom asked.
            self._of.clear()
            self._tell(command, now)


def said(line: str) -> str:
    """Return what a line complains of: without the command's name, or whatever else stands before that."""
    places = [place for word in ("error:", "fatal:") if (place := line.find(word)) >= 0]
    return line[min(places, default=0) :].strip()


def known_from(version: Completed) -> set[str]:
    """Return what a call of `-V` shows to be harmless: nothing where it failed, since then it was no complaint."""
    return {said(line) for line in version.complaints} - {UNKEPT} if version.returncode == 0 else set()


def without(lines: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """Return the lines that complain of something else than what is known."""
    return tuple(line for line in lines if said(line) not in known)
