"""One run of a stand-in command: its database, its log entry, its output, the fault that hits it.

Every command is a function `body(session, arguments) -> exit status` that is given to `run`.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time

from .schema import connect
from .versions import is_before, release_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    Body = Callable[["Session", list[str]], int]

DB_CONNECTION, RESULT_TOO_LARGE, QUERY_TOO_WIDE = 7000, 7006, 7007
"""slurmdbd's error numbers that an operator meets; modulo 256 they are 88, 94 and 95."""

ERRORS = {
    DB_CONNECTION: "slurmdbd: Unable to connect to database",
    # Without slurmdbd's name, which stands only before what slurmdbd says in words (22.05.8).
    RESULT_TOO_LARGE: "Query result exceeds size limit",
    QUERY_TOO_WIDE: "slurmdbd: Too wide of a date range in query",
}
"""What sacct says of them."""

_OF_SLURMDBD = "exit stderr_exit0 errno header_only blank_tres"
"""Kinds of fault that -V does not meet: it asks no one."""

_CHUNK = 1 << 16
_NOBODY = 65534
_SIGPIPE_STATUS = 141  # what a shell reports for a program that SIGPIPE killed


class Stop(Exception):  # noqa: N818 - it is the way out, not always an error
    """Ends the command with an exit status."""

    def __init__(self, status: int) -> None:
        """Keep the status."""
        super().__init__(status)
        self.status = status


