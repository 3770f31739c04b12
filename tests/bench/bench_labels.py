"""What labels cost: the same answers of sacct read, stored, written to a file and counted, with and without them.

    python -m tests.bench.bench_labels [--jobs 40000] [--users 10000] [--limit 1000] [--pairs 3]

sacct itself and scontrol are not in it, so the whole of a daemon shows a smaller ratio. The first half of the
attempts is not timed: then the label sets have found their places, as in a daemon that has run for a day. Rounds
without and with labels alternate, and the medians are compared, so that what else the machine does falls on both
alike.
"""

import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread
import click
from prometheus_client import generate_latest

from slurmwatchd.cli.tuning import tune
from slurmwatchd.daemon.delivery import Delivery, DeliveryParts
from slurmwatchd.model.attempts import AttemptBatch
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.model.job_metrics import CHOICE, LabelChoice
from slurmwatchd.model.records import FoundBy, JobRecord
from slurmwatchd.sinks.jsonl import JsonlOptions, JsonlSink
from slurmwatchd.sinks.prometheus import PrometheusOptions, PrometheusSink
from slurmwatchd.sources.sacct.columns import ColumnReader
from slurmwatchd.sources.sacct.framing import RowReader
from slurmwatchd.store.batch import Batch
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.telemetry.exposition import exposition
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.metrics import Metrics
from tests.bench.bench_odd_rows import LAYOUT
from tests.bench.million import attempts

BATCH = 2000
PIECE_BYTES = 1 << 17
"""So much of an answer is read at a time, as the daemon does."""
DELIMITER = b"\x1f~labels~\x1f"
TARGET_RATIO = 1.10


class Answer(NamedTuple):
    """What sacct prints of some attempts, and what scontrol says of their node lists."""

    text: bytes
    expanded: Mapping[str, tuple[str, ...]]


