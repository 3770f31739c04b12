"""What the processes have in common that put one question to an archive each."""

import time
from importlib.abc import MetaPathFinder
from pathlib import Path


class Plain(MetaPathFinder):
    """Has neither numpy nor pandas installed, which no question needs: pyarrow imports them where they are."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Find nothing of them."""
        if fullname in {"numpy", "pandas"}:
            raise ModuleNotFoundError(fullname)


def print_costs() -> None:
    """Print the process's CPU time in seconds, imports included, and its peak memory in megabytes."""
    # What the system counts as the peak of a child can be its parent's.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    print(time.process_time(), peak / 1024)  # noqa: T201 - for who started it
