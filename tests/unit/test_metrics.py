"""What stands on `/metrics` whatever the daemon does."""

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics import exposition as openmetrics

from slurmwatchd.telemetry.metrics import Metrics


@pytest.mark.parametrize("write", [exposition.generate_latest, openmetrics.generate_latest], ids=["text", "open"])
def test_no_series_says_when_it_was_created(write: Callable[[CollectorRegistry], bytes]) -> None:
    metrics = Metrics()
    metrics.polls.labels("tux").inc()
    metrics.poll_seconds.labels("tux").observe(0.5)
    text = write(metrics.registry)
    assert b'slurmwatchd_polls_total{slurm_cluster="tux"} 1.0\n' in text
    assert b"_created" not in text
