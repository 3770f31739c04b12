"""A simulated cluster whose jobs look like a large site's: each row drawn by itself, none a copy of another.

What compresses well on constants compresses for nothing, so names, command lines, folders, comments, TRES with
typed GPUs, node lists and what steps used come from seeded distributions. What repeats at a site repeats here:
users submit from a few folders, with a few scripts.
"""

from __future__ import annotations

from operator import itemgetter
from random import Random
from typing import TYPE_CHECKING

from simslurm.hostlists import compact
from simslurm.schema import JOB_COLUMNS, STEP_COLUMNS

if TYPE_CHECKING:
    from simslurm.database import SimCluster
    from simslurm.rows import JobColumns, StepColumns

NODES = 800

_USERS = 350
_BATCH = 5000
_WORDS = [
    "train",
    "eval",
    "sweep",
    "relax",
    "blast",
    "wrf",
    "postproc",
    "lammps",
    "render",
    "align",
    "cfd",
    "gromacs",
    "prod",
    "equil",
    "variants",
    "call",
    "merge",
    "sort",
    "bert",
    "resnet50",
    "llama",
    "unet",
    "diffusion",
    "ocean",
    "climate",
    "seismic",
    "fold",
    "dock",
    "screen",
    "rna",
    "exome",
    "assembly",
    "qc",
    "trim",
    "map",
    "bands",
    "phonon",
    "vasp",
    "espresso",
    "neb",
    "dos",
    "monte",
    "carlo",
    "lattice",
    "tokamak",
    "grid",
    "mesh",
    "solve",
    "sample",
    "bayes",
    "fit",
    "export",
]
_SUFFIXES = ("_final", "-v2", "-v3", ".test", "_rerun", "-prod", "_new", "")
_SCRIPTS = ("run.sh", "job.sbatch", "submit.slurm", "train.sh", "launch.sh", "array.sh", "step2.sh", "wrapper.sh")
_PARTITIONS = (("cpu", 45), ("cpu-long", 12), ("gpu", 18), ("highmem", 6), ("short", 15), ("interactive", 4))
_STATES = (
    ("COMPLETED", 0, 780), ("FAILED", 1 << 8, 85), ("FAILED", 2 << 8, 15), ("FAILED", 127 << 8, 8),
    ("FAILED", 11, 6), ("TIMEOUT", 0, 38), ("OUT_OF_MEMORY", 9, 18), ("CANCELLED", 0, 47), ("NODE_FAIL", 0, 3),
)  # fmt: skip
_GPUS = (("a100", 6), ("h100", 3), ("v100", 2))
_COMMENTS = (
    '{{"project":"{word}","ticket":"HPC-{number}","owner":"{user}"}}',
    "resubmitted after {number}",
    "see /home/{user}/notes/{word}.md",
    "workflow={word};rule={other};attempt={small}",
)
_job = itemgetter(*JOB_COLUMNS)
_step = itemgetter(*STEP_COLUMNS)


