"""The http sink: which events it forms when, while a request is on its way."""

import itertools
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import orjson
import pytest

from slurmwatchd.errors import SinkError
from slurmwatchd.model.formats import flat_lines
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.base import LooksAhead
from slurmwatchd.sinks.conformance import make_events
from slurmwatchd.sinks.forms.form import EventForm
from slurmwatchd.sinks.webhook import batch
from slurmwatchd.telemetry.metrics import Metrics
from tests.unit.http_subject import Http, poison
from tests.unit.subjects import delivery_to


@pytest.fixture
def formed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the events that were formed, each time they were."""
    numbers: list[int] = []

    def lines(events: Sequence[Event], *, max_line_bytes: int) -> list[bytes]:
        numbers.extend(event.seq for event in events)
        return flat_lines(events, max_line_bytes=max_line_bytes)

    monkeypatch.setattr("slurmwatchd.sinks.forms.form.formats.flat_lines", lines)
    return numbers


async def test_events_for_a_receiver_that_is_away_are_formed_once(formed: list[int]) -> None:
    subject = Http()
    hook = subject.make(Metrics())
    await hook.open({})
    events = make_events(1, 5)
    with subject.broken():
        for _ in range(2):
            with pytest.raises(SinkError, match="busy"):
                await hook.write(events)
    await hook.write(events)
    assert formed == [1, 2, 3, 4, 5]
    assert subject.receiver.took == [1, 2, 3, 4, 5]
    await hook.close()


async def test_a_request_is_formed_while_the_one_before_is_on_its_way(formed: list[int]) -> None:
    subject = Http(max_events=2)
    hook = subject.make(Metrics())
    await hook.open({})
    seen: list[list[int]] = []
    subject.receiver.on_post = lambda: seen.append(list(formed))
    await hook.write(make_events(1, 5))
    await hook.close()
    before, after = seen[::2], seen[1::2]
    assert before == [[1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 5]]
    assert after == [[1, 2, 3, 4], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]


async def test_of_the_events_that_are_expected_the_first_request_is_formed(formed: list[int]) -> None:
    subject = Http(max_events=2)
    hook = subject.make(Metrics())
    assert isinstance(hook, LooksAhead)
    await hook.open({})
    events = make_events(1, 5)
    await hook.expect(events)
    assert formed == [1, 2]
    await hook.write(events)
    assert formed == [1, 2, 3, 4, 5]
    assert subject.receiver.took == [1, 2, 3, 4, 5]
    await hook.close()


async def test_what_is_formed_ahead_follows_what_was_refused(formed: list[int]) -> None:
    subject = Http(max_events=4, refusals=1)
    subject.receiver.answer = poison(6)
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 10))
    await delivery.sink.close()
    bodies = [[orjson.loads(line)["seq"] for line in body.splitlines()] for _, body in subject.receiver.posted]
    assert bodies == [[1, 2, 3, 4], [5, 6, 7, 8], [5, 6], [5], [6], [7, 8], [9, 10]]
    # The refused one is read once more, to name it.
    assert formed == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 6]


@pytest.mark.parametrize(("step", "turns"), [(0.0004, [0, 50, 125]), (0.0, [0])])
async def test_others_have_a_turn_while_what_takes_long_is_formed(
    step: float, turns: list[int], formed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(batch, "perf_counter", lambda: step * next(seconds))
    subject = Http()
    some = batch.Batch(make_events(1, 200), EventForm("hook", subject.options), subject.options)
    seen: list[int] = []

    async def another() -> None:
        while not formed or formed[-1] < 200:
            seen.append(len(formed))
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(another)
        await anyio.lowlevel.checkpoint()
        await some.prepare(0)
    assert seen == turns
    assert formed == list(range(1, 201))
