"""What the steps of ended jobs used: told once for each attempt, complete or not, whatever dies in between."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from simslurm import Workload
from slurmwatchd.config.settings import StepsSection
from slurmwatchd.errors import SacctError
from slurmwatchd.watcher import usage_collector
from tests.integration.rig import START, Rig
from tests.patience import HANGS_SECONDS
from tests.sim_truth import epoch

if TYPE_CHECKING:
    from simslurm.rows import JobColumns, StepColumns

SUBMIT_LINE = "/usr/bin/sbatch job.sh"


def usages(rig: Rig) -> list[dict[str, Any]]:
    return [record for record in rig.records() if record["event"] == "job_usage"]


def step_calls(rig: Rig) -> list[list[str]]:
    """The questions for steps: attempts that are missing are asked for by id too, but without steps."""
    return [list(call.argv) for call in rig.cluster.calls("sacct") if "-j" in call.argv and "-X" not in call.argv]


def with_usage(folder: Path, mode: str = "summary", version: str = "22.05.8", **sections: dict[str, Any]) -> Rig:
    return Rig(folder, version=version, steps={"mode": mode}, **sections)


async def test_usage_follows_the_end_with_the_sums_of_the_steps(tmp_path: Path) -> None:
    with with_usage(tmp_path) as rig:
        key = rig.ended(30, job_name="three steps", submit_line=SUBMIT_LINE, tres_req="cpu=2,mem=1000,node=1")
        rig.cluster.add_step(key, "batch", max_rss=10_000_000, cpu_milliseconds=40, disk_read=7, disk_write=1)
        rig.cluster.add_step(key, 0, max_rss=209_715_200, cpu_milliseconds=60_027, task_cnt=3, disk_read=100)
        rig.cluster.add_step(key, 1, max_rss=5_000, cpu_milliseconds=1_000, disk_write=2_000)
        await rig.once()
        ended, told = rig.records()
        assert (ended["event"], told["event"]) == ("job_ended", "job_usage")
        # What uuid5 makes of the namespace in model/event_ids.py and "sim/1/<submit>/job_usage/1".
        assert told["id"] == "4bcf35dd-2f06-56a4-9ba3-5930c720f4ee"
        assert (told["revision"], told["seq"], told["time"]) == (1, 2, ended["end"])
        assert told["usage"] == {
            "cpu_seconds": 61.067,
            "user_cpu_seconds": 54.960,
            "system_cpu_seconds": 6.106,
            "max_rss_bytes": 209_715_200,
            "ave_rss_bytes": 209_715_200,
            "memory_bytes": 629_145_600,
            "max_vmsize_bytes": 419_430_400,
            "disk_read_bytes": 307,
            "disk_write_bytes": 2_001,
            "energy_joules": 0,
            "cpu_efficiency": 0.508892,
            "memory_efficiency": 0.6,
            "steps": 3,
            "complete": True,
        }
        same = {"id", "event", "seq", "observed", "usage"}
        assert {name: told[name] for name in told if name not in same} == {
            name: ended[name] for name in ended if name not in same
        }


async def test_nothing_is_asked_and_nothing_told_with_mode_off(tmp_path: Path) -> None:
    with with_usage(tmp_path, "off") as rig:
        rig.cluster.add_step(rig.ended(30), "batch", max_rss=1)
        await rig.once()
        assert [record["event"] for record in rig.records()] == ["job_ended"]
        assert step_calls(rig) == []
        assert rig.ask_store("SELECT count(*) FROM usage_queue") == [(0,)]


async def test_turned_off_it_forgets_who_waits_and_turned_on_it_begins_with_what_ends_then(tmp_path: Path) -> None:
    with with_usage(tmp_path) as rig:
        rig.cluster.add_step(
            rig.ended(30, submit_line=SUBMIT_LINE), "batch", max_rss=1, end_visible_at=START + 9e9
        )
        await rig.once()
        assert rig.ask_store("SELECT count(*) FROM usage_queue") == [(1,)]
        for mode in ("off", "summary"):
            rig.config = rig.config.model_copy(update={"steps": StepsSection(mode=mode)})
            rig.move(600)
            rig.cluster.add_step(rig.ended(30, job_name=mode, submit_line=SUBMIT_LINE), "batch", max_rss=1)
            await rig.once()
        assert [told["name"] for told in usages(rig)] == ["summary"]
        assert len(rig.names()) == 3


async def test_full_mode_tells_each_step(tmp_path: Path) -> None:
    with with_usage(tmp_path, "full") as rig:
        key = rig.ended(30, submit_line=SUBMIT_LINE)
        rig.cluster.add_step(key, "batch", max_rss=1000, cpu_milliseconds=40)
        rig.cluster.add_step(key, 0, max_rss=2000, cpu_milliseconds=1_500, exit_code=3 << 8, state="FAILED")
        await rig.once()
        (told,) = usages(rig)
        assert [step["id"] for step in told["steps"]] == ["batch", "0"]
        (step,) = [step for step in told["steps"] if step["id"] == "0"]
        assert step == {
            "id": "0",
            "name": "step",
            "state": "FAILED",
            "exit_code": 3,
            "exit_signal": 0,
            "start": told["start"],
            "end": told["end"],
            "elapsed_seconds": 60,
            "node_count": 1,
            "tasks": 1,
            "cpus": 1,
            "node_list": "n1",
            "cpu_seconds": 1.5,
            "user_cpu_seconds": 1.35,
            "system_cpu_seconds": 0.15,
            "max_rss_bytes": 2000,
            "ave_rss_bytes": 2000,
            "memory_bytes": 2000,
            "max_vmsize_bytes": 4000,
            "energy_joules": 0,
            "complete": True,
        }


async def test_steps_of_a_requeued_job_fall_to_their_own_attempt(tmp_path: Path) -> None:
    with with_usage(tmp_path) as rig:
        first = rig.ended(300, state="REQUEUED", submit_line=SUBMIT_LINE)
        rig.cluster.add_step(first, "batch", max_rss=111, cpu_milliseconds=1_000)
        second = rig.ended(30, id_job=first.id_job, submit_line=SUBMIT_LINE)
        rig.cluster.add_step(second, "batch", max_rss=222, cpu_milliseconds=2_000)
        rig.cluster.add_step(second, 0, max_rss=333, cpu_milliseconds=4_000)
        await rig.once()
        found = {
            told["state"]: (told["usage"]["cpu_seconds"], told["usage"]["max_rss_bytes"]) for told in usages(rig)
        }
        assert found == {"REQUEUED": (1.0, 111), "COMPLETED": (6.0, 333)}


async def test_step_that_has_not_ended_is_asked_for_again_after_five_minutes(tmp_path: Path) -> None:
    with with_usage(tmp_path, poll={"reread": []}) as rig:
        key = rig.ended(30, submit_line=SUBMIT_LINE)
        rig.cluster.add_step(key, "batch", max_rss=111, end_visible_at=START + 100)
        await rig.once()
        assert usages(rig) == []
        rig.move(290)
        await rig.once()
        assert len(step_calls(rig)) == 1
        rig.move(20)
        await rig.once()
        (told,) = usages(rig)
        assert (told["usage"]["complete"], told["usage"]["max_rss_bytes"]) == (True, 111)
        assert told["observed"] == "2026-11-24T06:05:10Z"
        assert len(step_calls(rig)) == 2


@pytest.mark.parametrize("case", ["unended", "batch step missing", "no step at all"])
async def test_what_stays_incomplete_is_told_so_after_fifteen_minutes(tmp_path: Path, case: str) -> None:
    with with_usage(tmp_path, poll={"reread": []}) as rig:
        launcher = "srun hostname" if case == "no step at all" else SUBMIT_LINE
        key = rig.ended(30, submit_line=launcher, state="CANCELLED", kill_requid=0)
        if case == "unended":
            rig.cluster.add_step(key, "batch", max_rss=7, end_visible_at=START + 90_000)
            rig.cluster.add_step(key, 0, max_rss=111)
        if case == "batch step missing":
            rig.cluster.add_step(key, 0, max_rss=111)
        for _ in range(18):
            await rig.once()
            rig.move(60)
        (told,) = usages(rig)
        assert told["usage"]["complete"] is False
        assert told["usage"].get("max_rss_bytes") == (None if case == "no step at all" else 111)
        assert told["observed"] == "2026-11-24T06:15:00Z"
        assert len(step_calls(rig)) == 3
        rig.move(86_400)
        await rig.once()
        assert len(usages(rig)) == 1


async def test_allocation_without_steps_is_complete_and_used_nothing(tmp_path: Path) -> None:
    with with_usage(tmp_path) as rig:
        rig.ended(30, submit_line="salloc -n1")
        await rig.once()
        (told,) = usages(rig)
        assert told["usage"] == {
            "cpu_seconds": 0.0,
            "user_cpu_seconds": 0.0,
            "system_cpu_seconds": 0.0,
            "cpu_efficiency": 0.0,
            "energy_joules": 0,
            "steps": 0,
            "complete": True,
        }


async def test_attempt_that_never_started_costs_no_call(tmp_path: Path) -> None:
    with with_usage(tmp_path) as rig:
        rig.ended(30, time_start=0, state="CANCELLED", nodelist="None assigned", submit_line=SUBMIT_LINE)
        await rig.once()
        (told,) = usages(rig)
        assert told["usage"] == {
            "cpu_seconds": 0.0,
            "user_cpu_seconds": 0.0,
            "system_cpu_seconds": 0.0,
            "steps": 0,
            "complete": True,
        }
        assert step_calls(rig) == []


async def test_array_and_heterogeneous_job_are_asked_for_piece_by_piece(tmp_path: Path) -> None:
    with with_usage(tmp_path) as rig:
        for task, number in ((0, 101), (1, 102), (2, 100)):
            key = rig.ended(30, id_job=number, id_array_job=100, id_array_task=task, submit_line=SUBMIT_LINE)
            rig.cluster.add_step(key, "batch", max_rss=1000 + task)
        for offset in (0, 1):
            key = rig.ended(
                30, id_job=200 + offset, het_job_id=200, het_job_offset=offset, submit_line=SUBMIT_LINE
            )
            rig.cluster.add_step(key, "batch" if offset == 0 else 0, max_rss=2000 + offset)
        await rig.once()
        found = {told["job_id"]: told["usage"]["max_rss_bytes"] for told in usages(rig)}
        assert found == {"100_0": 1000, "100_1": 1001, "100_2": 1002, "200+0": 2000, "200+1": 2001}
        assert all(told["usage"]["complete"] for told in usages(rig))
        (call,) = step_calls(rig)
        assert sorted(call[call.index("-j") + 1].split(",")) == ["100_2", "101", "102", "200+0", "201"]


@pytest.mark.parametrize("version", ["20.11.9", "21.08.8", "22.05.8", "24.11.5", "26.05.5"])
async def test_every_release_is_read_alike(tmp_path: Path, version: str) -> None:
    with with_usage(tmp_path, version=version) as rig:
        key = rig.ended(30, job_name="app", submit_line="srun app")
        rig.cluster.add_step(key, 0, step_name="app", max_rss=4096, cpu_milliseconds=2_500)
        await rig.once()
        (told,) = usages(rig)
        usage = told["usage"]
        assert (usage["cpu_seconds"], usage["max_rss_bytes"], usage["steps"]) == (2.5, 4096, 1)
        assert usage["complete"]


async def test_failed_list_loses_nothing_and_does_not_hold_up_ends(tmp_path: Path) -> None:
    with with_usage(tmp_path) as rig:
        rig.cluster.add_step(rig.ended(30, submit_line=SUBMIT_LINE), "batch", max_rss=1)
        rig.cluster.add_fault("sacct", "exit", match="-j")
        with pytest.raises(SacctError):
            await rig.once()
        assert len(rig.names()) == 1
        assert usages(rig) == []
        await rig.once()
        assert len(usages(rig)) == 1
        await rig.once()
        assert len(rig.records()) == 2


async def test_list_that_mariadb_ends_with_an_error_is_asked_for_in_halves(tmp_path: Path) -> None:
    with with_usage(tmp_path) as rig:
        for number in range(4):
            rig.cluster.add_step(rig.ended(30 + number, submit_line=SUBMIT_LINE), "batch", max_rss=1)
        rig.cluster.add_fault("sacct", "errno", match="-j", number=1969)
        await rig.once()
        assert [call.fault for call in rig.cluster.calls("sacct")].count("errno") == 1
        assert [told["usage"]["complete"] for told in usages(rig)] == [True] * 4


async def test_attempt_revised_between_question_and_answer_is_told_with_its_new_record(tmp_path: Path) -> None:
    with with_usage(tmp_path, poll={"reread": []}) as rig:
        key = rig.ended(30, submit_line=SUBMIT_LINE, comment="old")
        rig.cluster.add_step(key, "batch", max_rss=5, end_visible_at=START + 100)
        await rig.once()
        rig.cluster.update_job(key, comment="new")
        rig.move(30)
        await rig.once()
        rig.move(280)
        await rig.once()
        assert [record["event"] for record in rig.records()] == ["job_ended", "job_revised", "job_usage"]
        assert usages(rig)[0]["comment"] == "new"


async def test_more_than_there_is_room_for_are_told_without_usage_while_lists_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_collector, "QUEUE_JOBS", 2)
    with with_usage(tmp_path) as rig:
        for number in range(5):
            rig.cluster.add_step(rig.ended(60 - number, submit_line=SUBMIT_LINE), "batch", max_rss=1)
        rig.cluster.add_fault("sacct", "exit", match="-j")
        async with rig.daemon() as daemon:
            with pytest.raises(SacctError):
                await daemon.once()
            collector = daemon.watchers[0]._collector
            assert collector is not None
            rig.cluster.add_fault("sacct", "exit", match="-j")
            assert await collector.work(30) is False
            assert rig.ask_store("SELECT count(*) FROM usage_queue") == [(2,)]
            rig.move(3600)
            await daemon.once()
        assert sorted(told["usage"]["complete"] for told in usages(rig)) == [False] * 3 + [True] * 2
        assert len({told["id"] for told in usages(rig)}) == 5


@pytest.mark.heavy
async def test_realistic_mix_has_one_usage_for_each_end_as_the_database_has_it(tmp_path: Path) -> None:
    with with_usage(tmp_path, poll={"since": "6h"}) as rig:
        Workload(rig.cluster, seed=5, nodes=50).load(700, START - 3600, START - 10)
        await rig.once()
        ended = {(r["job_id_raw"], r["submit"]) for r in rig.records() if r["event"] == "job_ended"}
        told = {(r["job_id_raw"], r["submit"]): r for r in usages(rig)}
        assert set(told) == ended
        assert len(usages(rig)) == len(ended) == 700
        truth = rig.cluster.truth()
        found = {(number, epoch(submit)): record for (number, submit), record in told.items()}
        for job in truth["jobs"]:
            steps = [step for step in truth["steps"] if step["job"] == job["key"]]
            record = found[_key(job)]
            micro = sum(1_000_000 * (s["user_sec"] + s["sys_sec"]) + s["user_usec"] + s["sys_usec"] for s in steps)
            # sacct prints milliseconds below an hour, else whole seconds, and cuts the rest.
            cut = 1000 if micro < 3_600_000_000 else 1_000_000
            assert record["usage"]["cpu_seconds"] == micro // cut * cut / 1_000_000
            assert record["usage"]["steps"] == len(steps)
            peaks = [_count(s["tres_usage_in_max"], "2") for s in steps]
            assert record["usage"].get("max_rss_bytes", 0) == max(peaks, default=0)


def _key(job: dict[str, Any]) -> tuple[int, int]:
    return job["id_job"], job["time_submit"]


def _count(text: str, tres_id: str) -> int:
    counts = dict(item.split("=") for item in text.split(",") if item)
    return int(counts.get(tres_id, 0))


async def test_counters_below_zero_cost_themselves_and_reach_no_total(tmp_path: Path) -> None:
    below_zero = (1 << 64) - 5
    sections: dict[str, Any] = {"sinks": {"totals": {"type": "prometheus"}}}
    with with_usage(tmp_path, mode="full", **sections) as rig:
        key = rig.ended(
            30, job_name="below zero", submit_line=SUBMIT_LINE, tres_req="cpu=2,mem=1000,node=1",
            tres_alloc=f"1=2,2=1000,3={below_zero},4=1",
        )  # fmt: skip
        rig.cluster.add_step(key, "batch", tres_usage_in_tot=f"1=1000,2=524288000,3={below_zero},6=77")
        born_early = rig.ended(20, job_name="no start", time_start=1, tres_alloc="1=2,4=1")
        # A million watts for a minute and the second that whole seconds hide are 61 million joules.
        costly = rig.ended(10, job_name="too much", submit_line=SUBMIT_LINE, tres_alloc="1=2,3=61000001,4=1")
        rig.cluster.add_step(costly, "batch")
        async with rig.daemon() as daemon:
            await daemon.once()
            sample = daemon.metrics.registry.get_sample_value
            partition = {"slurm_cluster": "sim", "partition": "main"}
            assert sample("slurmwatchd_job_energy_joules_total", partition) is None
            assert sample("slurmwatchd_job_elapsed_seconds_sum", partition) == 120
            assert sample("slurmwatchd_job_elapsed_seconds_count", partition) == 2
            # The energy of two records and of their usage, and of a step; start and run of the third.
            assert sample("slurmwatchd_unparsed_values_total", {"slurm_cluster": "sim"}) == 7
        ended, no_start, too_much = (record for record in rig.records() if record["event"] == "job_ended")
        assert ended["alloc_tres"] == {"cpu": 2, "mem_bytes": 1_048_576_000, "node": 1}
        assert ended["raw"] == {"AllocTRES": "energy=18446744073709551616.00"}
        assert (no_start["job_id_raw"], no_start["start"]) == (born_early.id_job, None)
        assert "elapsed_seconds" not in no_start
        assert no_start["raw"] == {"Start": "1", "ElapsedRaw": str(START - 21)}
        assert too_much["raw"] == {"AllocTRES": "energy=61000001"}
        assert [record["usage"].get("raw") for record in usages(rig) if record["name"] == "too much"] == [
            {"ConsumedEnergyRaw": "61000001"}
        ]
        told = next(record for record in usages(rig) if record["name"] == "below zero")
        usage = told["usage"]
        assert (usage["memory_bytes"], usage["disk_read_bytes"]) == (524_288_000, 77)
        assert "energy_joules" not in usage
        assert usage["raw"]["batch.TRESUsageInTot"] == "energy=18446744073709551616.00"


async def test_hundreds_of_steps_that_cannot_be_read_make_a_line_that_fits_and_a_thousand_texts(
    tmp_path: Path,
) -> None:
    # What an energy counter that ran below zero leaves in slurmdbd.
    below_zero = "1=1000,2=900000,3=18446744073709547520,6=1000,7=1000000"
    step: StepColumns = {
        "state": "COMPLETED",
        "time_start": START - 60,
        "time_end": START - 6,
        "tres_usage_in_tot": below_zero,
    }
    job: JobColumns = {
        "state": "COMPLETED",
        "time_submit": START - 90,
        "time_start": START - 60,
        "time_end": START - 5,
    }
    with with_usage(tmp_path) as rig:
        rig.cluster.add_attempt(job, dict.fromkeys(range(1200), step))
        with anyio.fail_after(HANGS_SECONDS):
            await rig.once()
        (told,) = usages(rig)
        assert (told["usage"]["steps"], told["truncated"]) == (1200, ["usage.raw"])
        added = "'{' || substr(body, 2) || '}'"
        kept = f"SELECT count(*) FROM events, json_each({added}, '$.usage.raw') WHERE kind = 'job_usage'"  # noqa: S608
        assert rig.ask_store(kept) == [(1000,)]
