"""Totals: equal to what was delivered after any crash, bounded in labels, and seen by a scrape whole or not."""

import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from slurmwatchd.model import formats
from slurmwatchd.model.records import Event, EventKind, FoundBy
from slurmwatchd.sinks.conformance import Deliverer, make_event, make_events
from slurmwatchd.sinks.prometheus import PrometheusSink
from tests.unit.attempts import attempt
from tests.unit.subjects import Prometheus, delivery_to

GOLDEN = Path(__file__).parents[1] / "golden" / "prometheus_sink.txt"

Totals = dict[tuple[str, ...], float]


def _event(seq: int, *, lag: int = 2, found_by: FoundBy = FoundBy.POLL, **fields: Any) -> Event:  # noqa: ANN401 - any field
    """An event of an attempt, first seen some seconds after its end."""
    record = attempt(seq, **fields)
    assert record.end is not None
    return make_event(seq)._replace(
        body=formats.body(formats.wire(record)), time=record.end, observed=record.end + lag, found_by=found_by
    )


def _samples(delivery: Deliverer, name: str) -> Totals:
    """The samples of one name, by their label values."""
    assert isinstance(delivery.sink, PrometheusSink)
    return {
        tuple(sample.labels.values()): sample.value
        for family in delivery.sink.collect()
        for sample in family.samples
        if sample.name == f"slurmwatchd_{name}"
    }


async def test_exposition_is_the_golden_one() -> None:
    delivery = await delivery_to(Prometheus(max_label_sets=4))
    await delivery.deliver(
        [
            _event(1, wait_seconds=20, elapsed_seconds=10),
            _event(2, wait_seconds=0, elapsed_seconds=3601, state="TIMEOUT"),
            _event(3, start=None, state="CANCELLED", wait_seconds=500, lag=0),
            _event(4, partition='g"p\\u\n', wait_seconds=1, elapsed_seconds=700_000, lag=90_000),
            _event(5, partition="full", wait_seconds=2, elapsed_seconds=1, lag=-3),
            _event(6, found_by=FoundBy.BACKFILL, elapsed_seconds=60, lag=1_000_000),
            _event(7, found_by=FoundBy.REREAD, partition=None, elapsed_seconds=None, lag=86_400),
        ]
    )
    assert isinstance(delivery.sink, PrometheusSink)
    registry = CollectorRegistry()
    registry.register(delivery.sink)
    text = generate_latest(registry).decode()
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


async def test_promtool_finds_no_fault_with_any_metric() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    subject = Prometheus()
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    text = generate_latest(subject.metrics.registry)
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


async def test_totals_after_crashes_equal_the_events_delivered() -> None:
    delivery = await delivery_to(Prometheus())
    events = [_event(seq, state=("COMPLETED", "FAILED", "TIMEOUT")[seq % 3]) for seq in range(1, 101)]
    for first in range(0, 100, 10):
        batch = events[first : first + 10]
        await delivery.write(batch)
        await delivery.crash()
        await delivery.write(batch[:4])
        await delivery.write(batch[:4])
        delivery.commit()
        await delivery.crash()
        await delivery.deliver(batch[4:])
    assert _samples(delivery, "jobs_ended_total") == {
        ("sim", "main", "COMPLETED"): 33,
        ("sim", "main", "FAILED"): 34,
        ("sim", "main", "TIMEOUT"): 33,
    }
    assert _samples(delivery, "job_elapsed_seconds_count") == {("sim", "main"): 100}
    assert _samples(delivery, "job_elapsed_seconds_sum") == {("sim", "main"): 1000}
    assert _samples(delivery, "detection_lag_seconds_sum") == {("sim",): 200}


async def test_written_but_not_committed_is_seen_by_nobody() -> None:
    delivery = await delivery_to(Prometheus())
    await delivery.deliver(make_events(1, 3))
    await delivery.write(make_events(4, 9))
    await delivery.expect(1, 3)
    delivery.commit()
    await delivery.expect(1, 9)


async def test_scrapes_during_deliveries_see_whole_batches_only() -> None:
    delivery = await delivery_to(Prometheus())
    sink = delivery.sink
    assert isinstance(sink, PrometheusSink)
    seen: set[tuple[float, float]] = set()
    stop = threading.Event()

    def scrape() -> None:
        while not stop.is_set():
            found = {sample.name: sample.value for family in sink.collect() for sample in family.samples}
            seen.add(
                (found.get("slurmwatchd_jobs_ended_total", 0), found.get("slurmwatchd_job_wait_seconds_count", 0))
            )

    scraper = threading.Thread(target=scrape)
    scraper.start()
    try:
        for number in range(200):
            await delivery.deliver([_event(number * 7 + n, wait_seconds=1) for n in range(7)])
    finally:
        stop.set()
        scraper.join()
    assert {ended % 7 for ended, _ in seen} == {0}
    assert all(ended == waited for ended, waited in seen)
    assert len(seen) > 2


