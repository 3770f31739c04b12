"""What stays wrong with a simulated site until it is lifted, and shows in every answer meanwhile.

A fault (see `faults`) hits so many calls; a trouble is a setting, which a command reads again at each call: it
works from the next call on, also for a daemon that runs. Here are MariaDB's limit of a statement's time, a
complaint about slurm.conf and rights that were lost.
"""

from __future__ import annotations

from .settings import Settings

CONTROL_MACHINE = "COMMAND: error: Ignoring ControlMachine since SlurmctldHost is set."
"""What every command says of a slurm.conf that has both, and then does its work."""

WATCHER_UID = 990
"""Who calls while `lose_rights` is in force."""

_WATCHER = "slurmwatchd"


class Troubles(Settings):
    """The lasting troubles of a site, each set by one method and lifted by another call of it."""

    def set_statement_limit(
        self,
        *,
        windows: int | None = None,
        jobs: int | None = None,
        open_jobs: int | None = None,
        steps: int | None = None,
        ended: tuple[int, int] | None = None,
    ) -> None:
        """Let MariaDB end long statements (`max_statement_time`): sacct's header, no rows, exit status 0, no word.

        Without arguments the limit is lifted.

        Args:
            windows: How many rows a window's answer (`-s`) may have and still come; 0 empties every one.
            jobs: How many ids `-j` may name and still be answered; None answers all of them in full.
            steps: How many steps a job may have and still be shown: one that has more empties the whole answer.
            open_jobs: How many rows the list without `-s` and `-j` may have and still come; None is no limit.
            ended: Only windows that reach into these seconds, both included; None is every window.
        """
        with self.batch():
            self._set("cut_windows_over", "" if windows is None else windows)
            self._set("cut_lists_over", "" if jobs is None else jobs)
            self._set("cut_open_over", "" if open_jobs is None else open_jobs)
            self._set("cut_steps_over", "" if steps is None else steps)
            self._set("cut_ended_between", "" if ended is None else f"{ended[0]}-{ended[1]}")

    def set_complaints(self, *lines: str) -> None:
        """Let every command, also with -V, print lines on stderr first and go on; without arguments, none does.

        Args:
            *lines: Whole lines, in which COMMAND stands for the command's name: `CONTROL_MACHINE` is one that
                Slurm prints, `starting sacct for you` one that a site's wrapper may.
        """
        self._set("complaints", "\n".join(lines))

    def lose_names(self, *, tres: bool = False, qos: bool = False) -> None:
        """Let slurmdbd fail to read its lists of names: the answer is whole, exit status 0, and nothing says so.

        Args:
            tres: Every column of TRES is blank.
            qos: Every QOS is `Unknown`.
        """
        self._set("tres_gone", "1" if tres else "")
        self._set("qos_gone", "1" if qos else "")

    def lose_rights(self, *, uid: int = WATCHER_UID, name: str = _WATCHER) -> None:
        """Let the commands be called by a user who may see own jobs only, and nothing says so.

        Args:
            uid: Whose jobs are still seen; where there are none, answers are a header and nothing else.
            name: What the user is called.
        """
        self._take_rights(uid, name, "None")

    def regain_rights(self, *, uid: int = WATCHER_UID, name: str = _WATCHER) -> None:
        """Make the user whom `lose_rights` named an Operator again, who sees every job."""
        self._take_rights(uid, name, "Operator")

    def _take_rights(self, uid: int, name: str, admin_level: str) -> None:
        with self.batch():
            self.set_private_data("jobs")
            self.set_caller(uid)
            self.add_user(name, uid, admin_level=admin_level)
