"""Nothing heavy is done in the thread of the event loop."""

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
