"""Samples of ended jobs as lines of text, which Prometheus' own form and OpenMetrics share but for exemplars."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from prometheus_client.utils import floatToGoString

from slurmwatchd.model.job_metrics import Family


class Exemplar(NamedTuple):
    """An observation that a bucket may show: whose it was, and when it was made.

    Attributes:
        job_id: As sacct prints it.
        value: What was observed.
        moment: When the daemon first saw it, epoch seconds.
    """

    job_id: str
    value: float
    moment: float


def go_number(value: float) -> str:
    """Return a number as Go, and so Prometheus, writes it."""
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]


def header(family: Family, *, openmetrics: bool) -> str:
    """Return the lines above the samples of a family."""
    kind = "histogram" if family.buckets else "counter"
    name = family.full_name.removesuffix("_total") if openmetrics else family.full_name
    return f"# HELP {name} {family.text}\n# TYPE {name} {kind}\n"


def lines(
    family: Family,
    names: Sequence[str],
    values: Sequence[str],
    total: Any,  # noqa: ANN401 - a number, or a histogram's numbers
    exemplars: Mapping[int, Exemplar] | None = None,
) -> str:
    """Return the lines of one label set.

    Args:
        family: Of which family.
        names: The names of its labels, its own among them.
        values: Their values.
        total: A counter's total; for a histogram the sum, then the count in each bucket, not cumulated.
        exemplars: Number of a bucket to what it shows.
    """
    labels = sorted(zip(names, map(_escaped, values), strict=True))
    if not family.buckets:
        return f"{family.full_name}{{{_written(labels)}}} {go_number(total * family.scale)}\n"
    before = "".join(f'{name}="{value}",' for name, value in labels if name < "le")
    behind = "".join(f',{name}="{value}"' for name, value in labels if name > "le")
    found, counted, name = [], 0, family.full_name
    for place, count in enumerate(total[1:]):
        counted += count
        bound = str(family.buckets[place]) if place < len(family.buckets) else "+Inf"
        shown = _exemplar(exemplars[place]) if exemplars and place in exemplars else ""
        found.append(f'{name}_bucket{{{before}le="{bound}"{behind}}} {go_number(counted)}{shown}\n')
    written = _written(labels)
    found.append(f"{name}_count{{{written}}} {go_number(counted)}\n")
    found.append(f"{name}_sum{{{written}}} {go_number(total[0])}\n")
    return "".join(found)


def _written(labels: Sequence[tuple[str, str]]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels)


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _exemplar(shown: Exemplar) -> str:
    return f' # {{job_id="{_escaped(shown.job_id)}"}} {go_number(shown.value)} {shown.moment}'
