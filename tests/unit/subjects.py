"""The shipped sinks as the conformance suite and the other sink tests see them."""

import json
import resource
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from slurmwatchd.model.job_metrics import DEFAULT_CHOICE, LabelChoice
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.base import Sink
from slurmwatchd.sinks.conformance import Deliverer, SinkUnderTest, make_event
from slurmwatchd.sinks.forms.options import EventFormat
from slurmwatchd.sinks.forms.reading import head_of
from slurmwatchd.sinks.jsonl import JsonlOptions, JsonlSink
from slurmwatchd.sinks.prometheus import PrometheusOptions, PrometheusSink
from slurmwatchd.telemetry.metrics import Metrics


class Jsonl(SinkUnderTest):
    """A file, with whatever it was renamed to."""

    def __init__(self, path: Path, *, max_line_bytes: int = 30_000, format_: EventFormat = "flat") -> None:
        self.path = path
        self.max_line_bytes = max_line_bytes
        self.format: EventFormat = format_
        self.metrics = Metrics()

    def make(self, metrics: Metrics) -> Sink:
        self.metrics = metrics
        options = JsonlOptions(
            type="jsonl", path=self.path, max_line_bytes=self.max_line_bytes, format=self.format
        )
        return JsonlSink("jobs", options, self.metrics)

    async def delivered(self, sink: Sink) -> list[int]:
        return [head_of(record)["job_id_raw"] for record in self.records()]

    def broken(self) -> AbstractContextManager[None]:
        return disk_full(self.path.stat().st_size + 800)

    def records(self) -> list[dict[str, Any]]:
        """Every line of every file, the oldest file first; one that is not JSON fails the test."""
        files = sorted(self.path.parent.glob(f"{self.path.name}*"), reverse=True)
        return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]

    def rotate(self, *, create: bool = True) -> None:
        """Do as logrotate does: `jobs.jsonl.1` becomes `.2`, the file `.1`, and an empty one takes its place."""
        for number in (2, 1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            if older.exists():
                older.rename(self.path.with_name(f"{self.path.name}.{number + 1}"))
        self.path.rename(self.path.with_name(f"{self.path.name}.1"))
        if create:
            self.path.touch(mode=0o640)


class Prometheus(SinkUnderTest):
    """Totals in memory; the receiver is whoever scrapes the newest sink."""

    ordered = False
    only_one = True

    def __init__(self, *, max_label_sets: int = 1000, choice: LabelChoice = DEFAULT_CHOICE) -> None:
        self.max_label_sets = max_label_sets
        self.choice = choice
        self.metrics = Metrics()

    def make(self, metrics: Metrics) -> Sink:
        self.metrics = metrics
        self.metrics.label_choice = self.choice
        options = PrometheusOptions(type="prometheus", max_label_sets=self.max_label_sets)
        return PrometheusSink("metrics", options, self.metrics)

    async def delivered(self, sink: Sink) -> list[int]:
        assert isinstance(sink, PrometheusSink)
        found = []
        for family in sink.collect():
            for sample in family.samples:
                if sample.name == "slurmwatchd_jobs_ended_total":
                    found += [int(sample.labels["partition"].removeprefix("p"))] * int(sample.value)
        return found


@contextmanager
def disk_full(file_bytes: int) -> Iterator[None]:
    """Let no file grow beyond a size: what fits is written, then writing fails, as on a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def short_events(first: int, last: int) -> list[Event]:
    """Events whose lines are short, for tests that try every byte of them."""
    return [
        make_event(number)._replace(body=f'{{"job_id_raw":{number}}}'.encode(), nodes=None)
        for number in range(first, last + 1)
    ]


async def delivery_to(subject: SinkUnderTest) -> Deliverer:
    return await Deliverer(subject).start()
