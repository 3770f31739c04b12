"""Lines of a report from sums: in numbers worked out by hand."""

import pytest

from slurmwatchd.model.reports import Rates, Tally, lines
from slurmwatchd.model.sums import AMOUNTS
from slurmwatchd.model.waits import wait_bucket

COUNTS = {"a": 4, "b": 3, "c": 2, "d": 1}


def tally(outcome: str = "completed", **amounts: float) -> Tally:
    made = Tally()
    made.add(outcome, [amounts.get(name, 0.0) for name in AMOUNTS])
    return made


def test_a_line_says_hours_shares_and_waits() -> None:
    made = tally(
        attempts=3, cpu_seconds=7200.0, node_seconds=3600.0, memory_mib_seconds=2048 * 3600.0, gpu_seconds=1800.0,
        billing_seconds=36.0, elapsed_seconds=3600.0, energy_joules=7_200_000.0, used_cpu_milliseconds=1_800_000.0,
        known_cpu_seconds=3600.0, used_memory_mib_seconds=1.0, known_memory_mib_seconds=4.0,
        used_gpu_percent_seconds=9000.0, known_gpu_seconds=1800.0,
    )  # fmt: skip
    made.add(
        "out_of_memory", [{"attempts": 1, "cpu_seconds": 3600, "gpu_seconds": 900}.get(n, 0) for n in AMOUNTS]
    )
    made.add_tres("gres/gpu:a100", 1800.0)
    for wait in (0, 1, 2, 3, 4, 5, 6, 7, 8, 20):
        made.add_waits(wait_bucket(wait), 1)
    line = made.line("physics", Rates(grams_per_kwh=350))
    assert (line.key, line.attempts, line.outcomes) == ("physics", 4, {"completed": 3, "out_of_memory": 1})
    assert (line.cpu_hours, line.node_hours, line.memory_gib_hours, line.billing_hours) == (3.0, 1.0, 2.0, 0.01)
    assert (line.gpu_hours, line.tres_hours) == (0.75, {"gres/gpu:a100": 0.5})
    assert (line.used_cpu_hours, line.cpu_efficiency, line.memory_efficiency) == (0.5, 0.5, 0.25)
    assert line.gpu_efficiency == 0.05
    assert (line.lost_cpu_hours, line.lost_gpu_hours) == (1.0, 0.25)
    assert (line.wait_median_seconds, line.wait_95th_seconds) == (4.0, 20.0)
    assert (line.energy_kwh, line.co2_kilograms, line.price) == (2.0, 0.7, None)


def test_what_nobody_knows_is_none() -> None:
    line = tally("requeued", attempts=1).line("x", Rates())
    assert (line.cpu_efficiency, line.memory_efficiency, line.gpu_efficiency) == (None, None, None)
    assert (line.wait_median_seconds, line.wait_95th_seconds, line.price, line.co2_kilograms) == (None,) * 4
    assert line.lost_cpu_hours == 0.0


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ({"cpu": 0.5}, 1.0),
        ({"node": 2.0, "billing": 1.0}, 2.01),
        ({"mem": 0.25}, 0.5),
        # Three GPU hours, one of them on an A100: each is paid for once.
        ({"gres/gpu": 1.0}, 3.0),
        ({"gres/gpu:a100": 10.0}, 10.0),
        ({"gres/gpu": 1.0, "gres/gpu:a100": 10.0}, 12.0),
        ({"license/matlab": 7.0, "gres/none": 1.0}, 14.0),
    ],
)
def test_the_price_of_each_tres(prices: dict[str, float], expected: float) -> None:
    made = tally(
        cpu_seconds=7200.0, node_seconds=3600.0, memory_mib_seconds=2048 * 3600.0, gpu_seconds=10_800.0,
        billing_seconds=36.0,
    )  # fmt: skip
    made.add_tres("gres/gpu:a100", 3600.0)
    made.add_tres("license/matlab", 7200.0)
    assert made.line("x", Rates(prices=prices)).price == pytest.approx(expected)


def test_the_rest_is_one_line_and_all_of_it_the_last() -> None:
    tallies = {name: tally(attempts=count, cpu_seconds=3600.0 * count) for name, count in COUNTS.items()}
    tallies["gone"] = tally()
    assert [(line.key, line.attempts, line.cpu_hours) for line in lines(tallies, Rates(), top=2)] == [
        ("a", 4, 4.0), ("b", 3, 3.0), ("(others)", 3, 3.0), ("total", 10, 10.0),
    ]  # fmt: skip
    assert [line.key for line in lines(tallies, Rates())] == ["a", "b", "c", "d", "total"]
    assert [(line.key, line.attempts) for line in lines({}, Rates(), top=1)] == [("total", 0)]


@pytest.mark.parametrize("name", ["cpus", "gpu", "/gpu", "gres/", ""])
def test_a_price_of_what_no_job_has_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name!r} is no TRES: name cpu, node, mem, billing, or TYPE/NAME"):
        Rates(prices={"cpu": 1.0, name: 2.0})
