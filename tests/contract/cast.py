"""The attempts the contract is tested with: the same rows for the simulator and for slurmdbd's own tables.

Each scene has a stretch of end times of its own, in 2023, where nothing else happens. Columns have slurmdbd's
names and values; what sacct makes of them is what the tests ask.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from simslurm.jobids import task_mask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simslurm.rows import JobColumns, StepColumns

FIRST_ID = 50_000_000
LAST_ID = 50_999_999
"""Every row of the cast has an id between these."""

NO_VAL = 0xFFFFFFFE
INFINITE = 0xFFFFFFFF

PENDING, RUNNING, COMPLETED, CANCELLED, FAILED, TIMEOUT, NODE_FAIL = 0, 1, 3, 4, 5, 6, 7
REQUEUED, RESIZING, REVOKED = 1024, 8192, 1 << 19

WINDOWS = 1_700_000_000
STATES = WINDOWS + 10_000
ATTEMPTS = WINDOWS + 20_000
ARRAYS = WINDOWS + 30_000
REUSED = WINDOWS + 40_000
VALUES = WINDOWS + 50_000
STEPS = WINDOWS + 60_000
HOSTILE = WINDOWS + 70_000
TILES = WINDOWS + 80_000
OUTCOMES = WINDOWS + 90_000

TERMINAL = {
    "COMPLETED": COMPLETED,
    "CANCELLED": CANCELLED,
    "FAILED": FAILED,
    "TIMEOUT": TIMEOUT,
    "NODE_FAIL": NODE_FAIL,
    "PREEMPTED": 8,
    "BOOT_FAIL": 9,
    "DEADLINE": 10,
    "OUT_OF_MEMORY": 11,
    "REQUEUED": REQUEUED,
    "RESIZING": RESIZING,
    "REVOKED": REVOKED,
}

HOSTILE_NAMES = (
    "new\nline",
    "crlf\r\nname",
    "pipe|name",
    "tab\tname",
    "unit\x1fseparator\x1e",
    "\x1b[31mred\x07\x7f\x01",
    "evil\n50999999|50999999|1700000000|COMPLETED|0:0|root|main|forged",
    '{"id":"forged"}\n{"id":"forged"}',
    " spaces around ",
    "\n",
    "\u00fc\u2028\u0085",
    "x" * 255,
)

WIDE_ARRAY = [number * number for number in range(60)]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of the job table and the rows of its steps.

    Attributes:
        columns: As the simulator's `add_job` takes them, which are slurmdbd's with few exceptions.
        steps: By step.
        since: The first release whose slurmdbd can hold such a row.
    """

    columns: JobColumns
    steps: Mapping[int | str, StepColumns] = field(default_factory=dict)
    since: tuple[int, int] = (0, 0)


def attempt(number: int, end: int, **columns: Any) -> Attempt:  # noqa: ANN401 - columns of many types
    """Make a completed job of 50 seconds on two processors; `number` follows FIRST_ID."""
    steps = columns.pop("steps", {})
    since = columns.pop("since", (0, 0))
    given: JobColumns = {
        "id_job": FIRST_ID + number,
        "job_db_inx": 900_000_000 + number,
        "time_submit": end - 60,
        "time_eligible": end - 60,
        "time_start": end - 50,
        "time_end": end,
        "state": COMPLETED,
        "cpus_req": 2,
        "tres_req": "1=2,2=4000,4=1,5=2",
        "tres_alloc": "1=2,2=4000,4=1,5=2",
        "nodelist": "n1",
        "nodes_alloc": 1,
        "timelimit": 60,
        "job_name": "contract",
        "work_dir": "/home/somebody",
        "flags": 24,
        "partition": "main",
        "id_user": 0,
        "user": "root",
        "account": "physics",
    }
    given.update(cast("JobColumns", columns))
    return Attempt(given, steps, since)


def never_started(number: int, end: int, **columns: Any) -> Attempt:  # noqa: ANN401 - columns of many types
    """Make a job that was cancelled while it waited."""
    given = {
        "state": CANCELLED,
        "kill_requid": 0,
        "time_start": 0,
        "tres_alloc": "",
        "nodelist": "None assigned",
        "nodes_alloc": 0,
        **columns,
    }
    return attempt(number, end, **given)