@click.command()
@click.option("--jobs", default=40_000, show_default=True)
@click.option("--users", default=10_000, show_default=True)
@click.option("--limit", default=1000, show_default=True, help="max_label_sets.")
@click.option("--pairs", default=3, show_default=True)
def main(jobs: int, users: int, limit: int, pairs: int) -> None:
    """Measure."""
    tune()
    source = answers(jobs, users)
    took: dict[str, list[float]] = {"none": [], "all": []}
    cpu: dict[str, list[float]] = {"none": [], "all": []}
    for _ in range(pairs):
        for name, labels in (("none", ()), ("all", CHOICE)):
            wall, own = anyio.run(round_of, source, LabelChoice(labels=labels, families={}, limits={}), limit)
            took[name].append(wall)
            cpu[name].append(own)
    for what, seconds in (("wall", took), ("CPU", cpu)):
        none, whole = (statistics.median(seconds[name]) for name in ("none", "all"))
        each = 2e6 / jobs
        click.echo(
            f"{what}: none {none * each:.1f} us a job, all {whole * each:.1f} us a job, ratio {whole / none:.3f} "
            f"(target {TARGET_RATIO})"
        )
    click.echo(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def answers(jobs: int, users: int) -> list[Answer]:
    """Return the attempts of many users, a few of whom have most of them, as sacct prints them."""
    chance = random.Random(2)  # noqa: S311 - the same each time
    names = chance.choices(range(users), [1 / (number + 1) for number in range(users)], k=jobs)
    named = (
        (with_user(record, user), nodes) for (record, nodes), user in zip(attempts(jobs, 1), names, strict=True)
    )
    met = set[str]()
    return [answer_of(some, met) for some in iter(lambda: list(islice(named, BATCH)), [])]


def with_user(record: JobRecord, user: int) -> JobRecord:
    """Return an attempt as that of a user."""
    return record._replace(user=f"user{user:05d}", account=f"account{user % 200}")


def answer_of(some: Iterable[tuple[JobRecord, tuple[str, ...]]], met: set[str]) -> Answer:
    """Return attempts and their nodes as Slurm prints them; adds to the node lists that were met."""
    lines = [b"".join(name.encode() + DELIMITER for name in LAYOUT.fields)]
    expanded: dict[str, tuple[str, ...]] = {}
    for record, nodes in some:
        row = row_of(record)
        lines.append(b"".join(row.get(name, b"") + DELIMITER for name in LAYOUT.fields))
        if record.node_list and record.node_list not in met:
            met.add(record.node_list)
            expanded[record.node_list] = nodes
    return Answer(b"\n".join(lines) + b"\n", expanded)


def row_of(record: JobRecord) -> dict[str, bytes]:
    """Return what sacct prints of an attempt, by the names of its fields."""
    tres = f"billing=4,cpu={record.cpus},mem=4000M,node={record.node_count}"
    values = {
        "Cluster": record.cluster, "JobIDRaw": record.job_id_raw, "JobID": record.job_id,
        "DBIndex": record.db_index, "JobName": record.name, "User": record.user, "UID": record.uid,
        "GID": record.gid, "Account": record.account, "Partition": record.partition, "QOS": record.qos,
        "State": record.state, "ExitCode": "0:0", "DerivedExitCode": "0:0", "Submit": record.submit,
        "Eligible": record.eligible, "Start": record.start, "End": record.end,
        "ElapsedRaw": record.elapsed_seconds, "Planned": "00:01:40", "Suspended": "00:00:00",
        "TimelimitRaw": 1440, "NNodes": record.node_count, "NCPUS": record.cpus,
        "NodeList": record.node_list, "ReqTRES": tres, "AllocTRES": tres, "WorkDir": record.work_dir,
        "SubmitLine": record.submit_line, "Restarts": 0, "Reason": "None", "Priority": 100,
    }  # fmt: skip
    return {name: str(value).encode() for name, value in values.items()}


def batch_of(answer: Answer) -> Batch:
    """Read an answer, as the daemon reads it."""
    rows, columns = RowReader(DELIMITER, LAYOUT.fields), ColumnReader(LAYOUT)
    parts: list[AttemptBatch] = []
    for begin in range(0, len(answer.text), PIECE_BYTES):
        readings, rejected = columns.read(rows.feed(answer.text[begin : begin + PIECE_BYTES]))
        assert not rejected
        parts.append(readings)
    rows.close()
    return Batch(
        cluster="tux",
        readings=AttemptBatch.joined(parts),
        slots=LAYOUT.slots,
        observed=1_795_500_000,
        found_by=FoundBy.POLL,
        expanded=answer.expanded,
    )


async def round_of(source: Sequence[Answer], choice: LabelChoice, limit: int) -> tuple[float, float]:
    """Read, store, write and count all of it; return wall and CPU seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with open_database(folder / "store.db") as database:
            metrics = Metrics()
            metrics.label_choice = choice
            health = Health(SystemClock())
            parts = DeliveryParts(database=database, clock=SystemClock(), metrics=metrics, health=health)
            options = PrometheusOptions(type="prometheus", max_label_sets=limit)
            counters = PrometheusSink("metrics", options, metrics)
            file = JsonlSink("file", JsonlOptions(type="jsonl", path=folder / "jobs.jsonl"), Metrics())
            deliveries = [Delivery("metrics", counters, parts), Delivery("file", file, parts)]
            for delivery in deliveries:
                await delivery.enter()
            intake = await Intake.load(database)
            began, own = time.perf_counter(), time.process_time()
            for number, answer in enumerate(source):
                if number == len(source) // 2:
                    began, own = time.perf_counter(), time.process_time()
                await intake.commit(await anyio.to_thread.run_sync(batch_of, answer))
                for delivery in deliveries:
                    await delivery.drain()
            wall, own = time.perf_counter() - began, time.process_time() - own
            for delivery in deliveries:
                await delivery.close()
            text = exposition(metrics.registry, "")[0]
            lines = sum(not line.startswith(b"#") for line in text.splitlines())
            ended = text.count(b"\nslurmwatchd_jobs_ended_total{")
            click.echo(
                f"labels {','.join(choice.labels) or 'none'}: {wall:.2f} s, jobs_ended has {ended} label sets"
            )
            click.echo(f"  {lines} series, CPU of a scrape: {_scrapes(metrics, counters)}")
    return wall, own


def _scrapes(metrics: Metrics, counters: PrometheusSink) -> str:
    """Render what stands there by prometheus-client and by our own hand, and say what each took."""

    def timed(render: Callable[[], object]) -> float:
        began = time.process_time()
        render()
        return (time.process_time() - began) * 1000

    theirs = statistics.median(timed(lambda: generate_latest(metrics.registry)) for _ in range(5))
    counters._written = {}
    first = timed(lambda: exposition(metrics.registry, ""))
    later = []
    for _ in range(5):
        # A tenth of the label sets changed since the last scrape.
        for key in list(counters._written)[::10]:
            counters._written.pop(key)
        later.append(timed(lambda: exposition(metrics.registry, "")))
    ours = statistics.median(later)
    return (
        f"prometheus-client {theirs:.0f} ms; ours {first:.0f} ms at first, {ours:.0f} ms where a tenth changed, "
        f"ratio {ours / theirs:.2f} (target 0.5)"
    )


if __name__ == "__main__":
    main()
