"""Which attempts have expired from the store and stay in its sums: of each hour, the first end and the last."""

from slurmwatchd.model.sums import HOUR

EXPIRED = (
    f"SELECT hour, coalesce(first_end, hour), coalesce(last_end, hour + {HOUR - 1}) "  # noqa: S608 - a constant
    "FROM summed_hours WHERE cluster = ?"
)
"""Of a cluster; a condition on `hour` may follow. What ended between the two, both included, is in the sums."""