class Site:
    """Draws attempts and writes them into a simulated cluster.

    Args:
        cluster: Where to.
        seed: Of all chance: the same seed and dates, the same jobs.
    """

    def __init__(self, cluster: SimCluster, *, seed: int = 1) -> None:
        """Draw the users and what they do."""
        self._cluster = cluster
        self._random = random = Random(seed)  # noqa: S311 - nothing secret is drawn
        self._weights = [1 / (number + 1) ** 0.9 for number in range(_USERS)]
        self._users = []
        for number in range(_USERS):
            name = f"{random.choice('abcdefghijklmnopqrstuvwxyz')}{random.choice(_WORDS)}{number:03d}"
            folders = [
                f"/{random.choice(('home', 'scratch', 'project'))}/{name}/{self._words(2, '/')}" for _ in range(4)
            ]
            scripts = [f"{random.choice(('', './', 'scripts/'))}{random.choice(_SCRIPTS)}" for _ in range(3)]
            account = f"{random.choice(('phys', 'bio', 'eng', 'chem', 'geo'))}-{random.randint(1, 60):02d}"
            self._users.append(
                (name, 10_000 + number, account, folders, scripts, [self._words(2) for _ in range(5)])
            )

    def load(self, count: int, start: int, end: int) -> int:
        """Write `count` attempts, with their steps, that ended in a stretch of time.

        Args:
            count: How many rows of the job table.
            start: The earliest end, epoch seconds.
            end: The latest end.

        Returns:
            How many steps they have.
        """
        steps = written = master = 0
        while written < count:
            rows: list[dict[str, object]] = []
            step_rows: list[dict[str, object]] = []
            with self._cluster.batch():
                while len(rows) < min(_BATCH, count - written):
                    for columns, used in self._submission(count - written - len(rows), start, end):
                        row, its = self._cluster.prepare_rows(columns, used)
                        row["id_job"] = self._cluster.take_number("next_job_id")
                        if row["id_array_job"]:
                            master = row["id_job"] if row["id_array_task"] == 0 else master
                            row["id_array_job"] = master
                        row["job_db_inx"] = self._cluster.take_db_index(row["time_submit"])
                        key = self._cluster.take_key()
                        for step in its:
                            step["job"] = key
                        rows.append(row)
                        step_rows += its
                self._cluster.insert_rows(map(_job, rows), map(_step, step_rows))
            written += len(rows)
            steps += len(step_rows)
        return steps

    def _submission(
        self, room: int, start: int, end: int
    ) -> list[tuple[JobColumns, dict[int | str, StepColumns]]]:
        """Draw one submission: an array of some tasks, or one job."""
        random = self._random
        tasks = min(room, random.choice((1, 1, 1, 1, 1, 2, 4, 10, 30)))
        shared = self._shared()
        drawn = []
        for task in range(tasks):
            columns, steps = self._attempt(shared.copy(), random.randint(start, end))
            if tasks > 1:
                columns |= {"id_array_job": 1, "id_array_task": task}
            drawn.append((columns, steps))
        return drawn

    def _shared(self) -> JobColumns:
        """Draw what all tasks of an array have alike."""
        random = self._random
        user, uid, account, folders, scripts, names = random.choices(self._users, self._weights)[0]
        (partition,) = random.choices([name for name, _ in _PARTITIONS], [weight for _, weight in _PARTITIONS])
        kind, folder, script = random.choice(names), random.choice(folders), random.choice(scripts)
        name = (
            kind
            + random.choice(_SUFFIXES)
            + random.choice(("", f"-{random.randint(1, 4000)}", f"_lr{random.random():.4g}"))
        )
        cpus, minutes = (
            random.choice((1, 1, 2, 4, 8, 8, 16, 32, 64)),
            random.choice((30, 60, 240, 720, 1440, 2880, 10080)),
        )
        nodes = min(64, max(1, int(random.paretovariate(1.6)))) if cpus > 4 else 1
        memory = cpus * nodes * random.choice((1000, 2000, 3900, 4096, 8192))
        tres = f"1={cpus * nodes},2={memory},4={nodes},5={cpus * nodes * random.choice((1, 1, 2))}"
        wanted = [f"--time={minutes}", f"--mem={memory // nodes}M", f"-c {cpus}"]
        if partition == "gpu":
            (model,) = random.choices([model for model, _ in _GPUS], [weight for _, weight in _GPUS])
            gpus = random.choice((1, 1, 2, 4, 8)) * nodes
            tres += f",gres/gpu={gpus},gres/gpu:{model}={gpus}"
            wanted.append(f"--gres=gpu:{model}:{gpus // nodes}")
        random.shuffle(wanted)
        data = f"/data/{self._words(2, '/')}/{random.randrange(16**8):08x}.h5"
        options = f"--seed {random.randint(1, 99999)} --input {data}"
        columns: JobColumns = {
            "user": user, "id_user": uid, "id_group": 500, "group_name": "users", "account": account,
            "partition": partition, "qos": random.choice(("normal", "normal", "normal", "high", "low")),
            "job_name": name, "tres_req": tres, "tres_alloc": tres, "cpus_req": cpus * nodes, "nodes_alloc": nodes,
            "timelimit": minutes, "work_dir": folder, "priority": random.randint(1, 400_000),
            "id_assoc": uid - 9000,
            "submit_line": f"sbatch -p {partition} -J {name} {' '.join(wanted)} {script}"
            + (f" {options}" if random.random() < 0.6 else ""),
            "std_out": f"{folder}/logs/{kind}-%j.out", "flags": random.choice((0x14, 0x18)),
            "constraints": random.choice(("", "", "", "ib", "avx512")),
        }  # fmt: skip
        if random.random() < 0.15:
            columns["comment"] = random.choice(_COMMENTS).format(
                word=random.choice(_WORDS), other=random.choice(_WORDS), user=user,
                number=random.randint(1000, 99999), small=random.randint(1, 5),
            )  # fmt: skip
        return columns

    def _attempt(self, columns: JobColumns, end: int) -> tuple[JobColumns, dict[int | str, StepColumns]]:
        """Draw how one attempt went."""
        random = self._random
        limit = columns["timelimit"] * 60
        run = min(limit, int(random.lognormvariate(6.5, 2)))
        weights = [weight for _, _, weight in _STATES]
        state, status, _ = random.choices(_STATES, weights)[0]
        if state == "TIMEOUT":
            run = limit + random.randint(0, 25)
        wait = int(random.lognormvariate(4, 2.5))
        begun = end - run
        columns |= {
            "state": state, "exit_code": status, "time_end": end, "time_start": begun, "time_submit": begun - wait,
            "time_eligible": begun - wait, "nodelist": self._nodes(columns["nodes_alloc"]),
        }  # fmt: skip
        if state == "CANCELLED":
            columns["kill_requid"] = random.choice((0, columns["id_user"], columns["id_user"]))
        return columns, self._steps(columns, run)

    def _nodes(self, count: int) -> str:
        random = self._random
        if count > 1 and random.random() < 0.4:
            chosen = sorted(random.sample(range(1, NODES + 1), count))
        else:
            first = random.randint(1, NODES - count + 1)
            chosen = list(range(first, first + count))
        return compact([f"node{number:04d}" for number in chosen])

    def _steps(self, columns: JobColumns, run: int) -> dict[int | str, StepColumns]:
        """Draw what the steps used: a share of what there was."""
        random = self._random
        cpus = columns["cpus_req"]

        def used(tasks: int, seconds: int) -> StepColumns:
            return {
                "task_cnt": tasks,
                "max_rss": int(random.lognormvariate(20, 1.5)) & ~0xFFF,
                "cpu_milliseconds": int(seconds * 1000 * cpus * random.betavariate(4, 2)),
                "disk_read": int(random.lognormvariate(18, 3)),
                "disk_write": int(random.lognormvariate(17, 3)),
            }

        found: dict[int | str, StepColumns] = {"batch": used(1, run)}
        found["extern"] = {"max_rss": 0, "cpu_milliseconds": 0}
        for number in range(random.choice((0, 0, 0, 1, 1, 2, 5))):
            found[number] = {**used(max(1, cpus // 4), run // 2), "step_name": random.choice(_WORDS)}
        return found

    def _words(self, count: int, between: str = "-") -> str:
        return between.join(self._random.choices(_WORDS, k=count))
