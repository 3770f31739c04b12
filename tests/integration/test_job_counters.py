"""The metrics of ended jobs against slurmdbd's own table, whatever happens to daemon, store and labels."""

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from slurmwatchd.config.metrics_section import MetricsSection
from slurmwatchd.daemon.daemon import Daemon
from slurmwatchd.operations.backfill import BackfillScope
from slurmwatchd.store import backfills
from slurmwatchd.store.ledger import ledger_of
from tests.integration.rig import START, Rig
from tests.patience import HANGS_SECONDS

HOUR, DAY = 3600, 86_400
SHOWN = {
    "cpu": "ended_cpu_seconds",
    "node": "ended_node_seconds",
    "gpu": "ended_gpu_seconds",
    "ended": "jobs_ended",
}
ALL = {"labels": ["partition", "account", "user", "qos"]}


def shown(daemon: Daemon) -> dict[str, float]:
    """What the families add up to."""
    sums: defaultdict[str, float] = defaultdict(float)
    for family in daemon.metrics.registry.collect():
        for name, part in SHOWN.items():
            if family.name == f"slurmwatchd_{part}":
                sums[name] += sum(sample.value for sample in family.samples)
    return dict(sums)


def accounted(rig: Rig, since: int = 0) -> dict[str, float]:
    """The same as slurmdbd's table has it: 1 is CPUs, 4 nodes, 1001 all GPUs."""
    found: defaultdict[str, float] = defaultdict(float, {"cpu": 0, "node": 0, "gpu": 0, "ended": 0})
    with closing(sqlite3.connect(rig.folder / "slurm.db")) as slurmdbd:
        rows = slurmdbd.execute(
            "SELECT tres_alloc, time_end - time_start FROM jobs WHERE time_end > ?", (since,)
        ).fetchall()
    for tres, seconds in rows:
        counts = dict(pair.split("=") for pair in tres.split(","))
        found["ended"] += 1
        for number, name in (("1", "cpu"), ("4", "node"), ("1001", "gpu")):
            found[name] += int(counts.get(number, 0)) * seconds
    return dict(found)


def some_end(rig: Rig, count: int, *, seconds_ago: int = 5) -> None:
    """Jobs of several users and sizes, some with GPUs of a type."""
    for number in range(count):
        gpus = f",1001={number % 3},1002={number % 3}" if number % 3 else ""
        tres = f"1={number % 5 + 1},2=4000,4={number % 2 + 1}{gpus}"
        rig.ended(
            seconds_ago,
            user=f"u{number % 4}",
            account=f"a{number % 2}",
            partition=("main", "gpu")[number % 2],
            tres_alloc=tres,
            tres_req=tres,
            nodes_alloc=number % 2 + 1,
            nodelist=("n1", "n[1-2]")[number % 2],
            time_start=rig.now - seconds_ago - 7 * number - 60,
        )


def _damage_store(rig: Rig) -> None:
    ((page,),) = rig.ask_store("SELECT rootpage FROM sqlite_master WHERE name = 'events'")
    ((size,),) = rig.ask_store("PRAGMA page_size")
    with rig.store.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


async def counted(rig: Rig) -> dict[str, float]:
    async with rig.daemon() as daemon:
        await daemon.once()
        return shown(daemon)


@pytest.mark.parametrize("labels", [{}, ALL], ids=["partition", "all labels"])
async def test_counters_equal_slurmdbds_table_whatever_happens(tmp_path: Path, labels: dict[str, Any]) -> None:
    with Rig(tmp_path, metrics=labels, store={"path": str(tmp_path / "store.db"), "retain": "1h"}) as rig:
        some_end(rig, 12)
        assert await counted(rig) == accounted(rig)
        rig.move(30)
        some_end(rig, 7)
        _damage_store(rig)
        assert await counted(rig) == accounted(rig)
        rig.move(2 * DAY)
        some_end(rig, 5)
        assert await counted(rig) == accounted(rig)
        # Retention took the first ones away.
        assert rig.ask_store("SELECT count(*) < 24 FROM jobs") == [(1,)]
        assert accounted(rig)["ended"] == 24


