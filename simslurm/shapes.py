"""What the jobs of a busy cluster look like: plans of attempts with times relative to a submission.

A plan knows no job ids and no dates; `workload` gives it those and writes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .hostlists import compact

if TYPE_CHECKING:
    from random import Random

    from .rows import JobColumns, StepColumns

HOSTILE_NAMES: tuple[bytes, ...] = (
    b"new\nline",
    b"crlf\r\nname",
    b"pipe|pipe",
    b"evil\n999999|root|COMPLETED|0:0|",
    b"unit\x1fseparator\x1e",
    b"tab\tname",
    b"quo`te'd",  # Slurm stores a backtick for a double quote
    b"<script>alert(1)</script>",
    b"{{ 7*7 }} ${HOME} `id`",
    b"../../etc/passwd",
    b"=cmd|' /C calc'!A0",
    b"\x1b[31mred\x1b[0m\x07",
    b" leading and trailing ",
    b"bad\xff\xfeutf8",
    ("\N{GREEK SMALL LETTER PI}" * 128).encode()[:255],  # the cut splits the last letter
    b"x" * 255,
    "\u202eright-to-left\u202c \N{PILE OF POO}".encode(),
    b"null",
    b"None",
    b"",
)
"""Job names that forge rows, pages, terminals and spreadsheets, as slurmdbd stores them."""

_NAMES = (b"relax", b"train", b"blast", b"wrf", b"postproc", b"lammps", b"render", b"align", b"cfd", b"sweep")
_USERS = (("ada", 1001), ("grace", 1002), ("linus", 1003), ("mary", 1004), ("alan", 1005), ("edith", 1006))
_ACCOUNTS = (b"physics", b"biology", b"climate", b"root")
_PARTITIONS = (b"main", b"long", b"debug")
_OUTCOMES: tuple[tuple[str, int, int], ...] = (
    # state, exit code as wait status, weight
    ("COMPLETED", 0, 78),
    ("FAILED", 1 << 8, 7),
    ("FAILED", 139 << 8, 1),
    ("FAILED", 11, 1),
    ("TIMEOUT", 0, 4),
    ("OUT_OF_MEMORY", 9 << 8, 2),
    ("CANCELLED", 0, 5),
    ("NODE_FAIL", 0, 1),
    ("PREEMPTED", 0, 1),
    ("BOOT_FAIL", 0, 0),
    ("DEADLINE", 0, 1),
)
BELOW_ZERO = 2**64 - 3
"""A counter of -3, as slurmdbd keeps it."""

_BIG = 0.01
_ROOT_CANCELS = 0.2


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One row of the job table to be.

    Attributes:
        columns: What does not depend on dates and ids.
        submit: Seconds after the plan's beginning.
        wait: Seconds until it starts; None where it never does.
        run: Seconds until it ends, from its start or, without one, from its submission.
        steps: Its steps, by id, and what they used.
        same_job: It is the next attempt of the one before it in the plan.
        late: Seconds its end stays invisible.
        task: Its array task; None outside arrays.
        component: Its offset in a heterogeneous job; None outside those.
    """

    columns: JobColumns
    submit: int = 0
    wait: int | None = 0
    run: int = 0
    steps: dict[int | str, StepColumns] = field(default_factory=dict)
    same_job: bool = False
    late: float = 0
    task: int | None = None
    component: int | None = None

    @property
    def end(self) -> int:
        """Seconds from the plan's beginning to this end."""
        return self.submit + (self.wait or 0) + self.run


