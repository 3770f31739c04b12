"""The text of the metrics of ended jobs, against what prometheus-client writes of the same samples."""

import pytest
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from slurmwatchd.model.job_metrics import CHOICE
from slurmwatchd.sinks.conformance import Deliverer
from slurmwatchd.sinks.prometheus import PrometheusSink
from slurmwatchd.telemetry.exposition import exposition as written
from tests.unit.subjects import Prometheus, delivery_to
from tests.unit.test_label_sets import choice, ended

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3"
)


async def fed(subject: Prometheus) -> Deliverer:
    """Totals of several label sets, with names that must be escaped."""
    delivery = await delivery_to(subject)
    events = [
        ended(n, user=f"u{n % 9}", partition=("main", 'g"p\\u\n')[n % 2], state=("COMPLETED", "FAILED")[n % 3 > 1],
              wait_seconds=n * 977, elapsed_seconds=n * 31, timelimit_seconds=3600,
              alloc_tres={"cpu": 2, "mem_bytes": 9 << 40, "node": 1, "gres/gpu:a100": 2})
        for n in range(60)
    ]  # fmt: skip
    await delivery.deliver(events)
    subject.metrics.known_partitions = {"sim": ("main", "empty")}
    return delivery


def encoded(registry: CollectorRegistry, *, is_open: bool) -> bytes:
    """What prometheus-client writes."""
    if is_open:
        text: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return text
    return exposition.generate_latest(registry)


def parsed(text: str) -> list[Metric]:
    """What prometheus-client reads in it."""
    return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def of(delivery: Deliverer) -> PrometheusSink:
    assert isinstance(delivery.sink, PrometheusSink)
    return delivery.sink


@pytest.mark.parametrize("labels", [("partition",), (), CHOICE, ("user",)], ids=",".join)
@pytest.mark.parametrize("is_open", [False, True], ids=["text", "openmetrics"])
async def test_text_is_what_prometheus_client_writes(labels: tuple[str, ...], *, is_open: bool) -> None:
    delivery = await fed(Prometheus(max_label_sets=30, choice=choice(*labels)))
    alone = CollectorRegistry()
    alone.register(of(delivery))
    for _ in range(2):
        # The second time most of it comes from the first.
        text = "".join(of(delivery).text(openmetrics=is_open))
        assert text.splitlines() == encoded(alone, is_open=is_open).decode().removesuffix("# EOF\n").splitlines()
        assert text.count("\n") > 200
        await delivery.deliver([ended(100, user="u3", partition="main", elapsed_seconds=5, wait_seconds=5)])


async def test_what_did_not_change_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = await fed(Prometheus(choice=choice("user")))
    calls: list[str] = []

    def counting(profile: object, key: tuple[str, ...], totals: object) -> dict[str, str]:
        calls.append(key[-1])
        return {}

    "".join(of(delivery).text(openmetrics=False))
    monkeypatch.setattr("slurmwatchd.sinks.prometheus._lines", counting)
    "".join(of(delivery).text(openmetrics=True))
    assert calls == []
    await delivery.deliver([ended(100, user="u3")])
    "".join(of(delivery).text(openmetrics=False))
    assert sorted(calls) == ["sim", "u3"]


@pytest.mark.parametrize(
    ("accept", "content_type", "end"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8", ""),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8", "# EOF"),
        (PROMETHEUS_3, "application/openmetrics-text; version=1.0.0; charset=utf-8", "# EOF"),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", "text/plain; version=1.0.0; charset=utf-8", ""),
        ("application/openmetrics-text; version=x", "text/plain; version=0.0.4; charset=utf-8", ""),
    ],
)
async def test_the_form_is_the_one_that_was_asked_for(accept: str, content_type: str, end: str) -> None:
    subject = Prometheus()
    delivery = await fed(subject)
    text, told = written(subject.metrics.registry, accept)
    assert told.startswith(content_type)
    lines = text.decode().splitlines()
    assert (lines[-1] == "# EOF") == (end == "# EOF")
    assert lines.count("# EOF") == (end == "# EOF")
    named = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(named) == len(set(named))
    assert ("slurmwatchd_jobs_ended" if end else "slurmwatchd_jobs_ended_total") in named
    assert ("slurmwatchd_polls" if end else "slurmwatchd_polls_total") in named
    if end:
        assert len(parsed(text.decode())) > 60
    await delivery.sink.close()


async def test_escapings_that_change_names_are_left_to_prometheus_client() -> None:
    subject = Prometheus()
    await fed(subject)
    text, _ = written(subject.metrics.registry, "application/openmetrics-text;version=1.0.0;escaping=dots")
    assert b"\n# TYPE slurmwatchd__jobs__ended counter\n" in text
    assert b"\n# TYPE slurmwatchd_jobs_ended counter\n" not in text


async def test_buckets_show_the_job_that_was_observed_last_if_they_may() -> None:
    subject = Prometheus(choice=choice("partition"))
    delivery = await delivery_to(subject)
    jobs = [
        ended(7, elapsed_seconds=5),
        ended(8, elapsed_seconds=6),
        ended(9, elapsed_seconds=700, wait_seconds=50),
    ]
    await delivery.deliver(jobs)
    assert " # {" not in "".join(of(delivery).text(openmetrics=True))
    subject.metrics.with_exemplars = True
    await delivery.write(jobs)
    assert " # {" not in "".join(of(delivery).text(openmetrics=True))
    delivery.commit()
    text = "".join(of(delivery).text(openmetrics=True))
    elapsed = 'slurmwatchd_job_elapsed_seconds_bucket{le="%s",partition="main",slurm_cluster="sim"} %s # %s\n'
    seen = jobs[0].observed
    assert elapsed % ("10.0", "4.0", f'{{job_id="8"}} 6.0 {seen}') in text
    assert elapsed % ("900.0", "6.0", f'{{job_id="9"}} 700.0 {seen}') in text
    assert text.count(" # {") == 3
    samples = [sample for family in parsed(text + "# EOF\n") for sample in family.samples]
    shown = {sample.exemplar.labels["job_id"] for sample in samples if sample.exemplar}
    assert shown == {"8", "9"}
    assert " # {" not in "".join(of(delivery).text(openmetrics=False))