class Session:
    """What a stand-in command knows and where it writes.

    Attributes:
        command: Its name, such as `sacct`.
        program: The path it was started as.
        db: The simulated accounting database.
        config: The settings of the cluster.
        version: The Slurm version it plays.
        release: The same as a pair.
        now: The simulated time, seconds.
        rows_suppressed: A fault wants the header and nothing else.
        lists_unavailable: A fault takes the names of TRES and QOS away.
        caller_uid: The user who asks.
        environ: The environment it was started in.
    """

    def __init__(
        self,
        command: str,
        program: str,
        database: str,
        version: str | None,
        *,
        environ: Mapping[str, str] = os.environ,
        emit: Callable[[int, bytes | memoryview], int] = os.write,
    ) -> None:
        """Open the database and read the settings.

        Args:
            command: Its name, such as `sacct`.
            program: The path it was started as.
            database: The path of the simulated accounting database.
            version: The Slurm version it plays, whatever the database says.
            environ: The environment it was started in.
            emit: Writes to a file descriptor, 1 or 2; for whoever runs it without a process of its own.
        """
        self.command = command
        self.program = program
        self.environ = environ
        self._emit = emit
        self.db = connect(database)
        rows: list[tuple[bytes, bytes]] = self.db.execute("SELECT name, value FROM config").fetchall()
        self.config = {name.decode(): value.decode() for name, value in rows}
        self.version = version or self.config["version"]
        self.release = release_of(self.version)
        self.clock = float(self.config["now"]) if self.config.get("now") else time.time()
        self.now = int(self.clock)
        caller = self.config.get("caller_uid", "")
        self.caller_uid = int(caller) if caller else os.getuid()
        self.token_refused = False
        if "SLURM_JWT" in environ:
            self.caller_uid = self._token_uid(environ["SLURM_JWT"])
        self.rows_suppressed = False
        self.lists_unavailable = False
        self.record_ends: list[int] = []
        self.written = 0
        self._held: bytearray | None = None
        self._pending: list[bytes] = []
        self._pending_size = 0

    def _token_uid(self, token: str) -> int:
        """Give the user a token names (`sun`), whose rights count; no one where there is no such user.

        Slurm refuses a token that expired, and what is none, an empty one too: then no one answers.
        """
        import base64  # noqa: PLC0415 - only a token pays for it
        import json  # noqa: PLC0415

        try:
            claims = token.split(".")[1]
            told = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        except (IndexError, ValueError):
            self.token_refused = True
            return _NOBODY
        name = told.get("sun")
        self.token_refused = float(told.get("exp", self.clock)) < self.clock
        row = self.db.execute("SELECT uid FROM users WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else _NOBODY

    def write(self, data: bytes) -> None:
        """Write to stdout; a fault may hold the data back to spoil it."""
        self.written += len(data)
        if self._held is not None:
            self._held += data
            return
        self._pending.append(data)
        self._pending_size += len(data)
        if self._pending_size >= _CHUNK:
            self.flush()

    def write_record(self, data: bytes) -> None:
        """Write one record, and remember where it ends."""
        if self.rows_suppressed:
            return
        self.write(data)
        if self._held is not None:
            self.record_ends.append(self.written)

    def flush(self) -> None:
        """Hand everything written so far to the reader."""
        data = memoryview(b"".join(self._pending))
        self._pending.clear()
        self._pending_size = 0
        while data:
            data = data[self._emit(1, data) :]

    def drop_pending(self) -> None:
        """Forget what no one is there to read."""
        self._pending.clear()
        self._pending_size = 0

    def hold(self) -> None:
        """Keep what is written from here on instead of sending it."""
        self._held = bytearray()

    def release_held(self) -> bytes:
        """Give back what was kept."""
        held, self._held = bytes(self._held or b""), None
        return held

    def complain(self, text: str) -> None:
        """Say something on stderr: the whole line."""
        self.flush()
        self._emit(2, os.fsencode(text) + b"\n")

    def complain_of_site(self) -> None:
        """Say on stderr what every command says, whatever it is asked: reading slurm.conf comes first."""
        for line in self.config.get("complaints", "").splitlines():
            self.complain(line.replace("COMMAND", self.command))

    def error(self, text: str) -> None:
        """Say something as Slurm does, and go on."""
        self.complain(f"{self.command}: error: {text}")

    def fatal(self, text: str) -> NoReturn:
        """Say something as Slurm does, and end with exit status 1."""
        self.complain(f"{self.command}: fatal: {text}")
        raise Stop(1)

    def need_slurmdbd(self) -> None:
        """End with slurmdbd's three lines of complaint where it is down, or does not take the token."""
        if self.token_refused:
            # Measured on 22.05.8, 24.11.5 and 26.05.5: the word "expired" is in none of them.
            is_old = is_before(self.version, "23.11.4")
            reason = "Unspecified error" if is_old else "Protocol authentication error"
            self.error(f"Sending PersistInit msg: {reason}")
            self.error(f"Problem talking to the database: {reason}")
            raise Stop(239 if is_old else 1)
        if self.config.get("slurmdbd_down") != "1":
            return
        opener = "slurm_persist_conn_open_without_init" if self.release < (23, 11) else "_open_persist_connection"
        address = f"host:{self.config['slurmdbd_host']}:{self.config['slurmdbd_port']}"
        self.error(f"{opener}: failed to open persistent connection to {address}: Connection refused")
        self.error("Sending PersistInit msg: Connection refused")
        self.error("Problem talking to the database: Connection refused")
        raise Stop(1)

    def fail_with_errno(self, number: int) -> NoReturn:
        """Say what slurmdbd's error is, and end as `exit_with_errno` does."""
        # MariaDB's own numbers have no name in Slurm: "Unknown error 1969" (22.05.8).
        self.error(ERRORS.get(number, f"Unknown error {number}"))
        self.exit_with_errno(number)

    def exit_with_errno(self, number: int) -> NoReturn:
        """End as sacct does after an error: with errno until 23.11.3, with 1 since 23.11.4."""
        raise Stop(number & 255 if is_before(self.version, "23.11.4") else 1)

    def version_line(self) -> bytes:
        """Print what -V prints; Debian's packages call themselves slurm-wlm."""
        return f"{self.config['package']} {self.version}\n".encode()


def run(command: str, database: str, version: str | None, body: Body) -> NoReturn:
    """Run a stand-in command to its end, with the fault that is due, and leave the process."""
    program, arguments = sys.argv[1], sys.argv[2:]
    status = answer(Session(command, program, database, version), arguments, body)
    # Python's own tidying up costs more than some of these commands do.
    os._exit(status)


def answer(session: Session, arguments: list[str], body: Body) -> int:
    """Answer one call, with the fault that is due, and give its exit status."""
    call, fault = _enter(session, arguments)
    session.complain_of_site()
    if fault is None:
        status = perform(session, arguments, body)
    else:
        from .faults import suffer  # noqa: PLC0415 - most calls do not pay for it

        status = suffer(session, arguments, body, fault)
    return _leave(session, call, status)


def perform(session: Session, arguments: list[str], body: Body) -> int:
    """Run the body and give its exit status."""
    try:
        return body(session, arguments)
    except Stop as stop:
        return stop.status
    except BrokenPipeError:
        session.drop_pending()
        return _SIGPIPE_STATUS


def _enter(session: Session, arguments: list[str]) -> tuple[int, tuple[str, str] | None]:
    """Log the call and take the fault that is due, in one transaction."""
    argv = b"\0".join(os.fsencode(argument) for argument in arguments)
    # A delimiter is drawn at random, so it may hold what a fault is looked for by.
    told = b"\0".join(os.fsencode(argument) for argument in arguments if not argument.startswith("--delimiter"))
    db = session.db
    db.execute("BEGIN IMMEDIATE")
    try:
        row = db.execute(
            "SELECT id, kind, args FROM faults WHERE command = ? AND (remaining IS NULL OR remaining > 0)"
            " AND (until IS NULL OR until > ?) AND (match IS NULL OR instr(?, CAST(match AS BLOB)))"
            " AND NOT (? = CAST('-V' AS BLOB) AND instr(?, kind)) ORDER BY id LIMIT 1",
            (session.command, session.clock, told, argv, _OF_SLURMDBD),
        ).fetchone()
        fault = (row[1].decode(), row[2].decode()) if row else None
        if row:
            db.execute("UPDATE faults SET remaining = remaining - 1 WHERE id = ?", (row[0],))
        call = db.execute(
            "INSERT INTO calls (command, argv, pid, started, fault) VALUES (?, ?, ?, ?, ?)",
            (session.command, argv, os.getpid(), session.clock, fault and fault[0]),
        ).lastrowid
        db.execute("COMMIT")
    except sqlite3.Error:
        db.execute("ROLLBACK")
        raise
    assert call is not None  # noqa: S101 - an INSERT has a row id
    return call, fault


def _leave(session: Session, call: int, status: int) -> int:
    try:
        session.flush()
    except BrokenPipeError:
        status = _SIGPIPE_STATUS
    ended = time.time() if not session.config.get("now") else session.clock
    session.db.execute("UPDATE calls SET ended = ?, exit_status = ? WHERE id = ?", (ended, status, call))
    session.db.close()
    return status