async def test_lists_of_partitions_as_users_typed_them_are_one_label() -> None:
    delivery = await delivery_to(Prometheus(max_label_sets=3))
    lists = ["debug,high", "high,debug", "debug,high,long", "long,high,debug", "a,b"]
    await delivery.deliver(
        [
            *(_event(seq, start=None, state="CANCELLED", partition=name) for seq, name in enumerate(lists, 1)),
            _event(6, partition="gpu", wait_seconds=1),
            _usage(7, usage={"cpu_seconds": 5.0}, partition="b,a", cpus=1, elapsed_seconds=10),
        ]
    )
    assert _samples(delivery, "jobs_ended_total") == {
        ("sim", "(several)", "CANCELLED"): 5,
        ("sim", "gpu", "COMPLETED"): 1,
    }
    assert _samples(delivery, "job_cpu_seconds_total") == {("sim", "(several)"): 5.0}
    assert _samples(delivery, "label_sets_folded_total") == {}


async def test_lists_that_an_older_release_made_labels_of_are_added_up_and_make_room() -> None:
    delivery = await delivery_to(Prometheus(max_label_sets=3))
    delivery.state = {
        '["jobs_ended","sim","a,b","CANCELLED"]': b"[2]",
        '["jobs_ended","sim","b,a","CANCELLED"]': b"[3]",
        '["jobs_ended","sim","main","COMPLETED"]': b"[9]",
        '["job_cpu_seconds","sim","a,b"]': b"[1.5]",
        '["detection_lag_seconds","sim"]': b"[7,1,0,0,0,0,0,0,0,0,0,0,0]",
    }
    gathered = {("sim", "(several)", "CANCELLED"): 5, ("sim", "main", "COMPLETED"): 9}
    # A crash before anything is counted finds all as it was; one afterwards does not add it up twice.
    for _ in range(2):
        await delivery.crash()
        assert _samples(delivery, "jobs_ended_total") == gathered
    await delivery.deliver([_event(1, partition="gpu"), _event(2, partition="c,d", state="CANCELLED")])
    gathered = {**gathered, ("sim", "(several)", "CANCELLED"): 6, ("sim", "gpu", "COMPLETED"): 1}
    for _ in range(2):
        assert _samples(delivery, "jobs_ended_total") == gathered
        assert _samples(delivery, "job_cpu_seconds_total") == {("sim", "(several)"): 1.5}
        assert _samples(delivery, "detection_lag_seconds_count") == {("sim",): 3}
        await delivery.crash()


async def test_label_sets_beyond_the_cap_fold_into_other_and_nothing_is_lost() -> None:
    delivery = await delivery_to(Prometheus(max_label_sets=3))
    await delivery.deliver(make_events(1, 5))
    await delivery.crash()
    await delivery.deliver([*make_events(6, 6), make_event(7)._replace(body=make_event(2).body)])
    assert _samples(delivery, "jobs_ended_total") == {
        ("sim", "p1", "COMPLETED"): 1,
        ("sim", "p2", "COMPLETED"): 2,
        ("sim", "p3", "COMPLETED"): 1,
        ("sim", "other", "COMPLETED"): 3,
    }
    assert _samples(delivery, "label_sets_folded_total")[("slurmwatchd_jobs_ended",)] == 3
    assert _samples(delivery, "job_wait_seconds_count")[("sim", "other")] == 3
    assert sum(_samples(delivery, "detection_lag_seconds_count").values()) == 7


async def test_label_sets_that_come_one_by_one_fold_as_well() -> None:
    delivery = await delivery_to(Prometheus(max_label_sets=3))
    for number in range(1, 6):
        await delivery.deliver(make_events(number, number))
    assert _samples(delivery, "jobs_ended_total") == {
        ("sim", "p1", "COMPLETED"): 1,
        ("sim", "p2", "COMPLETED"): 1,
        ("sim", "p3", "COMPLETED"): 1,
        ("sim", "other", "COMPLETED"): 2,
    }


