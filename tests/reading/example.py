"""The file that every reader of docs/reading.md is tried on: made by the daemon from a simulated cluster.

In it are arrays, heterogeneous jobs, an array cancelled while it waited, requeued and revised attempts, usage,
GPUs first met late, GPU types with points and capitals in their names, and names that look like numbers.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import anyio

from slurmwatchd.store import bodies
from tests.integration.rig import Rig

ACCOUNTS = ("007", "7", "1e5", "100000")
"""Two that are the same number, twice."""

_GPU_HOURS = """
    SELECT json_extract(record, '$.account'),
           sum(json_extract(record, '$.alloc_tres."gres/gpu"')
               * json_extract(record, '$.elapsed_seconds')) / 3600.0
    FROM (SELECT CAST({body} AS TEXT) AS record FROM {tables})
    WHERE json_extract(record, '$.alloc_tres."gres/gpu"') > 0
    GROUP BY 1
"""
# Whoever opens a store by `Bodies` has the functions that unpack them; what they are added up by is SQLite's.
GPU_HOURS = _GPU_HOURS.format(body=bodies.RECORD, tables="jobs JOIN events ON events.seq = jobs.seq")
EVERY_EVENT = _GPU_HOURS.format(body=bodies.BODY, tables=bodies.TABLES)


@dataclass(frozen=True, slots=True)
class Example:
    """A folder with `jobs.jsonl`, and what is true of it.

    Attributes:
        folder: Where it lies.
        gpu_hours: Account to GPU hours, by SQL on the store.
        gpu_hours_of_every_line: The same where each event of an attempt counts: too much.
    """

    folder: Path
    gpu_hours: Mapping[str, float]
    gpu_hours_of_every_line: Mapping[str, float]


def make(folder: Path, plain_jobs: int = 150) -> Example:
    """Make the file in a folder.

    Args:
        folder: An empty folder.
        plain_jobs: How many jobs without GPUs end before the first one with some: a hundred is what polars looks
            at, 20,480 what duckdb does.
    """
    with Rig(folder, poll={"since": "12h", "slice": "12h", "reread": ["5m"]}, steps={"mode": "summary"}) as rig:
        _fill(rig, plain_jobs)
        anyio.run(_run, rig)
        with closing(bodies.Bodies().connection(rig.store)) as store:
            return Example(folder, *(dict(store.execute(sql).fetchall()) for sql in (GPU_HOURS, EVERY_EVENT)))


def _fill(rig: Rig, plain_jobs: int) -> None:
    with rig.cluster.batch():
        for number in range(plain_jobs):
            rig.ended(
                36_000 - number % 3_000,
                id_job=1_000 + number,
                job_name=("007", "1e5", "2026-10-31", "night")[number % 4],
                account=ACCOUNTS[number % 4],
                state="FAILED" if number < 2 else "COMPLETED",
                tres_alloc="cpu=2,mem=4096,node=1",
                time_start=rig.now - 39_600,
            )
        gpus = "cpu=8,node=1,gres/gpu=2,gres/gpu:a100=2"
        mig = "cpu=4,node=1,gres/gpu=3,gres/gpu:a100_1g.5gb=3"
        capital = "cpu=4,node=1,gres/gpu=1,gres/gpu:A100=1"
        for number, (tres, hours) in enumerate([(gpus, 1), (mig, 2), (capital, 4), (gpus, 5)] * 3):
            end = 28_000 - 1_800 * number
            rig.ended(
                end,
                id_job=50_000 + number,
                job_name="train",
                account=ACCOUNTS[number % 4],
                tres_alloc=tres,
                time_start=rig.now - end - 3_600 * hours,
            )
        # The last task of array 4711 is job 4711; the job 47113 is somebody else's.
        for task, job in ((0, 4712), (3, 4713), (7, 4711)):
            rig.ended(
                20_000,
                id_job=job,
                id_array_job=4711,
                id_array_task=task,
                account="7",
                tres_alloc=gpus,
                time_start=rig.now - 20_900,
            )
        rig.ended(20_000, id_job=47113, account="1e5", tres_alloc=gpus, time_start=rig.now - 21_800)
        for offset in (0, 1):
            rig.ended(
                15_000,
                id_job=47_120 + offset,
                het_job_id=47_120,
                het_job_offset=offset,
                account="100000",
                tres_alloc=mig if offset else "cpu=1,node=1",
                time_start=rig.now - 16_800,
            )
        rig.ended(
            9_000,
            id_job=47_130,
            id_array_job=47_130,
            array_tasks=[*range(0, 100, 3)],
            state="CANCELLED",
            nodelist=None,
            nodes_alloc=0,
            time_start=0,
            tres_alloc="",
            account="7",
        )
        first = rig.ended(
            8_000, id_job=47_140, account="007", state="REQUEUED", tres_alloc=gpus, time_start=rig.now - 9_800
        )
        rig.ended(
            3_000,
            id_job=47_140,
            time_submit=first.time_submit + 4_000,
            account="007",
            tres_alloc=gpus,
            time_start=rig.now - 4_800,
        )
        used = rig.ended(2_000, id_job=47_150, account="1e5", tres_alloc=gpus, time_start=rig.now - 5_600)
        rig.cluster.add_step(used, "batch", max_rss=1 << 30, cpu_milliseconds=5_000)


async def _run(rig: Rig) -> None:
    await rig.once()
    revised = rig.ended(10, id_job=47_160, account="100000", tres_alloc="cpu=1,node=1,gres/gpu=1")
    rig.move(60)
    await rig.once()
    # A runaway that was set right: it ended an hour and a half after it seemed to have begun.
    rig.cluster.update_job(revised, time_start=rig.now - 70 - 5_400, admin_comment="runaway")
    rig.move(600)
    await rig.once()