def _windows() -> list[Attempt]:
    at = WINDOWS + 1000
    return [
        attempt(1, at),
        attempt(2, at, time_end=0, state=RUNNING),
        never_started(3, at, time_eligible=0),
        never_started(4, at, time_end=0, state=PENDING, kill_requid=None),
    ]


def _states() -> list[Attempt]:
    return [
        attempt(
            100 + position, STATES + 100 + position, state=state, kill_requid=1 if name == "CANCELLED" else None
        )
        for position, (name, state) in enumerate(TERMINAL.items())
    ]


def _attempts() -> list[Attempt]:
    def part(index: int, end: int, state: int) -> Attempt:
        return attempt(200, end, job_db_inx=900_000_200 + index, state=state, restart_cnt=index)

    def segment(index: int, end: int, state: int, nodes: int) -> Attempt:
        begin = end - 100
        return attempt(
            210, end, job_db_inx=900_000_210 + index, state=state,
            time_submit=begin, time_eligible=begin, time_start=begin,
            nodes_alloc=nodes, nodelist=f"n[1-{nodes}]" if nodes > 1 else "n1",
        )  # fmt: skip

    return [
        part(0, ATTEMPTS + 100, NODE_FAIL),
        part(1, ATTEMPTS + 200, REQUEUED),
        part(2, ATTEMPTS + 300, COMPLETED),
        segment(0, ATTEMPTS + 400, RESIZING, 3),
        segment(1, ATTEMPTS + 500, COMPLETED, 1),
        attempt(220, ATTEMPTS + 600, state=REVOKED),
    ]


def _arrays() -> list[Attempt]:
    master, wide, mixed = FIRST_ID + 300, FIRST_ID + 310, FIRST_ID + 320
    leader, end = FIRST_ID + 330, ARRAYS + 100
    cut = {"array_max_tasks": 2, "id_array_task": NO_VAL}
    return [
        # The last task of an array keeps the master's own row and id.
        attempt(301, end, id_array_job=master, id_array_task=0),
        attempt(302, end, id_array_job=master, id_array_task=1),
        attempt(300, end, id_array_job=master, id_array_task=7),
        never_started(310, end, id_array_job=wide, array_task_str=task_mask(list(range(0, 400, 3))), **cut),
        never_started(320, end, id_array_job=mixed, array_task_str=task_mask(WIDE_ARRAY), **cut),
        attempt(330, end, het_job_id=leader, het_job_offset=0),
        attempt(331, end, het_job_id=leader, het_job_offset=1),
        attempt(332, end, het_job_id=leader, het_job_offset=2),
    ]


def _reused() -> list[Attempt]:
    master, again = FIRST_ID + 400, 900_000_450
    return [
        attempt(401, REUSED + 100, id_array_job=master, id_array_task=3, job_name="old"),
        attempt(401, REUSED + 5000, id_array_job=master, id_array_task=3, job_name="new", job_db_inx=again),
    ]


def _values() -> list[Attempt]:
    end = VALUES + 100
    return [
        attempt(500, end, state=FAILED, exit_code=139 << 8, derived_ec=139 << 8),
        attempt(501, end, state=FAILED, exit_code=11, derived_ec=7 << 8),
        attempt(502, end, state=FAILED, exit_code=255 << 8),
        never_started(503, end),
        never_started(504, end, time_eligible=0),
        never_started(505, end, time_eligible=INFINITE),
        never_started(506, end, nodelist=None),
        attempt(507, end, timelimit=INFINITE),
        attempt(508, end, timelimit=NO_VAL),
        attempt(509, end, timelimit=1500),
        attempt(510, end, tres_alloc="1=8,2=1500,3=77,4=2,5=8,1001=4,1002=4", nodes_alloc=2, nodelist="n[1-2]"),
        attempt(511, end, tres_alloc="1=2,2=1536,4=1,77777=5"),
        attempt(
            512, end, time_suspended=20,
            time_submit=end - 190_000, time_eligible=end - 190_000, time_start=end - 100_000,
        ),
        attempt(513, end, state=CANCELLED, kill_requid=NO_VAL),
        attempt(514, end, state=CANCELLED, kill_requid=1001),
        attempt(515, end, job_db_inx=2500 << 52 | 1_700_000_000_000 << 10 | 2, since=(24, 11)),
        attempt(516, end, work_dir="/w" * 30_000, comment="", admin_comment=None),
        attempt(517, end, tres_req="1=4,2=8000,4=2,5=4", mem_req=4000),
        attempt(518, end, tres_req="1=4,2=8000,4=2,5=4", mem_req=1 << 63 | 2000),
        attempt(519, end, restart_cnt=3, time_eligible=end - 55),
        attempt(520, end, id_qos=99_999),
        # slurmctld never told of this one while it waited.
        never_started(521, end, flags=8),
        never_started(522, end, time_eligible=end + 60),
        attempt(523, end, time_start=end + 30),
        # slurmdbd made its row from the end message, which has no number of nodes.
        attempt(524, end, nodes_alloc=0, tres_alloc="1=6,2=1536,4=3", nodelist="n[1-3]"),
    ]  # fmt: skip


