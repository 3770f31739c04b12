"""The catalogue: what one event adds to each family, by literal values."""

from typing import Any

import pytest

from slurmwatchd.model import formats
from slurmwatchd.model.event_columns import EventColumns, Events
from slurmwatchd.model.job_metrics import BY_FULL_NAME, CATALOGUE, FAMILIES
from slurmwatchd.model.records import Event, EventKind, FoundBy
from slurmwatchd.model.tres_rates import gpus_by_type
from slurmwatchd.sinks.conformance import make_event
from tests.unit.attempts import NOW, attempt

TRES = {"cpu": 4, "mem_bytes": 3 << 30, "node": 2, "billing": 7, "gres/gpu": 3, "gres/gpu:a100": 2}
USAGE = {
    "cpu_seconds": 12.5, "energy_joules": 90, "cpu_efficiency": 0.25, "memory_efficiency": 0.5,
    "gpu_ave_utilization_percent": 80, "steps": 2, "complete": True,
}  # fmt: skip


def of(kind: EventKind, *, lag: int = 2, found_by: FoundBy = FoundBy.POLL, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    """What one event of a job on two nodes for 100 s adds, by family; what adds nothing is left out."""
    settings: dict[str, Any] = {
        "submit": NOW - 1000, "eligible": NOW - 700, "start": NOW - 160, "end": NOW - 60, "wait_seconds": 540,
        "elapsed_seconds": 100, "timelimit_seconds": 400, "node_count": 2, "cpus": 4, "alloc_tres": TRES,
    }  # fmt: skip
    record = formats.wire(attempt(1, **{**settings, **fields}))
    if kind is EventKind.JOB_USAGE:
        record["usage"] = fields.get("usage", USAGE)
    event = make_event(1)._replace(
        kind=kind, time=NOW - 60, observed=NOW - 60 + lag, found_by=found_by, body=formats.body(record)
    )
    return {family.name: found for family in CATALOGUE if (found := _measured(family, event)) not in (None, {})}


def _measured(family: Any, event: Event) -> Any:  # noqa: ANN401 - a family's three shapes
    if family.event is not event.kind:
        return None
    events = EventColumns([event])
    if family.split is not None:
        return family.split(events).get(0)
    (found,) = (family.values or family.measure)(events)
    return {found: 1} if family.values and found is not None else found


def test_an_end_adds_what_was_allocated_and_how_long_it_took() -> None:
    assert of(EventKind.JOB_ENDED) == {
        "jobs_ended": {"COMPLETED": 1},
        "job_outcomes": {"completed": 1},
        "ended_cpu_seconds": 400,
        "ended_node_seconds": 200,
        "ended_memory_byte_seconds": 307_200,  # MiB-seconds; shown times 1,048,576
        "ended_gpu_seconds": {"a100": 200, "(untyped)": 100},
        "ended_billing_seconds": 700,
        "job_elapsed_seconds": 100,
        "job_submit_to_eligible_seconds": 300,
        "job_wait_seconds": 540,
        "job_timelimit_used_ratio": 0.25,
        "job_nodes": 2,
        "detection_lag_seconds": 2,
    }
    assert FAMILIES["ended_memory_byte_seconds"].scale == 1_048_576


def test_what_never_started_had_nothing() -> None:
    never = of(EventKind.JOB_ENDED, start=None, state="CANCELLED", alloc_tres=None, elapsed_seconds=0)
    assert never == {
        "jobs_ended": {"CANCELLED": 1},
        "job_outcomes": {"cancelled_before_start": 1},
        "ended_cpu_seconds": 0,
        "ended_node_seconds": 0,
        "detection_lag_seconds": 2,
    }


@pytest.mark.parametrize(
    ("tres", "gpus"),
    [
        ({"gres/gpu": 4}, {"(untyped)": 4}),
        ({"gres/gpu:a100": 4}, {"a100": 4}),
        ({"gres/gpu": 4, "gres/gpu:a100": 4}, {"a100": 4}),
        ({"gres/gpu": 6, "gres/gpu:a100": 4, "gres/gpu:a100_1g.5gb": 2}, {"a100": 4, "a100_1g.5gb": 2}),
        ({"gres/gpu": 5, "gres/gpu:a100": 4}, {"a100": 4, "(untyped)": 1}),
        ({"gres/gpumem": 4, "gres/gpuutil": 1, "cpu": 1}, {}),
        ({"gres/gpu": 0, "gres/gpu:a100": 0}, {}),
        ({}, {}),
    ],
)
def test_a_gpu_counts_once_whether_typed_or_not(tres: dict[str, int], gpus: dict[str, int]) -> None:
    assert gpus_by_type(tres) == gpus


def test_a_clock_that_went_back_makes_no_time_negative() -> None:
    added = of(EventKind.JOB_ENDED, lag=-3, eligible=NOW - 1200)
    assert (added["job_submit_to_eligible_seconds"], added["detection_lag_seconds"]) == (0, 0)


def test_each_of_several_in_memory_has_what_its_own_list_says() -> None:
    lists = (TRES, {"cpu": 8, "mem_bytes": "odd"}, TRES, None)
    fields = {
        "alloc_tres": lists,
        "cpus": (1, 1, 1, 3),
        "node_count": (5, 5, 5, 5),
        "start": (NOW, NOW, NOW, NOW),
        "elapsed_seconds": (10, 10, 20, 10),
        "submit": (NOW - 9, NOW - 9, NOW - 9, NOW - 9),
        "eligible": (NOW - 9, NOW - 2, NOW - 20, None),
    }
    events = EventColumns(Events([make_event(number) for number in range(4)], fields))
    found = {name: FAMILIES[name].measure for name in ("ended_cpu_seconds", "ended_node_seconds")}
    assert {name: list(measure(events)) for name, measure in found.items() if measure} == {
        "ended_cpu_seconds": [40, 80, 80, 30],
        "ended_node_seconds": [20, 50, 40, 50],
    }
    memory, waited = (
        FAMILIES[name].measure for name in ("ended_memory_byte_seconds", "job_submit_to_eligible_seconds")
    )
    assert memory is not None
    assert waited is not None
    assert (memory(events), waited(events)) == ([30_720, None, 61_440, None], [0, 7, 0, None])


def test_what_is_seen_late_is_counted_by_what_found_it() -> None:
    on_time = of(EventKind.JOB_ENDED, lag=300, found_by=FoundBy.REREAD)
    late = of(EventKind.JOB_ENDED, lag=301, found_by=FoundBy.REREAD)
    backfilled = of(EventKind.JOB_ENDED, lag=90_000, found_by=FoundBy.BACKFILL)
    assert "late_records" not in on_time
    assert (late["late_records"], late["lateness_seconds"]) == ({"reread": 1}, 301)
    assert backfilled.keys().isdisjoint({"late_records", "lateness_seconds", "detection_lag_seconds"})


def test_requeues_and_revisions_are_counted() -> None:
    assert of(EventKind.JOB_ENDED, state="REQUEUED")["job_requeues"] == 1
    assert of(EventKind.JOB_REVISED) == {"job_revisions": 1}


def test_usage_adds_what_was_used() -> None:
    assert of(EventKind.JOB_USAGE) == {
        "job_cpu_seconds": 12.5,
        "job_allocated_cpu_seconds": 400,
        "job_energy_joules": 90,
        "job_cpu_efficiency_ratio": 0.25,
        "job_memory_efficiency_ratio": 0.5,
        "job_gpu_efficiency_ratio": 0.8,
    }


def test_names_are_as_prometheus_has_them() -> None:
    assert "slurmwatchd_jobs_ended_total" in BY_FULL_NAME
    assert "slurmwatchd_job_wait_seconds" in BY_FULL_NAME
    assert len(BY_FULL_NAME) == len(FAMILIES) == len(CATALOGUE) == 23
