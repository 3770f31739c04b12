"""What attempts add up to by hour: the arithmetic, in numbers worked out by hand."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurmwatchd.model.sums import AMOUNTS, Attempt, Group, Sums, attempt_of
from slurmwatchd.model.waits import bucket_wait, wait_bucket

NINE = 1_795_410_000
"""A full hour: 2026-11-23 05:00 UTC."""

GROUP = Group("sim", "gpu", "physics", "ann", "normal", "completed")

ATTEMPT = Attempt(
    cluster="sim",
    partition="gpu",
    account="physics",
    user="ann",
    qos="normal",
    outcome="completed",
    submit=NINE,
    start=NINE + 1800,
    end=NINE + 9000,
    elapsed_seconds=7200,
    wait_seconds=1800,
    cpus=4,
    node_count=2,
    alloc_tres={
        "cpu": 4,
        "node": 2,
        "mem_bytes": 8 << 30,
        "billing": 6,
        "gres/gpu": 3,
        "gres/gpu:a100": 2,
        "energy_joules": 100,
    },
)


def amounts(sums: Sums) -> dict[tuple[int, Group], dict[str, int]]:
    """What is not zero, by name."""
    results = sums.results()
    return {
        (hour, group): {name: value for name, value in zip(AMOUNTS, values, strict=False) if value}
        for group, hours in zip(results.groups, results.amounts, strict=True)
        for hour, values in hours.items()
        if any(values)
    }


def test_what_an_attempt_had_is_spread_over_the_hours_it_ran_and_its_end_counts_once() -> None:
    sums = Sums()
    sums.add([ATTEMPT])
    full = {
        "elapsed_seconds": 3600,
        "cpu_seconds": 14_400,
        "node_seconds": 7200,
        "memory_mib_seconds": 29_491_200,
        "gpu_seconds": 10_800,
        "billing_seconds": 21_600,
        "energy_joules": 50,
    }
    half = {name: value // 2 for name, value in full.items()}
    assert amounts(sums) == {
        (NINE, GROUP): half,
        (NINE + 3600, GROUP): full,
        (NINE + 7200, GROUP): {**half, "attempts": 1, "waits": 1, "wait_seconds": 1800},
    }
    results = sums.results()
    assert results.groups == [GROUP]
    assert results.tres == {
        (NINE, 0, "gres/gpu:a100"): 3600,
        (NINE + 3600, 0, "gres/gpu:a100"): 7200,
        (NINE + 7200, 0, "gres/gpu:a100"): 3600,
    }
    assert results.waits == {(NINE + 7200, 0): {wait_bucket(1800): 1}}


@pytest.mark.parametrize(
    ("tres", "gpus"),
    [
        ({"gres/gpu": 3, "gres/gpu:a100": 2, "gres/gpu:h100": 1}, 3),
        ({"gres/gpu:a100": 2, "gres/gpu:h100": 1}, 3),
        ({"gres/gpu": 3}, 3),
        ({"gres/gpu:a100_1g.5gb": 1, "gres/gpumem_bytes": 5, "gres/shard": 9}, 1),
        ({}, 0),
        (None, 0),
        ({"gres/gpu": "many"}, 0),
    ],
)
def test_typed_and_untyped_gpus_are_counted_once(tres: dict[str, object] | None, gpus: int) -> None:
    sums = Sums()
    sums.add([ATTEMPT._replace(alloc_tres=tres, end=NINE + 1900, elapsed_seconds=100)])
    assert amounts(sums)[NINE, GROUP].get("gpu_seconds", 0) == gpus * 100


def test_what_never_started_counts_and_had_nothing() -> None:
    sums = Sums()
    sums.add([ATTEMPT._replace(start=None, elapsed_seconds=0, alloc_tres=None, partition="gpu,main", outcome="x")])
    assert amounts(sums) == {(NINE + 7200, GROUP._replace(partition="(several)", outcome="x")): {"attempts": 1}}
    assert not sums.results().waits


def test_suspended_time_is_not_elapsed() -> None:
    sums = Sums()
    sums.add([ATTEMPT._replace(elapsed_seconds=3600, alloc_tres={"cpu": 1})])
    spread = [values["cpu_seconds"] for values in amounts(sums).values()]
    assert (sorted(spread), sum(spread)) == ([900, 900, 1800], 3600)


def test_what_was_used_is_counted_beside_what_those_had_of_whom_it_is_known() -> None:
    sums = Sums()
    usage = {"complete": True, "steps": 2, "cpu_seconds": 7200.5, "memory_bytes": 4 << 30}
    sums.add_usage(ATTEMPT, {**usage, "gpu_ave_utilization_percent": 50})
    total = {name: sum(part.get(name, 0) for part in amounts(sums).values()) for name in AMOUNTS}
    assert {name: value for name, value in total.items() if value} == {
        "used_cpu_milliseconds": 7_200_500,
        "known_cpu_seconds": 28_800,
        "used_memory_mib_seconds": 29_491_200,
        "known_memory_mib_seconds": 58_982_400,
        "used_gpu_percent_seconds": 1_080_000,
        "known_gpu_seconds": 21_600,
    }
    assert amounts(sums)[NINE, GROUP]["used_cpu_milliseconds"] == 1_800_125


@pytest.mark.parametrize(
    "usage", [{"complete": False, "cpu_seconds": 5.0, "steps": 1}, {"complete": True, "steps": 0}]
)
def test_what_is_not_measured_is_neither_used_nor_had(usage: dict[str, object]) -> None:
    sums = Sums()
    sums.add_usage(ATTEMPT, {"cpu_seconds": 0.0, **usage})
    assert amounts(sums) == {}


@given(
    start=st.integers(0, 10**6),
    run=st.integers(0, 10**5),
    elapsed=st.integers(0, 10**6),
    cpus=st.integers(0, 10**5),
)
def test_parts_add_up_to_the_whole_and_are_taken_out_again(start: int, run: int, elapsed: int, cpus: int) -> None:
    attempt = ATTEMPT._replace(
        start=start, end=start + run, elapsed_seconds=elapsed, cpus=cpus, alloc_tres={"energy_joules": 7}
    )
    usage = {"complete": True, "steps": 1, "cpu_seconds": 1.234}
    sums = Sums()
    sums.add([attempt])
    sums.add_usage(attempt, usage)
    total = {name: sum(part.get(name, 0) for part in amounts(sums).values()) for name in AMOUNTS}
    assert (total["elapsed_seconds"], total["cpu_seconds"]) == (elapsed, elapsed * cpus)
    assert (total["energy_joules"], total["used_cpu_milliseconds"]) == (7, 1234)
    sums.add([attempt], -1)
    sums.add_usage(attempt, usage, -1)
    assert amounts(sums) == {}
    assert not any(sums.results().tres.values())
    assert not any(any(counts.values()) for counts in sums.results().waits.values())


RATES = {"cpu": 4, "node": 2, "mem_bytes": 8 << 30, "billing": 6, "gres/gpu:a100": 2, "license/matlab": 1}
LISTS = (RATES, {"cpu": 1, "node": 1}, None)


@st.composite
def attempts(draw: st.DrawFn) -> Attempt:
    """Draw an attempt of one of a few groups; some begin or end with an hour, and some were suspended."""
    start = NINE + draw(st.sampled_from((0, 1, 1800, 3599, 3600, 9000)))
    run = draw(st.sampled_from((0, 1, 600, 3599, 3600, 7200, 9000, 40_000)))
    return ATTEMPT._replace(
        user=draw(st.sampled_from(("ann", "bob"))),
        start=start,
        end=start + run,
        elapsed_seconds=draw(st.sampled_from((run, None, run // 3))),
        cpus=1,
        node_count=1,
        alloc_tres=draw(st.sampled_from(LISTS)),
    )


def had_in(attempt: Attempt, hour: int) -> int:
    """Return the seconds of an attempt that are in an hour."""
    start, end = attempt.start or 0, attempt.end or 0
    run = end - start
    elapsed = run if attempt.elapsed_seconds is None else attempt.elapsed_seconds
    since, until = (min(max(moment, start), end) - start for moment in (hour, hour + 3600))
    return elapsed * until // run - elapsed * since // run if run else 0


@given(st.lists(st.tuples(attempts(), st.sampled_from((1, 1, -1))), max_size=12))
def test_many_attempts_add_up_to_what_each_had_in_each_hour(some: list[tuple[Attempt, int]]) -> None:
    sums = Sums()
    cpu: dict[tuple[int, str], int] = defaultdict(int)
    licenses: dict[tuple[int, str], int] = defaultdict(int)
    for attempt, sign in some:
        sums.add([attempt], sign)
        tres = attempt.alloc_tres or {}
        for hour in range(NINE, NINE + 20 * 3600, 3600):
            seconds = sign * had_in(attempt, hour)
            cpu[hour, str(attempt.user)] += seconds * tres.get("cpu", 1)
            licenses[hour, str(attempt.user)] += seconds * tres.get("license/matlab", 0)
    found = amounts(sums)
    results = sums.results()
    assert {(hour, group.user): values.get("cpu_seconds", 0) for (hour, group), values in found.items()} == {
        place: seconds for place, seconds in cpu.items() if seconds or place in {(h, g.user) for h, g in found}
    }
    assert {
        (hour, results.groups[group].user): seconds
        for (hour, group, name), seconds in results.tres.items()
        if name == "license/matlab" and seconds
    } == {place: seconds for place, seconds in licenses.items() if seconds}
    most = [abs(value) for values in found.values() for value in values.values()]
    assert max(most, default=0) <= results.limit


@given(st.integers(0, 10**9))
def test_a_bucket_of_waits_is_at_most_three_percent_off(seconds: int) -> None:
    middle = bucket_wait(wait_bucket(seconds))
    assert abs(middle - seconds) <= (0 if seconds < 32 else 0.032 * seconds)
    assert wait_bucket(seconds) <= wait_bucket(seconds + 1) <= wait_bucket(seconds) + 1


def test_a_record_of_before_outcomes_has_one() -> None:
    record = {"cluster": "sim", "state": "FAILED", "submit": "2026-11-23T05:00:00Z", "start": None}
    attempt = attempt_of(record)
    assert (attempt.submit, attempt.start, attempt.outcome) == (NINE, None, "failed")
