"""The sinks that are shipped pass the conformance suite; sinks with a fault in them do not."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from prometheus_client import Counter

from slurmwatchd.model.records import Event
from slurmwatchd.sinks.base import Sink
from slurmwatchd.sinks.conformance import CHECKS, Check, SinkUnderTest
from slurmwatchd.sinks.forms.options import EventFormat
from slurmwatchd.telemetry.metrics import Metrics
from tests.unit.subjects import Jsonl, Prometheus

each_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)


@each_check
async def test_jsonl_conforms(check: Check, tmp_path: Path) -> None:
    await check(Jsonl(tmp_path / "jobs.jsonl"))


@pytest.mark.parametrize("format_", ["cloudevents", "ecs", "jobcomp"])
@each_check
async def test_jsonl_conforms_in_other_formats(check: Check, format_: EventFormat, tmp_path: Path) -> None:
    await check(Jsonl(tmp_path / "jobs.jsonl", format_=format_))


@each_check
async def test_prometheus_conforms(check: Check) -> None:
    await check(Prometheus())


class Perfect(Sink):
    """A receiver that knows every event by its id."""

    def __init__(self, inbox: dict[str, int]) -> None:
        self.inbox = inbox

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        for event in events:
            self.inbox.setdefault(event.id, event.seq)
        return {}


class Forgetful(Perfect):
    """Recognises what it was sent only until it is started again."""

    def __init__(self, inbox: dict[str, int]) -> None:
        super().__init__(inbox)
        self._seen: set[str] = set()

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        for event in events:
            if event.id not in self._seen:
                self.inbox[f"{event.id} {len(self.inbox)}"] = event.seq
                self._seen.add(event.id)
        return {}


class Hasty(Perfect):
    """Believes that what was written once, or its first event, is all there."""

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        return {} if events[0].id in self.inbox else await super().write(events)


class Backwards(Perfect):
    """Sends the newest first."""

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        return await super().write(events[::-1])


class InMemory(SinkUnderTest):
    def __init__(self, kind: type[Perfect]) -> None:
        self.kind = kind
        self.inbox: dict[str, int] = {}

    def make(self, metrics: Metrics) -> Sink:
        return self.kind(self.inbox)

    async def delivered(self, sink: Sink) -> list[int]:
        return list(self.inbox.values())


@each_check
async def test_a_receiver_that_knows_ids_conforms(check: Check) -> None:
    await check(InMemory(Perfect))


async def _refused(make: Callable[[], SinkUnderTest]) -> dict[str, str]:
    refusals = {}
    for check in CHECKS:
        attempt: Awaitable[None] = check(make())
        try:
            await attempt
        except AssertionError as error:
            refusals[getattr(check, "__name__", "")] = str(error).partition(":")[0].partition(" [")[0]
    return refusals


async def test_a_sink_that_forgets_what_it_sent_is_refused() -> None:
    assert await _refused(lambda: InMemory(Forgetful)) == {
        "first_batch_ever_comes_again_after_a_crash": "delivered more than once",
        "batch_comes_again_after_a_crash": "delivered more than once",
        "larger_batch_comes_again_after_a_crash": "delivered more than once",
        "smaller_batches_come_again_after_a_crash": "delivered more than once",
    }


async def test_a_sink_that_looks_at_the_first_event_only_is_refused() -> None:
    assert await _refused(lambda: InMemory(Hasty)) == {
        "larger_batch_comes_again_after_a_crash": "never delivered",
        "smaller_batches_come_again_after_a_crash": "never delivered",
    }


async def test_a_sink_that_reorders_is_refused() -> None:
    assert set((await _refused(lambda: InMemory(Backwards))).values()) == {"delivered"}


class Silent(InMemory):
    """A receiver that takes nothing, behind a sink that does not say so."""

    def broken(self) -> AbstractContextManager[None]:
        return self._deaf()

    @contextmanager
    def _deaf(self) -> Iterator[None]:
        yield


async def test_a_sink_that_hides_a_failure_is_refused() -> None:
    assert await _refused(lambda: Silent(Perfect)) == {
        "nothing_is_lost_when_the_receiver_fails": (
            "write returned although the receiver took nothing, or not all"
        ),
    }


class Counting(InMemory):
    """One that makes its metric each time."""

    def make(self, metrics: Metrics) -> Sink:
        Counter("slurmwatchd_mine", "Mine.", ["sink"], registry=metrics.registry)
        return super().make(metrics)


async def test_a_sink_that_cannot_be_configured_twice_is_refused() -> None:
    assert await _refused(lambda: Counting(Perfect)) == {
        "two_sinks_of_one_type_share_the_metrics": "the second sink of the daemon cannot be made",
    }