async def test_histogram_of_a_release_with_other_buckets_begins_again_and_counters_go_on() -> None:
    delivery = await delivery_to(Prometheus())
    delivery.state = {
        '["jobs_ended","sim","main","COMPLETED"]': b"[9]",
        '["job_wait_seconds","sim","main"]': b"[700, 4, 5]",
        '["job_wait_seconds","sim"]': b"[0]",
        '["no_more","sim"]': b"[7]",
    }
    await delivery.crash()
    # A scrape before anything is counted anew.
    assert _samples(delivery, "jobs_ended_total") == {("sim", "main", "COMPLETED"): 9}
    assert _samples(delivery, "job_wait_seconds_count") == {}
    await delivery.deliver([_event(1, wait_seconds=20)])
    assert _samples(delivery, "jobs_ended_total") == {("sim", "main", "COMPLETED"): 10}
    assert _samples(delivery, "job_wait_seconds_count") == {("sim", "main"): 1}
    assert _samples(delivery, "job_wait_seconds_sum") == {("sim", "main"): 20}


async def test_cap_that_was_raised_opens_the_family_again() -> None:
    subject = Prometheus(max_label_sets=2)
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    subject.max_label_sets = 1000
    await delivery.crash()
    await delivery.deliver(make_events(4, 4))
    assert _samples(delivery, "jobs_ended_total") == {
        ("sim", "p1", "COMPLETED"): 1,
        ("sim", "p2", "COMPLETED"): 1,
        ("sim", "other", "COMPLETED"): 1,
        ("sim", "p4", "COMPLETED"): 1,
    }


async def test_end_before_2000_says_nothing_of_how_late_it_was_seen() -> None:
    delivery = await delivery_to(Prometheus())
    event = _event(1)._replace(time=946_684_799, observed=1_795_436_500)
    await delivery.deliver([event, _event(2)._replace(time=946_684_800, observed=946_684_803)])
    assert _samples(delivery, "detection_lag_seconds_sum") == {("sim",): 3}
    assert _samples(delivery, "jobs_ended_total") == {("sim", "main", "COMPLETED"): 2}


async def test_only_ends_are_counted() -> None:
    delivery = await delivery_to(Prometheus())
    await delivery.deliver(
        [
            make_event(1),
            make_event(1, kind=EventKind.JOB_USAGE)._replace(seq=2),
            make_event(1, kind=EventKind.JOB_REVISED, revision=2)._replace(seq=3),
        ]
    )
    await delivery.expect(1, 1)


def _usage(seq: int, *, usage: dict[str, Any], **fields: Any) -> Event:  # noqa: ANN401 - any field
    event = _event(seq, **fields)
    body = event.body[:-1] + b',"usage":' + orjson.dumps({"steps": 1, "complete": True, **usage}) + b"}"
    return event._replace(kind=EventKind.JOB_USAGE, body=body)


async def test_usage_is_added_up_and_shares_are_put_into_buckets() -> None:
    delivery = await delivery_to(Prometheus())
    half = {"cpu_seconds": 5.5, "energy_joules": 70, "cpu_efficiency": 0.1375, "memory_efficiency": 0.9}
    await delivery.deliver(
        [
            _usage(1, usage=half, cpus=4, elapsed_seconds=10),
            _usage(2, usage={"cpu_seconds": 30.0, "cpu_efficiency": 3.0}, cpus=1, elapsed_seconds=10),
            # Without steps nothing was measured, so there is no share; the allocated time was had all the same.
            _usage(3, usage={"cpu_seconds": 0.0, "cpu_efficiency": 0.0, "steps": 0}, cpus=2, elapsed_seconds=10),
            _usage(4, usage={**half, "complete": False}, cpus=4, elapsed_seconds=10),
            _usage(5, usage={"cpu_seconds": 0.0, "steps": 0}, start=None, cpus=8, elapsed_seconds=0),
        ]
    )
    place = ("sim", "main")
    assert _samples(delivery, "job_cpu_seconds_total") == {place: 35.5}
    assert _samples(delivery, "job_allocated_cpu_seconds_total") == {place: 70.0}
    assert _samples(delivery, "job_energy_joules_total") == {place: 70.0}
    assert _samples(delivery, "job_cpu_efficiency_ratio_count") == {place: 2.0}
    assert _samples(delivery, "job_cpu_efficiency_ratio_bucket")[(*place, "0.25")] == 1.0
    assert _samples(delivery, "job_cpu_efficiency_ratio_bucket")[(*place, "1.0")] == 1.0
    assert _samples(delivery, "job_memory_efficiency_ratio_sum") == {place: 0.9}
    assert _samples(delivery, "jobs_ended_total") == {}


async def test_value_on_a_bucket_border_counts_in_that_bucket() -> None:
    delivery = await delivery_to(Prometheus())
    await delivery.deliver([_event(seq, elapsed_seconds=seconds) for seq, seconds in enumerate((1, 10, 11), 1)])
    buckets = _samples(delivery, "job_elapsed_seconds_bucket")
    assert [buckets["sim", "main", bound] for bound in ("1.0", "10.0", "60.0", "+Inf")] == [1, 2, 3, 3]
