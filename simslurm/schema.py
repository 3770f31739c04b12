"""The tables of the simulated accounting database, how to open them, and Slurm's numbers.

Everything here is cheap to import: the stand-in commands start one process a call. What writes
jobs is in `database`, what reads them for sacct in `query`.
"""

from __future__ import annotations

import sqlite3

NO_VAL = 0xFFFFFFFE
"""Slurm's "not set" for 32-bit numbers."""

INFINITE = 0xFFFFFFFF
"""Slurm's "no limit" for 32-bit numbers."""

NO_VAL64 = 0xFFFFFFFFFFFFFFFE
"""Slurm's "not set" for 64-bit numbers."""

INFINITE64 = 0xFFFFFFFFFFFFFFFF
"""Slurm's "no limit" for 64-bit numbers, and what it reads where a TRES is not in a list."""

START_RECEIVED = 16
"""The bit of a job's flags that says that slurmctld reported the job before its end."""

STATES: dict[str, int] = {
    "PENDING": 0,
    "RUNNING": 1,
    "SUSPENDED": 2,
    "COMPLETED": 3,
    "CANCELLED": 4,
    "FAILED": 5,
    "TIMEOUT": 6,
    "NODE_FAIL": 7,
    "PREEMPTED": 8,
    "BOOT_FAIL": 9,
    "DEADLINE": 10,
    "OUT_OF_MEMORY": 11,
    "REQUEUED": 1024,
    "RESIZING": 8192,
    "REVOKED": 1 << 19,
}
"""The states slurmdbd stores, as it stores them."""

STATE_NAMES: dict[int, str] = {number: name for name, number in STATES.items()}

STEP_IDS: dict[str, int] = {"TDB": -3, "extern": -4, "batch": -5, "interactive": -6}
"""The steps that have a name instead of a number ("TDB" is Slurm's own spelling)."""

STEP_NAMES: dict[int, str] = {number: name for name, number in STEP_IDS.items()}

Value = int | float | bytes | str | None
"""What SQLite hands out."""

# Name, type, default. Text is kept as bytes: a job name may hold any byte but NUL.
_JOB: tuple[tuple[str, str, str], ...] = (
    ("cluster", "TEXT", ""),
    ("job_db_inx", "TEXT", "'0'"),  # text, as it can be 2^63 and more
    ("id_job", "INTEGER", "0"),
    ("time_submit", "INTEGER", "0"),
    ("id_array_job", "INTEGER", "0"),
    ("id_array_task", "INTEGER", str(NO_VAL)),
    ("array_task_str", "TEXT", "NULL"),
    ("array_max_tasks", "INTEGER", "0"),
    ("het_job_id", "INTEGER", "0"),
    ("het_job_offset", "INTEGER", str(NO_VAL)),
    ("state", "INTEGER", "0"),
    ("state_reason_prev", "INTEGER", "0"),
    ("exit_code", "INTEGER", "0"),
    ("derived_ec", "INTEGER", "0"),
    ("time_eligible", "INTEGER", "0"),
    ("time_start", "INTEGER", "0"),
    ("time_end", "INTEGER", "0"),
    ("time_suspended", "INTEGER", "0"),
    ("timelimit", "INTEGER", str(NO_VAL)),
    ("mem_req", "TEXT", "'0'"),  # MB for each node; with bit 63 for each processor
    ("tres_req", "TEXT", "''"),
    ("tres_alloc", "TEXT", "''"),
    ("nodelist", "BLOB", "NULL"),
    ("nodes_alloc", "INTEGER", "0"),
    ("cpus_req", "INTEGER", "0"),
    ("priority", "INTEGER", "1"),
    ("id_assoc", "INTEGER", "1"),
    ("id_qos", "INTEGER", "1"),
    ("id_resv", "INTEGER", "0"),
    ("id_wckey", "INTEGER", "0"),
    ("id_user", "INTEGER", "0"),
    ("id_group", "INTEGER", "0"),
    ("user", "BLOB", "NULL"),
    ("group_name", "BLOB", "NULL"),
    ("account", "BLOB", "NULL"),
    ("partition", "BLOB", "''"),
    ("job_name", "BLOB", "''"),
    ("work_dir", "BLOB", "''"),
    ("submit_line", "BLOB", "NULL"),
    ("comment", "BLOB", "NULL"),  # `derived_es` in slurmdbd's own table
    ("admin_comment", "BLOB", "NULL"),
    ("system_comment", "BLOB", "NULL"),
    ("constraints", "BLOB", "''"),
    ("container", "BLOB", "NULL"),
    ("extra", "BLOB", "NULL"),
    ("failed_node", "BLOB", "NULL"),
    ("licenses", "BLOB", "NULL"),
    ("mcs_label", "BLOB", "NULL"),
    ("reservation", "BLOB", "NULL"),
    ("req_reservation", "BLOB", "NULL"),
    ("wckey", "BLOB", "''"),
    ("std_in", "BLOB", "NULL"),
    ("std_out", "BLOB", "NULL"),
    ("std_err", "BLOB", "NULL"),
    ("qos_req", "BLOB", "NULL"),
    ("kill_requid", "INTEGER", "NULL"),
    ("restart_cnt", "INTEGER", "0"),
    ("segment_size", "INTEGER", "0"),
    ("flags", "INTEGER", "0"),
    ("original_sluid", "TEXT", "NULL"),
    # The rest is the simulator's own.
    ("visible_at", "REAL", "0"),  # before this second sacct does not see the row
    ("end_visible_at", "REAL", "0"),  # before this second sacct sees the row without its end
    ("copies", "INTEGER", "1"),  # how often one answer shows the row (joins repeat rows)
    ("whole_at", "REAL", "0"),  # before this second its start message is missing: `allocation`, no partition
)

