"""The totals of ended jobs as the store keeps them, a row for each label set; and how to go on from other labels.

A row's key is `["by:partition", "tux", "gpu"]` as JSON, its value an object of family to total. Earlier versions
had a row for each series (`["jobs_ended", "tux", "gpu", "FAILED"]`); those are added up and replaced.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from slurmwatchd.model.job_metrics import FAMILIES, OTHER, PREFIX, Family
from slurmwatchd.model.sums import partition_label
from slurmwatchd.sinks.label_sets import WEIGHT, Key, Profile, Totals, labels_of, merge, tag_of

FOLDED: Key = ("folded",)
"""Where the observations stand that were counted as `other`: family to number."""

REPLACED: Key = ("replaced",)
"""Where the label sets stand that a bigger one has replaced: family to number."""

_OLD_FOLDED = "label_sets_folded"
_OLD_TAG = tag_of(["partition"], None)
_OLD_LABELS: Mapping[str, Sequence[str]] = {
    "jobs_ended": ("partition", "state"),
    "detection_lag_seconds": (),
    **dict.fromkeys(
        (
            "job_elapsed_seconds", "job_wait_seconds", "job_cpu_seconds", "job_allocated_cpu_seconds",
            "job_energy_joules", "job_cpu_efficiency_ratio", "job_memory_efficiency_ratio",
        ),
        ("partition",),
    ),
}  # fmt: skip
"""Which labels those earlier versions had, behind the cluster."""


def read(state: Mapping[str, bytes]) -> tuple[dict[Key, Totals], list[str]]:
    """Read what was kept.

    Returns:
        The totals by label set; and the rows of earlier versions, which the next write replaces. What has the
        shape of no family of today is left out.
    """
    groups: dict[Key, Totals] = {}
    foreign = []
    for text, value in state.items():
        key: Key = tuple(orjson.loads(text))
        if key in (FOLDED, REPLACED) or labels_of(key[0]) is not None:
            totals = orjson.loads(value or b"{}")
            is_count = key in (FOLDED, REPLACED)
            if whole := {name: total for name, total in totals.items() if is_count or _fits(name, total)}:
                groups[key] = whole
        else:
            foreign.append(text)
            for target, totals in _of_an_older_one(key, orjson.loads(value or b"[]")):
                _merge(groups, target, totals)
    return groups, foreign


def written(groups: Mapping[Key, Totals | None]) -> dict[str, bytes]:
    """Return the rows of label sets; what is gone is an empty value."""
    return {
        orjson.dumps(key).decode(): b"" if totals is None else orjson.dumps(totals)
        for key, totals in groups.items()
    }


def regrouped(groups: Mapping[Key, Totals], profiles: Sequence[Profile]) -> dict[Key, Totals]:
    """Return totals under the labels that families have now.

    A label that is no longer chosen is summed over. One that is new has no value in what was counted before. So
    the sum over a family stays what it was.
    """
    by_family = {family.name: profile for profile in profiles for family in profile.families}
    found: dict[Key, Totals] = {}
    for key, totals in groups.items():
        labels = labels_of(key[0])
        if labels is None:
            found[key] = totals
            continue
        values = dict(zip(labels, key[2:], strict=True))
        missing = OTHER if key[2:] and key[-1] == OTHER else ""
        weighed: set[Key] = set()
        for name, total in totals.items():
            if name == WEIGHT:
                continue
            profile = by_family[name]
            target = (profile.tag, key[1], *(values.get(label, missing) for label in profile.labels))
            weight = {} if target in weighed or WEIGHT not in totals else {WEIGHT: totals[WEIGHT]}
            weighed.add(target)
            _merge(found, target, {name: total, **weight})
    return found


def _merge(groups: dict[Key, Totals], key: Key, totals: Totals) -> None:
    if key in (FOLDED, REPLACED):
        place = groups.setdefault(key, {})
        for name, count in totals.items():
            place[name] = place.get(name, 0) + count
    else:
        merge(groups.setdefault(key, {}), totals)


def _of_an_older_one(key: Key, value: list[Any]) -> list[tuple[Key, Totals]]:
    """Return what a row of an earlier version counts."""
    name, *values = key
    if name == _OLD_FOLDED and len(values) == 1 and value:
        return [(FOLDED, {values[0].removeprefix(PREFIX): value[0]})]
    labels = _OLD_LABELS.get(name)
    if labels is None or len(values) != len(labels) + 1 or not value:
        return []
    family = FAMILIES[name]
    total: Any = value if family.buckets else value[0]
    if family.own:
        total = {values[-1]: total}
    if not _fits(name, total):
        return []
    if not labels:
        return [((tag_of((), None), values[0]), {name: total})]
    weight = {WEIGHT: float(value[0])} if family.own else {}
    return [((_OLD_TAG, values[0], partition_label(values[1])), {name: total, **weight})]


def _fits(name: str, total: Any) -> bool:  # noqa: ANN401 - what was in the store
    """Return whether a total has the shape of its family."""
    if name == WEIGHT:
        return isinstance(total, int | float)
    family: Family | None = FAMILIES.get(name)
    if family is None:
        return False
    if family.own:
        return isinstance(total, dict)
    if family.buckets:
        return isinstance(total, list) and len(total) == len(family.buckets) + 2
    return isinstance(total, int | float)
