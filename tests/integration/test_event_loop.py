"""Nothing heavy is done in the thread of the event loop, and no thread keeps Python's lock for long."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from slurmwatchd.sinks.jsonl import JsonlSink
from slurmwatchd.sinks.prometheus import PrometheusSink
from slurmwatchd.sources.sacct import client
from slurmwatchd.store.intake import Intake
from tests.integration.rig import Rig

HEAVY = [(client._Spooled, "_parse"), (Intake, "_plan"), (JsonlSink, "_append"), (PrometheusSink, "_count")]


async def test_parsing_deciding_writing_and_counting_are_left_to_other_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, set[int]] = {}

    def note(owner: type[object], name: str) -> None:
        inner = getattr(owner, name)

        def noted(*arguments: object) -> object:
            threads.setdefault(name, set()).add(threading.get_ident())
            return inner(*arguments)

        monkeypatch.setattr(owner, name, noted)

    for owner, name in HEAVY:
        note(owner, name)
    with Rig(tmp_path) as rig:
        for number in range(3):
            rig.ended(5 + number)
        await rig.once()
        assert len(rig.records()) == 3
    assert set(threads) == {"_parse", "_plan", "_append", "_count"}
    assert {name for name, where in threads.items() if threading.get_ident() in where} == set()


SERVICE = """
import sys
from slurmwatchd.cli import main
from slurmwatchd.daemon import startup
async def run(*_, **__):
    print(sys.getswitchinterval())
startup.run = run
main(["run", "--config", sys.argv[1]])
"""


@pytest.mark.heavy
def test_a_thread_that_computes_lets_the_service_go_on_after_half_a_millisecond(tmp_path: Path) -> None:
    (tmp_path / "slurmwatchd.toml").write_text(f'[store]\npath = "{tmp_path}/store.db"\n')
    argv = [sys.executable, "-c", SERVICE, str(tmp_path / "slurmwatchd.toml")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("0.0005\n", "")
