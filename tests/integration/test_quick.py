"""The simulated commands answer the same with and without a process of their own."""

from pathlib import Path

import pytest

from slurmwatchd.sources.process import Completed, SystemProcessRunner, child_environment
from tests.integration.quick import QuickRunner
from tests.integration.rig import Rig

CALLS = (
    ("sacct", "-a", "-X", "-D", "-p", "-S", "now-1hour", "-o", "JobID,JobName,Submit,End,NodeList,State"),
    ("sacct", "-V"),
    ("sacct", "--helpformat"),
    ("sacct", "-o", "JobID,Nonsense"),
    ("sacct", "--no-such-option"),
    ("scontrol", "show", "hostnames", "n[1-3,07-09]"),
    ("scontrol", "show", "hostnames", "n[1-"),
    ("scontrol", "show", "config"),
    ("sacctmgr", "-nP", "show", "configuration"),
    ("sdiag",),
)


async def _both(rig: Rig, *call: str) -> tuple[Completed, Completed]:
    argv = [str(rig.folder / "bin" / call[0]), *call[1:]]
    env = child_environment({})
    quick = await QuickRunner(rig.folder / "bin", rig.cluster.path).run(argv, env=env, timeout_seconds=30)
    return quick, await SystemProcessRunner().run(argv, env=env, timeout_seconds=30)


@pytest.mark.parametrize("slurmdbd_down", [False, True], ids=["slurmdbd up", "slurmdbd down"])
@pytest.mark.parametrize("call", CALLS, ids=" ".join)
async def test_answers_are_the_same(tmp_path: Path, call: tuple[str, ...], *, slurmdbd_down: bool) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(60, job_name="a|b\nc")
        rig.cluster.set_slurmdbd_down(down=slurmdbd_down)
        quick, real = await _both(rig, *call)
        for name in ("argv", "returncode", "stdout", "stderr", "complained"):
            assert getattr(quick, name) == getattr(real, name)
        assert quick.stdout or quick.stderr
        first, second = rig.cluster.calls()
        assert (first.argv, first.exit_status) == (second.argv, second.exit_status)


async def test_a_call_that_a_fault_hits_is_a_process(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.cluster.add_fault("sacct", "kill")
        killed, well = await _both(rig, "sacct", "--helpformat")
        assert (killed.returncode, well.returncode) == (-9, 0)
