"""The connector: what Slurm knows of jobs, for scripts and notebooks.

`Slurm` and `jobs_running_between` are dictionaries of jobs, from sacct, from texts and cache files, or from the
daemon's store; `open` gives the store itself. docs/connector.md says how, and what differs from
`tokio.connectors.slurm`, whose place this takes.
"""

import os

from slurmwatchd.connector.from_sacct import UnprovedAnswerWarning
from slurmwatchd.connector.intervals import jobs_running_between
from slurmwatchd.connector.nodelists import compact_nodelist, expand_nodelist
from slurmwatchd.connector.recast import RECAST, SlurmEncoder
from slurmwatchd.connector.reports import Report
from slurmwatchd.connector.sacct_text import parse_sacct
from slurmwatchd.connector.slurm import DEFAULT_KEYS, Slurm
from slurmwatchd.connector.store import AsyncStore, Store
from slurmwatchd.model.reports import Rates, ReportLine
from slurmwatchd.store.read.query import Order, Question
from slurmwatchd.store.read.reader import Totals

__all__ = [
    "DEFAULT_KEYS",
    "RECAST",
    "SACCT",
    "SCONTROL",
    "AsyncStore",
    "Order",
    "Question",
    "Rates",
    "Report",
    "ReportLine",
    "Slurm",
    "SlurmEncoder",
    "Store",
    "Totals",
    "UnprovedAnswerWarning",
    "compact_nodelist",
    "expand_nodelist",
    "jobs_running_between",
    "open",
    "open_async",
    "parse_sacct",
]

SACCT = "sacct"
"""The program that is asked for jobs: set it to another name or a path, as with the original."""

SCONTROL = "scontrol"
"""The program that expands and compacts node lists; likewise."""

_RECAST_KEY_MAP = RECAST
"""The name under which the original documents it."""


def open(  # noqa: A001 - read as connector.open
    path: str | os.PathLike[str], *, archive: str | os.PathLike[str] | None = None
) -> Store:
    """Open the daemon's store for reading.

    Args:
        path: The store's file.
        archive: The folder of its Parquet archive, which has what the store has pruned.

    Raises:
        ImportError: There is an archive, and pyarrow is not installed.
        StoreError: There is none, it is none of ours, it was made by a newer program, or it cannot be read.
        StoreBusyError: It cannot be read now.
    """
    return Store(path, archive=archive)


def open_async(path: str | os.PathLike[str], *, archive: str | os.PathLike[str] | None = None) -> AsyncStore:
    """Return the same for programs with an event loop; `async with` opens it."""
    return AsyncStore(path, archive=archive)
