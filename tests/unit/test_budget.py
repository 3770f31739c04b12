"""What sacct cost: ever, and within the last hour."""

from prometheus_client import CollectorRegistry

from slurmwatchd.telemetry.metrics import Metrics
from slurmwatchd.watcher.sacct_time import Budget


class Time:
    """A clock that is set by hand."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_last_hour_forgets_what_is_older_and_the_total_does_not() -> None:
    registry, clock = CollectorRegistry(), Time()
    budget = Budget("tux", Metrics(registry), monotonic=clock)

    def shown() -> tuple[float | None, float | None]:
        label = {"slurm_cluster": "tux"}
        return (
            registry.get_sample_value("slurmwatchd_sacct_last_hour_seconds", label),
            registry.get_sample_value("slurmwatchd_sacct_seconds_total", label),
        )

    assert shown() == (0, 0)
    budget.spend(2.0)
    clock.now += 1800
    budget.spend(0.5)
    assert shown() == (2.5, 2.5)
    clock.now += 1860
    assert shown() == (0.5, 2.5)
    clock.now += 3600
    assert shown() == (0, 2.5)


def test_memory_of_an_old_daemon_is_as_small_as_that_of_a_young_one() -> None:
    clock = Time()
    budget = Budget("tux", Metrics(CollectorRegistry()), monotonic=clock)
    for _ in range(5000):
        clock.now += 30
        budget.spend(1.0)
    assert budget.last_hour_seconds() == 120
    assert len(budget._minutes) <= 120
