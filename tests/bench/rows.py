"""The rows of docs/benchmarks.md: what is measured, in which unit, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row.

    Attributes:
        what: What is measured, as the page has it.
        unit: Of both columns.
        target: What the ratio of the second column to the first must not pass; None: none is set.
        at_least: Whether the ratio must reach the target instead.
        is_limit: Whether the target is one of the second column alone, and not of the ratio.
        percentile: What of all values is compared: 50 is the median.
    """

    what: str
    unit: str
    target: float | None = None
    at_least: bool = False
    is_limit: bool = False
    percentile: int = 50


ROWS = {
    "store-summary": Row(what="store with `job_usage`, an attempt", unit="bytes", target=0.25),
    "store-off": Row(what='store, `[steps] mode = "off"`, an attempt', unit="bytes", target=0.35),
    "cpu-summary": Row(what='own CPU, `[steps] mode = "summary"`, an attempt', unit="us", target=0.50),
    "cpu-off": Row(what="own CPU, steps off, an attempt", unit="us", target=0.60),
    "wall": Row(
        what="wall time of fetching to writing, in times of sacct alone", unit="", target=1.08, is_limit=True
    ),
    "cpu-work": Row(what="the same read: own CPU an attempt, the program's start apart", unit="us"),
    "peak-summary": Row(what="peak memory of an ingest with usage", unit="MB", target=0.65),
    "peak-off": Row(what="peak memory of an ingest, steps off", unit="MB", target=0.65),
    "idle-memory": Row(what="idle memory (PSS)", unit="MB", target=0.75),
    "idle-cpu": Row(what="idle CPU at the default interval, sacct's apart, of a core", unit="%", target=0.4),
    "start": Row(what="from `exec` to the first sacct (`once`)", unit="ms", target=0.5),
    "start-cpu": Row(what="own CPU of a `once` whose first sacct fails", unit="ms"),
    "jobs-user": Row(what="`jobs --user X --since -7d`, the whole command", unit="ms", target=0.6),
    "jobs-user-cpu": Row(what="the same, CPU of its process", unit="ms"),
    "parquet-peak": Row(what="`export --format parquet`: peak", unit="MB", target=0.4),
    "parquet-rate": Row(what="`export --format parquet`: rows a CPU second", unit="", target=3.0, at_least=True),
    "jsonl-rate": Row(what="`export --format jsonl`: rows a CPU second", unit="", target=2.0, at_least=True),
    "poll": Row(what="a head poll, own CPU, with that many stored", unit="ms", target=1.1),
    "late": Row(
        what="end of a job to its line, real cluster, interval 5 s: p99",
        unit="s",
        target=6.0,
        is_limit=True,
        percentile=99,
    ),
    "late-nudged": Row(what="the same with a nudge: p99", unit="s", target=2.0, is_limit=True, percentile=99),
    "upgrade-minutes": Row(what="a store of 10edf5e packed by the running daemon, jobs ending: time", unit="min"),
    "upgrade-cpu": Row(what="the same: the daemon's CPU, an attempt", unit="us"),
    "upgrade-peak": Row(what="the same: peak memory", unit="MB"),
    "peer-slurm2sql": Row(what="a window of attempts into SQLite: slurm2sql 0.9.9, CPU an attempt", unit="us"),
    "peer-pytokio": Row(what="sacct's text into a table: pytokio 0.13.0, CPU a row", unit="us"),
    "peer-clustershell": Row(what="expanding a node list: ClusterShell, CPU", unit="us"),
    "peer-hostlist": Row(what="expanding a node list: python-hostlist, CPU", unit="us"),
}
