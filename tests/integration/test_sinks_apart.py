"""Sinks have nothing to do with each other: one that is dead or slow holds up neither another nor the reading."""

import fcntl
from pathlib import Path

import anyio
import pytest

from slurmwatchd.errors import SinkError
from tests.integration.rig import Rig
from tests.patience import HANGS_SECONDS
from tests.sim_truth import differences


def _two_files(folder: Path) -> Rig:
    files = {name: {"type": "jsonl", "path": str(folder / f"{name}.jsonl")} for name in ("dead", "jobs")}
    return Rig(folder, sinks=files)


async def test_sink_that_fails_does_not_hold_up_another_nor_the_reading(tmp_path: Path) -> None:
    (tmp_path / "dead.jsonl").mkdir()
    with _two_files(tmp_path) as rig:
        for _ in range(3):
            rig.ended(5)
            with pytest.raises(SinkError, match=r"dead\.jsonl: Is a directory"):
                await rig.once()
            rig.move(30)
        assert differences(rig.cluster, rig.records()) == []
        assert len(rig.records()) == 3
        assert rig.ask_store("SELECT sink, seq FROM cursors WHERE sink != 'prometheus' ORDER BY sink") == [
            ("dead", 0),
            ("jobs", 3),
        ]
        (tmp_path / "dead.jsonl").rmdir()
        await rig.once()
        assert [record["id"] for record in rig.records("dead.jsonl")] == [record["id"] for record in rig.records()]


async def test_running_sinks_go_on_while_one_is_refused_and_it_catches_up_afterwards(tmp_path: Path) -> None:
    with _two_files(tmp_path) as rig, (tmp_path / "dead.jsonl").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        async with rig.daemon() as daemon, anyio.create_task_group() as group:
            for delivery in daemon.deliveries:
                group.start_soon(delivery.run)
            for watcher in daemon.watchers:
                group.start_soon(watcher.run)
            dead, jobs = (daemon.health.sinks[name] for name in ("dead", "jobs"))
            with anyio.fail_after(HANGS_SECONDS):
                for number in range(1, 5):
                    rig.ended(3)
                    while jobs.seq < number:
                        rig.move(5)
                        await anyio.sleep(0.02)
                while not dead.error:
                    rig.move(1)
                    await anyio.sleep(0.02)
                assert dead.seq == 0
                fcntl.flock(other, fcntl.LOCK_UN)
                while dead.seq < 4 or dead.error:
                    rig.move(5)
                    await anyio.sleep(0.02)
            group.cancel_scope.cancel()
        assert differences(rig.cluster, rig.records()) == []
        assert differences(rig.cluster, rig.records("dead.jsonl")) == []


async def test_sink_added_later_begins_with_what_ends_from_then_on(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(5, job_name="before")
        await rig.once()
        rig.config = rig.config.model_copy(update={"sinks": {**rig.config.sinks, "late": _late(rig)}})
        rig.move(30)
        rig.ended(5, job_name="after")
        await rig.once()
        assert [record["name"] for record in rig.records("late.jsonl")] == ["after"]
        assert rig.names() == ["before", "after"]


async def test_metrics_and_file_tell_the_same_after_restarts(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        for number in range(30):
            rig.ended(1, state=("COMPLETED", "FAILED", "TIMEOUT")[number % 3], partition=f"p{number % 2}")
            if number % 7 == 0:
                await rig.once()
            rig.move(5)
        rig.move(30)
        async with rig.daemon() as daemon:
            await daemon.once()
            counted = {
                (sample.labels["partition"], sample.labels["state"]): sample.value
                for family in daemon.metrics.registry.collect()
                for sample in family.samples
                if sample.name == "slurmwatchd_jobs_ended_total"
            }
        in_file: dict[tuple[str, str], int] = {}
        for record in rig.records():
            labels = (record["partition"], record["state"])
            in_file[labels] = in_file.get(labels, 0) + 1
        assert counted == in_file
        assert in_file == {(f"p{p}", s): 5 for p in (0, 1) for s in ("COMPLETED", "FAILED", "TIMEOUT")}


def _late(rig: Rig) -> object:
    return rig.config.sinks["jobs"].model_copy(update={"path": rig.folder / "late.jsonl"})
