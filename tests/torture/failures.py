"""How Slurm's commands fail, as `SimCluster.add_fault` takes it; when they do is the business of `harms`."""

from __future__ import annotations

from typing import Any

from simslurm.troubles import CONTROL_MACHINE

Wish = tuple[str, dict[str, Any]]
"""A kind of fault, and what it takes."""

# Failures that show: any number of calls in a row may be hit by them.
VISIBLE_FAILURES: tuple[Wish, ...] = (
    ("exit", {"code": 1}),
    ("exit", {"code": 88, "records": 1, "stderr": ""}),
    ("exit", {"code": 255, "bytes": 100_000}),
    ("errno", {"number": 7000}),
    ("errno", {"number": 7006}),
    ("errno", {"number": 7007}),
    # Modulo 256 this is exit status 0, until 23.11.3.
    ("errno", {"number": 1024}),
    ("errno", {"number": 2048}),
    ("stderr_exit0", {}),
    ("blank_tres", {}),
    ("kill", {}),
    ("cut", {"records": 0, "bytes": 4}),
    ("cut", {"records": 2, "bytes": 11}),
    ("cut", {"records": 300, "bytes": 2, "code": 1}),
    ("garbage", {}),
    ("garbage", {"bytes": 0}),
)

# Answers that lack rows, each given away by one thing alone: the exit status, stderr, or the framing.
NARROW_FAILURES: tuple[Wish, ...] = (
    ("exit", {"code": 94, "records": 0, "stderr": ""}),
    ("errno", {"number": 1024}),
    ("cut", {"records": 0, "bytes": 4}),
)

# Whole, and wrong: nothing tells such an answer from a true one.
SILENT_LIES: tuple[Wish, ...] = (("header_only", {}), ("cut", {"records": 0}), ("cut", {"records": 1}))

SCONTROL_FAILURES: tuple[Wish, ...] = (
    ("exit", {"code": 0, "stderr": "scontrol: error: Invalid hostlist"}),
    ("exit", {"code": 1, "stderr": "scontrol: fatal: Could not establish a configuration source"}),
    ("stderr_exit0", {"stderr": "scontrol: error: Unable to contact slurm controller"}),
    ("kill", {}),
    ("garbage", {"bytes": 0}),
    ("slow", {"seconds": 1.5}),
)

SDIAG_FAILURES: tuple[Wish, ...] = (("exit", {}), ("garbage", {}), ("slow", {"seconds": 2}))

# What MariaDB lets through, as `SimCluster.set_statement_limit` takes it: nothing, little, or all but long lists.
STATEMENT_LIMITS: tuple[dict[str, Any], ...] = (
    {"windows": 0},
    {"windows": 0},
    {"windows": 3},
    {"windows": 40},
    {"windows": 0, "open_jobs": 0},
    {"windows": 0, "open_jobs": 0, "jobs": 5},
)

# What every command says first, also with -V.
COMPLAINTS: tuple[tuple[str, ...], ...] = (
    (CONTROL_MACHINE,),
    (CONTROL_MACHINE, "COMMAND: error: NodeNames=n[1-8] CPUs=17 match no Sockets. Resetting CPUs."),
    ("this is the site's wrapper",),
)

# Whose eyes the daemon has while its rights are lost: one who has no jobs, and one of those who have.
STRANGERS: tuple[tuple[str, int], ...] = (("slurmwatchd", 990), ("ada", 1001))
