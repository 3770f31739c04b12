"""What a test or a demo sets about a simulated cluster besides its jobs: version, rights, faults, calls."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from .faults import KINDS
from .storage import Storage
from .versions import release_of

_COMMANDS = ("sacct", "scontrol", "sacctmgr", "sdiag")
BUSY_CLUSTER_ID = 2500
"""A cluster id from 2048 on makes DBIndex 2^63 and more, which half of all clusters have."""

DEFAULTS = {
    "package": "slurm",
    "private_data": "",
    "purge_job_after": "",
    "max_query_time_range": "",
    "max_result_rows": "",
    "commit_delay": "",
    "dbd_agent_queue": "0",
    "agent_holds": "0",
    "agent_gap": "0",
    "slurmdbd_down": "0",
    "slurmdbd_host": "localhost",
    "slurmdbd_port": "6819",
    "caller_uid": "",
    "cut_windows_over": "",
    "cut_lists_over": "",
    "cut_open_over": "",
    "cut_steps_over": "",
    "cut_ended_between": "",
    "tres_gone": "",
    "qos_gone": "",
    "complaints": "",
    "now": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One run of a stand-in command.

    Attributes:
        command: `sacct`, `scontrol`, `sacctmgr` or `sdiag`.
        argv: Its arguments, without its name.
        pid: Its process.
        started: When, epoch seconds.
        ended: When; None where it was killed or still runs.
        exit_status: None where it was killed or still runs.
        fault: The kind of fault that hit it.
    """

    command: str
    argv: tuple[str, ...]
    pid: int
    started: float
    ended: float | None
    exit_status: int | None
    fault: str | None


class Settings(Storage):
    """A cluster's settings, the faults that wait for its commands and the calls made to them."""

    def set_now(self, epoch: float | None) -> None:
        """Stop the cluster's clock at a second, or let it run again with None."""
        self._set("now", "" if epoch is None else epoch)

    def set_version(self, version: str) -> None:
        """Upgrade or downgrade: the next command plays this version."""
        release_of(version)
        self._set("version", version)

    def set_package(self, name: str) -> None:
        """Say what `-V` calls Slurm: `slurm`, or `slurm-wlm` as Debian does."""
        self._set("package", name)

    def set_private_data(self, *names: str) -> None:
        """Set PrivateData: `jobs` hides other people's jobs from ordinary users."""
        self._set("private_data", ",".join(names))

    def set_purge_job_after(self, text: str) -> None:
        """Set PurgeJobAfter, such as "12 months", "30 days" or "36 hours"; "" is NONE."""
        self._set("purge_job_after", text)

    def set_max_query_time_range(self, seconds: int | None) -> None:
        """Set MaxQueryTimeRange: ordinary users may not ask for a wider window."""
        self._set("max_query_time_range", "" if seconds is None else seconds)

    def set_max_result_rows(self, rows: int | None) -> None:
        """Set how many jobs an answer may hold before slurmdbd finds it too large; None is no limit."""
        self._set("max_result_rows", "" if rows is None else rows)

    def set_dbd_agent_queue(self, length: int) -> None:
        """Set how many records slurmctld still owes slurmdbd, besides those `stop_slurmdbd` holds back."""
        self._set("dbd_agent_queue", length)

    def set_slurmdbd_down(self, *, down: bool = True) -> None:
        """Stop slurmdbd, or start it again."""
        self._set("slurmdbd_down", int(down))

    def set_slurmdbd_address(self, host: str, port: int) -> None:
        """Say where slurmdbd is, for what is complained about when it is down."""
        self._set("slurmdbd_host", host)
        self._set("slurmdbd_port", port)

    def set_caller(self, uid: int | None) -> None:
        """Let the commands be called by this user, whoever starts them; None is the real one."""
        self._set("caller_uid", "" if uid is None else uid)

    def add_user(self, name: str, uid: int, *, admin_level: str = "None") -> None:
        """Add or change a user: `admin_level` is None, Operator or Administrator."""
        self._execute("INSERT OR REPLACE INTO users VALUES (?, ?, ?)", (name, uid, admin_level))

    def delete_qos(self, name: str) -> None:
        """Delete a QOS: what ran with it shows `Unknown`."""
        self._execute("DELETE FROM qos WHERE name = ?", (name.encode(),))

    def add_cluster(self, name: str, *, cluster_id: int = BUSY_CLUSTER_ID, first_job_id: int = 1) -> None:
        """Add a cluster; from 24.11 on its id is the upper part of every DBIndex."""
        self._execute(
            "INSERT INTO clusters SELECT ?, count(*), ?, ?, 1 FROM clusters", (name, cluster_id, first_job_id)
        )

    def set_next_job_id(self, job_id: int, *, cluster: str | None = None) -> None:
        """Choose the id of the next job: Slurm begins again after MaxJobId."""
        name = cluster or self.config("cluster")
        self._counters.pop((name, "next_job_id"), None)
        self._execute("UPDATE clusters SET next_job_id = ? WHERE name = ?", (job_id, name))

    def add_fault(
        self,
        command: str,
        kind: str,
        *,
        count: int | None = 1,
        until: float | None = None,
        match: str | None = None,
        **args: str | float,
    ) -> None:
        """Let calls of a command go wrong.

        Args:
            command: `sacct`, `scontrol`, `sacctmgr` or `sdiag`.
            kind: One of `faults.KINDS`.
            count: How many calls; None is every one.
            until: Only before this second.
            match: Only calls that have this text among their arguments.
            **args: What the kind takes, see `faults.KINDS`.

        Raises:
            ValueError: There is no such command or kind.
        """
        if command not in _COMMANDS or kind not in KINDS:
            raise ValueError(f"no such fault: {command} {kind}")
        self._execute(
            "INSERT INTO faults (command, kind, remaining, until, match, args) VALUES (?, ?, ?, ?, ?, ?)",
            (command, kind, count, until, match, json.dumps(args)),
        )

    def change(self, name: str, value: str) -> None:
        """Change a setting by its name, one of `DEFAULTS` or `version`, to a text as it is kept.

        Raises:
            ValueError: There is no such setting, or no such version.
        """
        if name == "version":
            self.set_version(value)
        elif name in DEFAULTS:
            self._set(name, value)
        else:
            raise ValueError(f"no such setting: {name}; there are: version, {', '.join(DEFAULTS)}")

    def clear_faults(self) -> None:
        """Let everything go right again."""
        self._execute("DELETE FROM faults")

    def calls(self, command: str | None = None) -> list[Call]:
        """List the calls made so far, oldest first."""
        rows = self._execute(
            "SELECT command, argv, pid, started, ended, exit_status, fault FROM calls"
            " WHERE ? IS NULL OR command = ? ORDER BY id",
            (command, command),
        )
        return [
            Call(
                command=name.decode(),
                argv=tuple(os.fsdecode(part) for part in argv.split(b"\0")) if argv else (),
                pid=pid,
                started=started,
                ended=ended,
                exit_status=status,
                fault=fault and fault.decode(),
            )
            for name, argv, pid, started, ended, status, fault in rows
        ]

    def clear_calls(self) -> None:
        """Forget the calls made so far."""
        self._execute("DELETE FROM calls")
