"""What the demo shows of an event: one line, which nothing in it can break or colour."""

import io
import time
from collections.abc import Iterator

import pytest

from slurmwatchd.sinks.conformance import make_event
from slurmwatchd.sinks.terminal import TerminalOptions, TerminalSink
from slurmwatchd.telemetry.metrics import Metrics


async def shown(*texts: str) -> str:
    """What stands on standard output for jobs of these names."""
    stream = io.StringIO()
    sink = TerminalSink("demo", TerminalOptions(type="terminal"), Metrics(), stream=stream)
    await sink.write([make_event(number, text=text) for number, text in enumerate(texts, start=1)])
    return stream.getvalue()


@pytest.fixture(autouse=True)
def auckland(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def test_each_event_is_a_line_of_when_who_where_and_what_in_the_machines_zone() -> None:
    # 2026-11-18T11:06:41Z
    assert await shown("relax", "train") == (
        "11-19 00:06:41  1                COMPLETED     ann        p1                1 node       1s  relax\n"
        "11-19 00:06:42  2                COMPLETED     ann        p2                1 node       1s  train\n"
    )


async def test_name_that_would_clear_the_screen_and_forge_a_line_is_shown_escaped() -> None:
    line = await shown("\x1b[2J\n00:00:00  999  COMPLETED \u202e")
    assert line.count("\n") == 1
    assert line.removesuffix("\n").isprintable()
    assert line.endswith("  1s  \\x1b[2J\\n00:00:00  999  COMPLETED \\u202e\n")
