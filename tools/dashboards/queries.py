"""PromQL that many panels share, over the variables of the dashboards. Metrics are named without their prefix."""

from slurmwatchd.model.outcomes import FAILURES

CLUSTER = 'slurm_cluster=~"$cluster"'
PARTITION = f'{CLUSTER}, partition=~"$partition"'
FAILED = f'{PARTITION}, outcome=~"{"|".join(FAILURES)}"'
"""What reports and pages count as failed, too."""

_RATE = "$__rate_interval"


def over(
    metric: str, *, by: str = "", where: str = PARTITION, of: str = "increase", span: str = "$__range"
) -> str:
    """Return by how much a counter grew in the chosen time."""
    grouped = f"sum by ({by})" if by else "sum"
    return f"{grouped} ({of}(slurmwatchd_{metric}{{{where}}}[{span}]))"


def rate(metric: str, *, by: str = "", where: str = PARTITION) -> str:
    """Return how fast a counter grows, a second."""
    return over(metric, by=by, where=where, of="rate", span=_RATE)


def quantile(part: float, metric: str, *, by: str = "", span: str = "$__range", where: str = PARTITION) -> str:
    """Return a quantile of a histogram, of the chosen time or at each moment."""
    groups = f"le, {by}" if by else "le"
    buckets = over(f"{metric}_bucket", by=groups, where=where, of="rate", span=span)
    return f"histogram_quantile({part}, {buckets})"


def now_and_then(part: float, metric: str, *, by: str, where: str = PARTITION) -> str:
    """Return a quantile of a histogram at each moment."""
    return quantile(part, metric, by=by, span=_RATE, where=where)


def mean(metric: str, *, by: str = "") -> str:
    """Return the mean of a histogram at each moment."""
    return share(rate(f"{metric}_sum", by=by), rate(f"{metric}_count", by=by))


def hours(metric: str, *, by: str = "", where: str = PARTITION) -> str:
    """Return by how many hours a counter of seconds grew in the chosen time."""
    return f"{over(metric, by=by, where=where)} / 3600"


def share(used: str, had: str) -> str:
    """Return one over another, where there is any of the other."""
    return f"{used} / ({had} > 0)"


def now(metric: str) -> str:
    """Return a gauge of the chosen clusters."""
    return f"slurmwatchd_{metric}{{{CLUSTER}}}"
