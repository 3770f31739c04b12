"""Programs that take their time: one may go on as long as it works, however busy the machine is."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.patience import Patience

_SESSION, _TIMES = 3, slice(11, 15)
"""Behind the name in `/proc/PID/stat`: the session; the time of the process and of children that have ended."""


def ran(
    argv: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] | None = None, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program and return what it printed, whatever its exit status.

    Args:
        argv: The program.
        cwd: Its folder.
        env: Its environment.
        text: What it reads from standard input.

    Raises:
        subprocess.TimeoutExpired: It hangs: for too long neither it nor its children have used the processor.
    """
    process = subprocess.Popen(
        argv, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    patience = Patience(lambda: _ticks(process.pid))
    given: str | None = text
    while True:
        try:
            out, err = process.communicate(given, timeout=1)
        except subprocess.TimeoutExpired:
            given = None
            if patience.is_over():
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                raise
        else:
            return subprocess.CompletedProcess(argv, process.returncode, out, err)


def _ticks(session: int) -> int:
    """Return how much processor time the processes of a session have used so far."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[_SESSION]) == session:
            total += sum(map(int, fields[_TIMES]))
    return total
