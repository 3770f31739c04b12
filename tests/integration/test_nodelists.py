"""Each distinct node list is asked of scontrol once in the life of a store; a bad one costs only itself."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from slurmwatchd.sources import nodelists
from slurmwatchd.sources.process import Completed, Spool, SystemProcessRunner, TimedOutError
from tests.integration.rig import Rig
from tests.sim_truth import differences

INVALID = "r[1-2]c[1-2]-ib0"
"""Two ranges in one name: scontrol 22.05 refuses it, with a message on stderr, exit 0 and no answer."""


def _asked(rig: Rig) -> Counter[str]:
    """How often each list was handed to scontrol."""
    calls = [call.argv[2] for call in rig.cluster.calls("scontrol") if call.argv[:2] == ("show", "hostnames")]
    return Counter(text for argument in calls for text in argument[2:-2].split(",=,"))


async def test_scontrol_is_asked_once_for_each_list_also_after_restarts_and_rereads(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        for number in range(12):
            rig.ended(number, nodelist=f"n[1-{2 + number % 3}]", nodes_alloc=2 + number % 3)
        await rig.once()
        async with rig.daemon() as daemon:
            for number in range(4):
                rig.move(400)
                rig.ended(1, nodelist=f"n[1-{2 + number % 3}]", nodes_alloc=2 + number % 3)
                await daemon.once()
        await rig.once()
        assert _asked(rig) == {"n[1-2]": 1, "n[1-3]": 1, "n[1-4]": 1}
        assert differences(rig.cluster, rig.records()) == []
        assert {tuple(record["nodes"]) for record in rig.records()} == {
            ("n1", "n2"),
            ("n1", "n2", "n3"),
            ("n1", "n2", "n3", "n4"),
        }


async def test_many_lists_share_one_process_and_single_nodes_need_none(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        with rig.cluster.batch():
            for number in range(500):
                rig.ended(5, nodelist=f"n[{number}-{number + 1}]", nodes_alloc=2)
                rig.ended(5, nodelist=f"n{number}")
        await rig.once()
        assert len(_asked(rig)) == 500
        calls = [call for call in rig.cluster.calls("scontrol") if call.argv[1] == "hostnames"]
        assert len(calls) == 1
        assert sum(len(record["nodes"]) for record in rig.records()) == 1500


async def test_list_that_is_none_costs_its_own_nodes_and_nothing_else(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        for number in range(8):
            rig.ended(5, job_name="good", nodelist=f"n[{number}-{number + 1}]", nodes_alloc=2)
        rig.ended(5, job_name="bad", nodelist=INVALID, nodes_alloc=4)
        async with rig.daemon() as daemon:
            await daemon.once()
            failures = daemon.metrics.registry.get_sample_value(
                "slurmwatchd_nodelist_failures_total", {"slurm_cluster": "sim"}
            )
        assert failures == 1
        assert differences(rig.cluster, rig.records()) == []
        bad = [record for record in rig.records() if record["name"] == "bad"]
        assert [(record["node_list"], "nodes" in record) for record in bad] == [(INVALID, False)]
        assert all(len(record["nodes"]) == 2 for record in rig.records() if record["name"] == "good")


async def test_list_that_was_refused_is_expanded_once_slurm_understands_it(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(5, job_name="before", nodelist=INVALID, nodes_alloc=4)
        await rig.once()
        rig.cluster.set_version("24.11.5")
        rig.move(30)
        rig.ended(1, job_name="after", nodelist=INVALID, nodes_alloc=4)
        await rig.once()
        assert rig.names() == ["before", "after"]
        assert rig.records()[1]["nodes"] == ["r1c1-ib0", "r1c2-ib0", "r2c1-ib0", "r2c2-ib0"]


@pytest.mark.parametrize(("kind", "code"), [("exit", 1), ("kill", 0)])
async def test_scontrol_that_fails_holds_nothing_up_and_clustershell_takes_its_place(
    tmp_path: Path, kind: str, code: int
) -> None:
    with Rig(tmp_path) as rig:
        stderr = "scontrol: fatal: Could not establish a configuration source"
        rig.cluster.add_fault("scontrol", kind, count=None, match="hostnames", code=code, stderr=stderr)
        rig.ended(5, nodelist="n[08-10]", nodes_alloc=3)
        await rig.once()
        assert rig.records()[0]["nodes"] == ["n08", "n09", "n10"]


@pytest.mark.parametrize(
    ("kind", "wish", "failures"),
    [
        ("stderr_exit0", {"stderr": "scontrol: error: something"}, 0),
        ("exit", {"code": 0, "stderr": "scontrol: error: something"}, 1),
        ("cut", {}, 1),
        ("cut", {"records": 3}, 1),
    ],
)
async def test_an_answer_is_judged_by_itself_and_forty_lists_are_one_process_whatever_is_on_stderr(
    tmp_path: Path, kind: str, wish: dict[str, str | int], failures: int
) -> None:
    with Rig(tmp_path) as rig:
        rig.cluster.add_fault("scontrol", kind, count=None, match="hostnames", **wish)  # type: ignore[arg-type]
        with rig.cluster.batch():
            for number in range(40):
                rig.ended(5, nodelist=f"n[{number + 100}-{number + 101}]", nodes_alloc=2)
        async with rig.daemon() as daemon:
            await daemon.once()
            sample = daemon.metrics.registry.get_sample_value
            assert sample("slurmwatchd_scontrol_failures_total", {"slurm_cluster": "sim"}) == failures
            assert sample("slurmwatchd_nodelist_failures_total", {"slurm_cluster": "sim"}) == 0
        assert [len(record["nodes"]) for record in rig.records()] == [2] * 40
        assert len([call for call in rig.cluster.calls("scontrol") if "hostnames" in call.argv]) == 1


async def test_number_of_nodes_that_slurm_tells_catches_a_list_that_scontrol_expands_wrong(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        script = tmp_path / "bin" / "scontrol"
        script.rename(tmp_path / "bin" / "scontrol-simulated")
        script.write_text(f'#!/bin/sh\n{script}-simulated "$@" | grep -vx n2\n')
        script.chmod(0o755)
        rig.ended(5, nodelist="n[1-3]", nodes_alloc=3)
        rig.ended(5, nodelist="m[1-2]", nodes_alloc=2)
        async with rig.daemon(SystemProcessRunner()) as daemon:
            await daemon.once()
            sample = daemon.metrics.registry.get_sample_value
            assert sample("slurmwatchd_scontrol_failures_total", {"slurm_cluster": "sim"}) == 1
            assert sample("slurmwatchd_nodelist_mismatches_total", {"slurm_cluster": "sim"}) == 0
        assert [record["nodes"] for record in rig.records()] == [["n1", "n2", "n3"], ["m1", "m2"]]


async def test_scontrol_that_is_not_there_is_done_without(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        (tmp_path / "bin" / "scontrol").unlink()
        rig.ended(5, nodelist="n[1-2]", nodes_alloc=2)
        await rig.once()
        assert rig.records()[0]["nodes"] == ["n1", "n2"]


async def test_nodes_of_a_list_too_long_for_a_line_are_left_out_and_stay_in_the_store(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(5, nodelist="node[00001-09999]", nodes_alloc=9999)
        await rig.once()
        (record,) = rig.records()
        assert record["nodes_omitted"] is True
        assert "nodes" not in record
        assert record["node_list"] == "node[00001-09999]"
        assert rig.ask_store("SELECT node_count FROM nodelists") == [(9999,)]
        assert rig.ask_store("SELECT count(*) FROM nodelist_nodes") == [(9999,)]


class _Hanging:
    """A runner whose scontrol hangs for a minute of the rig's time, each time it is asked for nodes."""

    def __init__(self, rig: Rig) -> None:
        self._rig, self._inner = rig, rig.runner()
        self.stalled: set[str] = set()
        self.look: Callable[[], list[str]] = list

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        timeout_seconds: float,
        spool: Spool | None = None,
    ) -> Completed:
        """See `ProcessRunner.run`."""
        if "hostnames" not in argv:
            return await self._inner.run(argv, env=env, timeout_seconds=timeout_seconds, spool=spool)
        self._rig.clock.move(timeout_seconds)
        self.stalled |= set(self.look())
        raise TimedOutError("scontrol gave no complete answer", argv=argv)


@pytest.mark.heavy
async def test_a_scontrol_that_hangs_for_each_batch_of_a_long_answer_is_no_stuck_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if it hung for each batch, however long it is left alone in between.
    monkeypatch.setattr(nodelists, "PAUSE_SECONDS", 0)
    with Rig(tmp_path, slurm={"timeout": "1m"}) as rig:
        with rig.cluster.batch():
            for number in range(10_000):
                rig.ended(number % 3000, nodelist=f"n[{number + 1}-{number + 2}]", nodes_alloc=2)
        runner = _Hanging(rig)
        async with rig.daemon(runner) as daemon:
            runner.look = daemon.health.stalled
            await daemon.once()
        assert rig.ask_store("SELECT count(*) FROM jobs") == [(10_000,)]
        assert runner.stalled == set()