def _steps() -> list[Attempt]:
    end = STEPS + 1000
    begin = end - 50
    done: StepColumns = {
        "time_start": begin,
        "time_end": end,
        "state": COMPLETED,
        "nodes_alloc": 1,
        "nodelist": "n1",
    }
    used: StepColumns = {
        **done, "task_cnt": 2, "user_sec": 7, "user_usec": 250_000, "sys_sec": 1, "sys_usec": 500_000,
        "tres_alloc": "1=2,2=0,4=1", "act_cpufreq": 3667,
        "tres_usage_in_max": "1=4000,2=11145216,6=33006,7=292872192,8=3",
        "tres_usage_in_max_nodeid": "1=0,2=0,6=0,7=0,8=0", "tres_usage_in_max_taskid": "1=0,2=1,6=0,7=0,8=0",
        "tres_usage_in_ave": "1=3000,2=11145216,6=33006,7=292872192,8=3",
        "tres_usage_in_tot": "1=8750,2=22290432,3=5,6=66012,7=585744384,8=6",
        "tres_usage_out_tot": "6=5242880", "tres_usage_out_max": "6=5242880",
    }  # fmt: skip
    return [
        attempt(
            600, end,
            steps={
                "batch": {**done, "step_name": "batch"},
                "extern": {**done, "step_name": "extern"},
                0: {**used, "step_name": "solve"},
                1: {**done, "time_end": begin + 10, "step_name": "early", "user_sec": 3, "tres_usage_in_tot": ""},
                2: {**done, "time_end": 0, "state": RUNNING, "step_name": "unfinished"},
            },
        ),
        attempt(601, end, job_name="alone", steps={0: {**used, "step_name": "alone"}}),
    ]  # fmt: skip


def _hostile() -> list[Attempt]:
    return [
        attempt(700 + position, HOSTILE + 100 + position, job_name=name, comment=name, work_dir=f"/{name}")
        for position, name in enumerate(HOSTILE_NAMES)
    ]


def _tiles() -> list[Attempt]:
    return [attempt(800 + second, TILES + second) for second in range(20)]


def _outcomes() -> list[Attempt]:
    end = OUTCOMES + 100
    out_of_memory, failed = 253, 1 << 8
    return [
        attempt(900, end),
        attempt(901, end, state=FAILED, exit_code=failed),
        attempt(902, end, state=FAILED, exit_code=failed, derived_ec=out_of_memory),
        attempt(903, end, state=11, exit_code=out_of_memory, derived_ec=out_of_memory),
        attempt(904, end, state=CANCELLED, kill_requid=0),
        attempt(905, end, state=CANCELLED, kill_requid=1001),
        attempt(906, end, state=CANCELLED, kill_requid=NO_VAL),
        never_started(907, end),
        attempt(908, end, state=FAILED, exit_code=failed, failed_node="n1", since=(23, 2)),
        attempt(909, end, state=FAILED, exit_code=failed, failed_node="n1", restart_cnt=1, since=(23, 2)),
        attempt(910, end, state=COMPLETED, derived_ec=out_of_memory),
        attempt(911, end, state=NODE_FAIL, exit_code=failed),
    ]


def everybody() -> list[Attempt]:
    """Return the whole cast."""
    scenes = (_windows, _states, _attempts, _arrays, _reused, _values, _steps, _hostile, _tiles, _outcomes)
    return [row for scene in scenes for row in scene()]