class Shaper:
    """Draws plans.

    Args:
        random: The only source of chance: the same seed, the same jobs.
        nodes: How many nodes the cluster has.
        runtime: Mean seconds a job runs.
        late: The share of ends that reach slurmdbd late.
        untidy: Whether there are jobs among them that untidy sites have: sent to several partitions, cron jobs,
            resized ones, parts of GPUs, counters below zero.
    """

    def __init__(self, random: Random, *, nodes: int, runtime: float, late: float, untidy: bool = False) -> None:
        """Keep what is drawn from."""
        self._random = random
        self._nodes = nodes
        self._digits = len(str(nodes))
        self.runtime = runtime
        self._late = late
        self._kinds = {
            self._single: 58, self._array: 9, self._heterogeneous: 3, self._requeued: 6, self._gpu: 12,
            self._hostile: 6, self._never_started: 4, self._cancelled_array: 2,
        }  # fmt: skip
        if untidy:
            kinds = (self._several_partitions, self._cron, self._resized, self._typed_gpu, self._below_zero)
            self._kinds |= dict.fromkeys(kinds, 4)

    def plan(self) -> list[Attempt]:
        """Draw one submission and everything that comes of it."""
        kinds = list(self._kinds)
        (kind,) = self._random.choices(kinds, weights=[self._kinds[each] for each in kinds])
        return kind()

    def simple(self) -> list[Attempt]:
        """Draw a submission that is one row."""
        return self._single()

    def _seconds(self, mean: float) -> int:
        return int(self._random.expovariate(1 / mean)) if mean > 0 else 0

    def _node_count(self) -> int:
        if self._random.random() < _BIG:
            return self._random.randint(max(1, self._nodes // 2), self._nodes)
        return min(self._nodes, self._random.choice((1, 1, 1, 1, 1, 1, 2, 2, 4, 8, 16)))

    def nodelist(self, count: int) -> str:
        """Draw nodes: mostly neighbours, sometimes scattered, written the way Slurm does."""
        digits = self._digits
        if 1 < count <= min(64, self._nodes) and self._random.random() < 0.3:  # noqa: PLR2004 - a cluster with holes
            chosen = sorted(self._random.sample(range(1, self._nodes + 1), count))
            return compact([f"n{number:0{digits}}" for number in chosen])
        first = self._random.randint(1, self._nodes - count + 1)
        if count == 1:
            return f"n{first:0{digits}}"
        return f"n[{first:0{digits}}-{first + count - 1:0{digits}}]"

    def _columns(self, nodes: int) -> JobColumns:
        random = self._random
        user, uid = random.choice(_USERS)
        cpus = nodes * random.choice((1, 2, 4, 8, 16, 64))
        memory = cpus * random.choice((1000, 2000, 4096))
        tres = f"1={cpus},2={memory},4={nodes},5={cpus}"
        name = random.choice(_NAMES) + b"-%d" % random.randint(1, 999)
        return {
            "user": user, "id_user": uid, "id_group": 100, "group_name": "users",
            "account": random.choice(_ACCOUNTS), "partition": random.choice(_PARTITIONS),
            "qos": random.choice(("normal", "normal", "high")), "job_name": name, "tres_req": tres,
            "tres_alloc": tres, "cpus_req": cpus, "nodes_alloc": nodes, "nodelist": self.nodelist(nodes),
            "timelimit": random.choice((10, 60, 240, 1440, 10080)), "work_dir": f"/home/{user}/runs",
            "submit_line": b"sbatch -J " + name + b" job.sh", "priority": random.randint(1, 100_000),
            "id_assoc": uid - 1000, "flags": random.choice((0x14, 0x18)),
            "std_out": f"/home/{user}/runs/slurm-%j.out",
        }  # fmt: skip

    def _started(self, columns: JobColumns | None = None) -> Attempt:
        """Draw an attempt that runs."""
        nodes = self._node_count()
        attempt = Attempt(
            columns={**self._columns(nodes), **(columns or {})},
            wait=self._seconds(self.runtime / 4),
            run=self._seconds(self.runtime),
        )
        states = self._random.choices(_OUTCOMES, weights=[weight for _, _, weight in _OUTCOMES])
        state, exit_code, _ = states[0]
        attempt.columns |= {"state": state, "exit_code": exit_code}
        if state == "CANCELLED":
            attempt.columns["kill_requid"] = self._canceller(attempt.columns)
        if state == "NODE_FAIL":
            attempt.columns["failed_node"] = self.nodelist(1)
        if self._random.random() < self._late:
            attempt.late = 1 + self._seconds(30)
        self._draw_steps(attempt)
        return attempt

    def _canceller(self, columns: JobColumns) -> int:
        return 0 if self._random.random() < _ROOT_CANCELS else columns["id_user"]

    def _draw_steps(self, attempt: Attempt) -> None:
        """Draw steps that together use a part of what the attempt has; those drawn before are none any more."""
        attempt.steps.clear()
        random = self._random
        cpus = attempt.columns["cpus_req"]
        count = random.choice((0, 0, 1, 1, 1, 2, 5))
        cpu_milliseconds = attempt.run * 1000 * cpus / (count + 1)
        memory = cpus << 29

        def usage(tasks: int) -> StepColumns:
            return {
                "task_cnt": tasks,
                "max_rss": random.randint(1 << 20, memory // tasks),
                "cpu_milliseconds": int(cpu_milliseconds * random.uniform(0.05, 1)),
                "disk_read": random.randint(0, 1 << 30),
                "disk_write": random.randint(0, 1 << 30),
                "act_cpufreq": float(random.randint(1_200_000, 3_600_000)),
            }

        attempt.steps["batch"] = usage(1)
        if random.random() < 0.5:  # noqa: PLR2004 - half of the sites have extern steps
            attempt.steps["extern"] = {"max_rss": 0, "cpu_milliseconds": 0}
        for number in range(count):
            attempt.steps[number] = {
                **usage(max(1, cpus // 4)),
                "step_name": random.choice(_NAMES),
                "submit_line": b"srun ./app",
            }

    def _single(self) -> list[Attempt]:
        return [self._started()]

    def _hostile(self) -> list[Attempt]:
        name = self._random.choice(HOSTILE_NAMES)
        attempt = self._started({"job_name": name})
        attempt.columns |= {"submit_line": b"sbatch -J " + name, "comment": name, "work_dir": b"/home/" + name}
        return [attempt]

    def _gpu(self) -> list[Attempt]:
        attempt = self._started()
        gpus = attempt.columns["nodes_alloc"] * self._random.choice((1, 2, 4, 8))
        tres = attempt.columns["tres_req"] + f",1001={gpus},1002={gpus}"
        attempt.columns |= {"tres_req": tres, "tres_alloc": tres, "partition": b"gpu"}
        return [attempt]

    def _array(self) -> list[Attempt]:
        base = self._columns(1)
        tasks = []
        for task in range(self._random.randint(2, 12)):
            attempt = self._started({**base, "nodelist": self.nodelist(1)})
            attempt.task = task
            tasks.append(attempt)
        return tasks

    def _heterogeneous(self) -> list[Attempt]:
        user = self._columns(1)
        same: JobColumns = {"user": user["user"], "id_user": user["id_user"], "job_name": user["job_name"]}
        parts = [self._started(same) for _ in range(self._random.randint(2, 3))]
        for offset, part in enumerate(parts):
            part.component, part.wait, part.run = offset, parts[0].wait, parts[0].run
            self._draw_steps(part)
        return parts

    def _requeued(self) -> list[Attempt]:
        """Draw several attempts of one job: it was requeued, preempted or lost its node."""
        chain = [self._started() for _ in range(self._random.choice((2, 2, 2, 3)))]
        identity = chain[0].columns
        for number, attempt in enumerate(chain):
            if number:
                attempt.same_job = True
                # A new attempt is submitted when the one before it ended, never in the same second.
                chain[number - 1].run = max(1, chain[number - 1].run)
                attempt.submit = chain[number - 1].end
                own: JobColumns = {
                    "nodelist": self.nodelist(identity["nodes_alloc"]),
                    "state": attempt.columns["state"],
                    "exit_code": attempt.columns["exit_code"],
                    "kill_requid": attempt.columns.get("kill_requid"),
                    "failed_node": attempt.columns.get("failed_node"),
                    "restart_cnt": number,
                }
                attempt.columns = {**identity, **own}
                self._draw_steps(attempt)
            if number < len(chain) - 1:
                state = self._random.choice(("REQUEUED", "REQUEUED", "PREEMPTED", "NODE_FAIL"))
                attempt.columns = {**attempt.columns, "state": state, "exit_code": 0, "kill_requid": None}
        return chain

    def _never_started(self) -> list[Attempt]:
        """Draw a job that was cancelled while it waited; some were held and never eligible."""
        columns = self._columns(1)
        columns |= {
            "nodelist": "None assigned", "tres_alloc": "", "nodes_alloc": 0, "state": "CANCELLED",
            "kill_requid": self._canceller(columns), "flags": 0x10,
        }  # fmt: skip
        if self._random.random() < 0.3:  # noqa: PLR2004 - some are held
            columns |= {"time_eligible": 0, "state_reason_prev": 16}
        return [Attempt(columns=columns, wait=None, run=self._seconds(self.runtime / 2))]

    def _cancelled_array(self) -> list[Attempt]:
        (attempt,) = self._never_started()
        size, step = self._random.choice(((100, 1), (400, 3), (1000, 1), (37, 2)))
        tasks = list(range(0, size, step))
        if self._random.random() < 0.5:  # noqa: PLR2004 - some have holes, which makes long ids
            tasks = sorted(self._random.sample(tasks, len(tasks) // 2))
        attempt.columns |= {"array_tasks": tasks, "array_max_tasks": self._random.choice((0, 4, 20))}
        return [attempt]

    def _several_partitions(self) -> list[Attempt]:
        """Draw a job that was sent to several partitions, which are as typed for as long as it waits."""
        (attempt,) = self._never_started()
        attempt.columns["partition"] = b",".join(self._random.sample(_PARTITIONS, 2))
        return [attempt]

    def _cron(self) -> list[Attempt]:
        """Draw the runs of a cron job: one job id, and each of them ends REQUEUED, whatever its exit code."""
        chain = self._requeued()
        for number, attempt in enumerate(chain):
            attempt.columns |= {"job_name": b"cron", "state": "REQUEUED", "kill_requid": None, "failed_node": None}
            attempt.columns["exit_code"] = number % 2 * 3 << 8
        return chain

    def _resized(self) -> list[Attempt]:
        """Draw a job that shrinks while it runs: two rows, the second submitted when the first ends."""
        chain = self._requeued()[:2]
        for attempt, state in zip(chain, ("RESIZING", "COMPLETED"), strict=True):
            attempt.columns |= {"state": state, "exit_code": 0, "kill_requid": None, "failed_node": None}
        chain[1].wait, chain[1].columns["restart_cnt"] = 0, 0
        return chain

    def _typed_gpu(self) -> list[Attempt]:
        """Draw a job on a part of a GPU, whose name has a point, and with licences."""
        attempt = self._started()
        tres = attempt.columns["tres_req"] + ",1001=1,gres/gpu:a100_1g.5gb=1,license/matlab=2"
        attempt.columns |= {"tres_req": tres, "tres_alloc": tres, "licenses": b"matlab:2"}
        return [attempt]

    def _below_zero(self) -> list[Attempt]:
        """Draw a job whose energy and processor time were counted below zero."""
        attempt = self._started()
        attempt.columns["tres_alloc"] += f",3={BELOW_ZERO}"
        for used in attempt.steps.values():
            used.pop("cpu_milliseconds", None)
            used["tres_usage_in_tot"] = f"1={BELOW_ZERO},2=524288000,3={BELOW_ZERO},6=77"
        return [attempt]