_USAGE = tuple(
    f"tres_usage_{way}_{what}"
    for way in ("in", "out")
    for what in ("ave", "max", "max_taskid", "max_nodeid", "min", "min_taskid", "min_nodeid", "tot")
)

_STEP: tuple[tuple[str, str, str], ...] = (
    ("job", "INTEGER", "0"),
    ("id_step", "INTEGER", "0"),
    ("step_het_comp", "INTEGER", str(NO_VAL)),
    ("step_name", "BLOB", "''"),
    ("state", "INTEGER", "3"),
    ("exit_code", "INTEGER", "0"),
    ("kill_requid", "INTEGER", "NULL"),
    ("nodelist", "BLOB", "''"),
    ("nodes_alloc", "INTEGER", "1"),
    ("task_cnt", "INTEGER", "1"),
    ("task_dist", "INTEGER", "0"),
    ("time_start", "INTEGER", "0"),
    ("time_end", "INTEGER", "0"),
    ("time_suspended", "INTEGER", "0"),
    ("user_sec", "INTEGER", "0"),
    ("user_usec", "INTEGER", "0"),
    ("sys_sec", "INTEGER", "0"),
    ("sys_usec", "INTEGER", "0"),
    ("act_cpufreq", "REAL", "0"),
    ("consumed_energy", "INTEGER", "0"),
    ("container", "BLOB", "NULL"),
    ("req_cpufreq_min", "INTEGER", "0"),
    ("req_cpufreq", "INTEGER", "0"),
    ("req_cpufreq_gov", "INTEGER", "0"),
    ("submit_line", "BLOB", "NULL"),
    ("tres_alloc", "TEXT", "''"),
    *((name, "TEXT", "''") for name in _USAGE),
    ("visible_at", "REAL", "0"),
    ("end_visible_at", "REAL", "0"),
)

JOB_COLUMNS: tuple[str, ...] = tuple(name for name, _, _ in _JOB)
STEP_COLUMNS: tuple[str, ...] = tuple(name for name, _, _ in _STEP)
_DEFAULTS: dict[str, Value] = {"": None, "NULL": None, "''": b"", "'0'": "0"}


