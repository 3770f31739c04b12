"""One task of one program, in an environment that has it: prints the CPU seconds that it took.

    python peers.py TASK FILE [PATH]

`bench_peers` starts it in the peers' environment, where nothing of this repository is, and in this tree's.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sized


def slurm2sql(bin_dir: str, since: str) -> float:
    """Read a window into SQLite, as its command does; what sacct takes is its child's."""
    import os  # noqa: PLC0415
    import sqlite3  # noqa: PLC0415

    import slurm2sql as program  # type: ignore[import-not-found]  # noqa: PLC0415

    os.environ["PATH"] = f"{bin_dir}:{os.environ['PATH']}"
    began = time.process_time()
    database = sqlite3.connect(":memory:")
    errors = program.slurm2sql(database, ["-a", "-D", "-S", since], update=True)
    took = time.process_time() - began
    (count,) = database.execute("SELECT count(*) FROM slurm").fetchone()
    if errors or not count:
        raise SystemExit(f"{errors} errors, {count} rows")
    return took


def pytokio(path: str) -> float:
    """Read sacct's text into its object."""
    import warnings  # noqa: PLC0415

    from tokio.connectors.slurm import Slurm  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415

    warnings.simplefilter("ignore")
    return _read(path, lambda text: Slurm(from_string=text))


def connector(path: str) -> float:
    """Read the same with this tree's connector."""
    from slurmwatchd.connector import Slurm  # noqa: PLC0415

    return _read(path, lambda text: Slurm(from_string=text))


def clustershell(path: str) -> float:
    """Expand node lists with ClusterShell."""
    from ClusterShell.NodeSet import NodeSet  # noqa: PLC0415

    return _expand(path, lambda texts: [list(NodeSet(text)) for text in texts])


def hostlist(path: str) -> float:
    """Expand node lists with python-hostlist."""
    from hostlist import expand_hostlist  # type: ignore[import-not-found]  # noqa: PLC0415

    return _expand(path, lambda texts: [expand_hostlist(text) for text in texts])


def nodelists(path: str) -> float:
    """Expand node lists as this tree does where there is no scontrol."""
    from slurmwatchd.sources.nodelists import with_clustershell  # noqa: PLC0415

    return _expand(
        path,
        lambda texts: [
            list(nodes) for nodes in with_clustershell(texts).values() if not isinstance(nodes, Exception)
        ],
    )


def _read(path: str, read: Callable[[str], Sized]) -> float:
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    began = time.process_time()
    found = read(text)
    took = time.process_time() - began
    if not len(found):
        raise SystemExit("nothing was read")
    return took


def _expand(path: str, expand: Callable[[list[str]], list[Sized]]) -> float:
    texts = Path(path).read_text(encoding="utf-8").split()
    began = time.process_time()
    found = expand(texts)
    took = time.process_time() - began
    if len(found) != len(texts) or not all(map(len, found)):
        raise SystemExit("a list was not expanded")
    return took


TASKS = {task.__name__: task for task in (slurm2sql, pytokio, connector, clustershell, hostlist, nodelists)}

if __name__ == "__main__":
    sys.stdout.write(f"{TASKS[sys.argv[1]](*sys.argv[2:])}\n")