async def test_counters_equal_slurmdbds_table_while_labels_come_and_go(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        for number, labels in enumerate(
            (("partition",), ("user", "partition"), (), tuple(ALL["labels"]), ("qos",))
        ):
            metrics = MetricsSection(labels=labels)
            rig.config = rig.config.model_copy(update={"metrics": metrics})
            some_end(rig, 6)
            async with rig.daemon() as daemon:
                await daemon.once()
                assert shown(daemon) == accounted(rig)
                assert shown(daemon)["ended"] == 12 * number + 6
                # A reload while it runs.
                daemon.apply(rig.config.model_copy(update={"metrics": MetricsSection(labels=("account",))}))
                rig.move(30)
                some_end(rig, 6)
                await daemon.once()
                assert shown(daemon) == accounted(rig)
            rig.move(30)


async def test_what_a_backfill_finds_is_counted_once_and_only_where_it_is_wanted(tmp_path: Path) -> None:
    for name, wanted in (("without", False), ("with", True)):
        sinks = {"metrics": {"type": "prometheus", "backfill": wanted}}
        folder = tmp_path / name
        folder.mkdir()
        with Rig(folder, sinks=sinks, poll={"since": "1h"}) as rig:
            some_end(rig, 4, seconds_ago=5 * HOUR)
            some_end(rig, 3)
            first = accounted(rig, START - HOUR)
            async with rig.daemon() as daemon:
                await daemon.once()
                assert shown(daemon) == first
                for _ in range(2):
                    await _backfill(daemon)
                    assert shown(daemon) == (accounted(rig) if wanted else first)
            assert accounted(rig)["ended"] == 7


async def _backfill(daemon: Daemon) -> None:
    """Read the last eight hours, whether they were read before or not."""
    read = await ledger_of(daemon.database, "sim")
    assert read is not None
    spans = BackfillScope(start=START - 8 * HOUR, end=START, again=True).spans(read)
    assert await backfills.ask(daemon.database, "sim", spans, now=START)
    await daemon.backfill()


async def test_partitions_that_slurmctld_names_stand_at_zero(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(30 * DAY, partition="long")
        rig.ended(30 * DAY, partition="long,short")
        async with rig.daemon() as daemon:
            assert await daemon.partition_names.round()
            value = daemon.metrics.registry.get_sample_value

            def of(partition: str, state: str) -> float | None:
                labels = {"slurm_cluster": "sim", "partition": partition, "state": state}
                return value("slurmwatchd_jobs_ended_total", labels)

            assert (of("long", "FAILED"), of("long", "NODE_FAIL"), of("long,short", "FAILED")) == (0, 0, None)
            assert daemon.metrics.known_partitions == {"sim": ("long",)}
            # A slurmctld that is silent for a while takes nothing away.
            rig.cluster.add_fault("scontrol", "exit", match="partition", code=1)
            assert not await daemon.partition_names.round()
            assert of("long", "FAILED") == 0


async def test_a_bad_node_stands_on_the_page_until_it_is_one_no_more(tmp_path: Path) -> None:
    with Rig(tmp_path, metrics={"suspect_nodes": 1}) as rig:
        for number in range(240):
            node, eaten = number % 20 + 1, number % 20 < 2
            run = 900 if not eaten else 5 + number % 2
            rig.ended(
                600 + number,
                user=f"u{number % 7}",
                nodelist=f"n{node}",
                state="FAILED" if eaten else "COMPLETED",
                time_start=rig.now - 600 - number - run,
            )
        async with rig.daemon() as daemon:
            await daemon.once()

            def scores() -> dict[str, float]:
                return {
                    sample.labels["node"]: sample.value
                    for family in daemon.metrics.registry.collect()
                    for sample in family.samples
                    if sample.name == "slurmwatchd_suspect_node_score"
                }

            assert scores() == {}
            with anyio.fail_after(HANGS_SECONDS):
                await daemon.suspect_nodes.round()
            # Two are bad, and one may be shown.
            assert len(scores()) == 1
            assert set(scores()) <= {"n1", "n2"}
            assert all(score > 2 for score in scores().values())
            daemon.suspect_nodes.limit = 10
            await daemon.suspect_nodes.round()
            assert set(scores()) == {"n1", "n2"}
            daemon.suspect_nodes.limit = 0
            await daemon.suspect_nodes.round()
            assert scores() == {}
            daemon.suspect_nodes.limit = 10
            rig.move(2 * DAY)
            await daemon.suspect_nodes.round()
            assert scores() == {}