def _defaults(table: tuple[tuple[str, str, str], ...]) -> dict[str, Value]:
    return {
        name: "" if kind == "TEXT" and default == "''" else _DEFAULTS.get(default, default)
        for name, kind, default in table
    } | {name: int(default) for name, kind, default in table if kind in {"INTEGER", "REAL"} and default != "NULL"}


JOB_DEFAULTS: dict[str, Value] = _defaults(_JOB)
STEP_DEFAULTS: dict[str, Value] = _defaults(_STEP)
JOB_BYTES: frozenset[str] = frozenset(name for name, kind, _ in _JOB if kind == "BLOB")
STEP_BYTES: frozenset[str] = frozenset(name for name, kind, _ in _STEP if kind == "BLOB")
JOB_TEXT: frozenset[str] = frozenset(name for name, kind, _ in _JOB if kind == "TEXT")
STEP_TEXT: frozenset[str] = frozenset(name for name, kind, _ in _STEP if kind == "TEXT")

DEFAULT_TRES: tuple[tuple[int, str, str], ...] = (
    (1, "cpu", ""),
    (2, "mem", ""),
    (3, "energy", ""),
    (4, "node", ""),
    (5, "billing", ""),
    (6, "fs", "disk"),
    (7, "vmem", ""),
    (8, "pages", ""),
    (1001, "gres", "gpu"),
    (1002, "gres", "gpu:a100"),
    (1003, "gres", "gpumem"),
    (1004, "gres", "gpuutil"),
)


def _columns(table: tuple[tuple[str, str, str], ...]) -> str:
    lines = (f'"{name}" {kind}' + (f" DEFAULT {default}" if default else "") for name, kind, default in table)
    return ", ".join(lines)


CREATE = f"""
CREATE TABLE config (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE clusters (
    name TEXT PRIMARY KEY, position INTEGER, cluster_id INTEGER, next_job_id INTEGER, next_db_inx INTEGER);
CREATE TABLE tres (id INTEGER PRIMARY KEY, type TEXT, name TEXT);
CREATE TABLE qos (id INTEGER PRIMARY KEY, name BLOB UNIQUE);
CREATE TABLE users (name TEXT PRIMARY KEY, uid INTEGER, admin_level TEXT);
CREATE TABLE jobs (key INTEGER PRIMARY KEY, {_columns(_JOB)}, UNIQUE (cluster, id_job, time_submit));
CREATE INDEX jobs_end ON jobs (cluster, time_end);
CREATE INDEX jobs_array ON jobs (cluster, id_array_job) WHERE id_array_job != 0;
CREATE INDEX jobs_het ON jobs (cluster, het_job_id) WHERE het_job_id != 0;
CREATE INDEX jobs_late ON jobs (end_visible_at) WHERE end_visible_at > 0;
CREATE TABLE steps ({_columns(_STEP)}, PRIMARY KEY (job, id_step, step_het_comp)) WITHOUT ROWID;
CREATE TABLE suspensions (job INTEGER, time_start INTEGER, time_end INTEGER);
CREATE TABLE faults (
    id INTEGER PRIMARY KEY, command TEXT, kind TEXT, remaining INTEGER, until REAL, match TEXT, args TEXT);
CREATE TABLE agent_queue (id INTEGER PRIMARY KEY, job INTEGER, what TEXT, delivered_at REAL);
CREATE TABLE calls (
    id INTEGER PRIMARY KEY, command TEXT, argv BLOB, pid INTEGER, started REAL, ended REAL,
    exit_status INTEGER, fault TEXT);
"""
"""Creates every table. `jobs` mirrors slurmdbd's job table, one row an attempt."""


def connect(path: str) -> sqlite3.Connection:
    """Open an existing database: autocommit, text and blobs as bytes.

    Durability is not wanted of a simulation, so nothing waits for the disk.
    """
    connection = sqlite3.connect(
        f"file:{_quoted(path)}?mode=rw", uri=True, timeout=30, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = bytes
    connection.execute("PRAGMA synchronous=OFF")
    return connection


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
