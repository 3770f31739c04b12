"""The http sink as its tests see it: a server in memory, and a clock that only moves when somebody sleeps."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import orjson

from slurmwatchd.errors import SinkError
from slurmwatchd.sinks.base import Sink
from slurmwatchd.sinks.conformance import SinkUnderTest
from slurmwatchd.sinks.webhook.answer import HttpAnswer
from slurmwatchd.sinks.webhook.options import HttpOptions
from slurmwatchd.sinks.webhook.request import Sent
from slurmwatchd.sinks.webhook.sink import HttpSink
from slurmwatchd.telemetry.metrics import Metrics

NOW = 1_795_000_500.0


class Receiver:
    """A server in memory: keeps what it takes, and answers as the test says."""

    def __init__(self) -> None:
        self.posted: list[tuple[Mapping[str, str], bytes]] = []
        self.took: list[int] = []
        self.answer: Callable[[list[Any]], HttpAnswer | None] = lambda _: None
        self.on_post: Callable[[], None] = lambda: None
        self.loses_answers = False
        self.open_count = 0

    def connect(self, options: HttpOptions) -> "Receiver":
        self.open_count += 1
        return self

    async def post(self, body: bytes, headers: Mapping[str, str], sent: Sent) -> HttpAnswer:
        self.posted.append((headers, body))
        self.on_post()
        await sent()
        self.on_post()
        events = orjson.loads(body) if body[:1] == b"[" else [orjson.loads(line) for line in body.splitlines()]
        answer = self.answer(events) or HttpAnswer(200, {}, "")
        if answer.is_good:
            self.took += [event["job_id_raw"] for event in events if "job_id_raw" in event]
        if self.loses_answers:
            raise SinkError("no answer within 30 s")
        return answer

    async def close(self) -> None:
        self.open_count -= 1


class Http(SinkUnderTest):
    """A server in memory, and a clock that only moves when somebody sleeps."""

    repeats = True

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - any option
        self.options = HttpOptions.model_validate(
            {"type": "http", "url": "https://hook.example.org/slurm", **options}
        )
        self.receiver = Receiver()
        self.metrics = Metrics()
        self.now = NOW

    def make(self, metrics: Metrics) -> Sink:
        self.metrics = metrics
        return HttpSink(
            "hook",
            self.options,
            self.metrics,
            client=self.receiver.connect,
            now=lambda: self.now,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds

    async def delivered(self, sink: Sink) -> list[int]:
        return self.receiver.took

    def broken(self) -> AbstractContextManager[None]:
        return self._down()

    @contextmanager
    def _down(self) -> Iterator[None]:
        self.receiver.answer = lambda _: HttpAnswer(503, {}, "busy")
        yield
        self.receiver.answer = lambda _: None

    def asides(self) -> float | None:
        name = "slurmwatchd_sink_set_aside_events_total"
        return self.metrics.registry.get_sample_value(name, {"sink": "hook"})


def poison(number: int, status: int = 422) -> Callable[[list[Any]], HttpAnswer | None]:
    """Have every request refused that has one event."""

    def answer(events: list[Any]) -> HttpAnswer | None:
        bad = any(event["job_id_raw"] == number for event in events)
        return HttpAnswer(status, {}, "no such job") if bad else None

    return answer
