"""The catalogue of what `/metrics` says of ended jobs: one table, for the sink to count by and the page to show.

A family says what events add to it, and nothing of who else counts: `sinks/prometheus.py` keeps the totals.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from slurmwatchd.model.clock import epoch
from slurmwatchd.model.event_columns import EventColumns
from slurmwatchd.model.outcomes import STATES, Outcome
from slurmwatchd.model.records import EventKind, FoundBy
from slurmwatchd.model.tres_rates import UNTYPED, gpus_by_type

PREFIX = "slurmwatchd_"

CHOICE = ("partition", "account", "user", "qos")
"""The labels that a site may choose, in the order in which they stand."""

OTHER = "other"
"""What label values fold into once a family has as many label sets as it may."""

LATE_SECONDS = 300
"""An attempt first seen longer after its end than this is late; polls take seconds, so a re-read found it."""

KNOWN_STATES = tuple(sorted({state for states in STATES.values() for state in states}))
KNOWN_OUTCOMES = tuple(outcome.value for outcome in Outcome)

_MIB = 1 << 20
_HOUR, _DAY = 3600.0, 86400.0
_ELAPSED = (1.0, 10.0, 60.0, 300.0, 900.0, _HOUR, 4 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 7 * _DAY)
_WAIT = (1.0, 10.0, 60.0, 300.0, 900.0, _HOUR, 4 * _HOUR, 12 * _HOUR, _DAY, 3 * _DAY, 14 * _DAY)
_RATIO = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_LAG = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, _HOUR, _DAY)
_LATE = (600.0, 1800.0, _HOUR, 3 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 4 * _DAY, 8 * _DAY, 30 * _DAY)
_NODES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0)

_FOUND_BY = {found_by: found_by.value for found_by in FoundBy}
_NUMBERS = (int, float)

Amounts = Sequence[float | None]
"""What each event adds; None: nothing."""

Parts = Mapping[int, Mapping[str, float]]
"""The same by the place of an event, and by value of a family's own label; most events add nothing."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """One metric family of ended jobs; without buckets it is a counter.

    Attributes:
        name: Without the prefix, and without `_total`. text: Its help. unit: Of what is counted, for the page.
        source: How it is computed from an event, for the page. event: Which events count. measure: What events
        add, or what they observe. own: The family's own label, with one of the next two in place of `measure`.
        values: The value for which each event counts one. split: Values, and what to add there. buckets: The upper
        bounds of a histogram, `+Inf` aside. by_choice: Whether it has the labels that a site chooses; otherwise it
        has the cluster alone. scale: What is counted times this is what is shown. known: The values of its own
        label that stand at 0 from the start.
    """

    name: str
    text: str
    unit: str
    source: str
    event: EventKind
    measure: Callable[[EventColumns], Amounts] | None = None
    split: Callable[[EventColumns], Parts] | None = None
    values: Callable[[EventColumns], Sequence[str | None]] | None = None
    own: str = ""
    buckets: tuple[float, ...] = ()
    by_choice: bool = True
    scale: int = 1
    known: tuple[str, ...] = ()

    @cached_property
    def bounds(self) -> tuple[float, ...]:
        """The buckets, whole ones as whole numbers: most amounts are, and compare with those at half the cost."""
        return tuple(int(bound) if bound.is_integer() else bound for bound in self.buckets)

    @property
    def full_name(self) -> str:
        """What it is called on `/metrics`."""
        return f"{PREFIX}{self.name}" if self.buckets else f"{PREFIX}{self.name}_total"


def _one(events: EventColumns) -> Amounts:
    return [1] * len(events)


def _field(name: str) -> Callable[[EventColumns], Sequence[str | None]]:
    return lambda events: events[name]


def _requeued(events: EventColumns) -> Amounts:
    return [1 if state == "REQUEUED" else None for state in events["state"]]


def _tres_seconds(name: str, field: str = "") -> Callable[[EventColumns], Amounts]:
    """Return what adds the seconds of a TRES; of a field of the record where the site does not account it."""

    def amount_of(tres: Mapping[str, Any] | None) -> float | None:
        amount = tres.get(name) if tres else None
        return amount if isinstance(amount, _NUMBERS) else None

    def seconds(events: EventColumns) -> Amounts:
        amounts: Amounts = events.of_tres(amount_of)
        if field and None in amounts:
            pairs = zip(amounts, events[field], strict=True)
            amounts = [other if amount is None else amount for amount, other in pairs]
        return [amount * ran if amount else None for amount, ran in zip(amounts, events.ran, strict=True)]

    return seconds


def _memory(events: EventColumns) -> Amounts:
    rows = zip(events.of_tres(_mib), events.ran, strict=True)
    return [None if mib is None else mib * ran for mib, ran in rows]


def _mib(tres: Mapping[str, Any] | None) -> int | None:
    amount = tres.get("mem_bytes") if tres else None
    return amount // _MIB if isinstance(amount, int) else None


def _gpus(events: EventColumns) -> Sequence[Mapping[str, int]]:
    """Return the GPUs of each by type."""
    return events.of_tres(lambda tres: gpus_by_type(tres) if tres else {})


def _gpu_seconds(events: EventColumns) -> Parts:
    ran = events.ran
    had = ((place, gpus) for place, gpus in enumerate(_gpus(events)) if gpus)
    return {place: {name: count * ran[place] for name, count in gpus.items()} for place, gpus in had}


def _of_started(field: str) -> Callable[[EventColumns], Amounts]:
    return lambda events: events.of_started(field)


def _submit_to_eligible(events: EventColumns) -> Amounts:
    since, until = events["submit"], events.of_started("eligible")
    if since and isinstance(since[0], str):
        # As they stand in bodies.
        since, until = ([moment and epoch(moment) for moment in moments] for moments in (since, until))
    rows = zip(since, until, strict=True)
    return [None if end is None else end - begun if end > begun else 0 for begun, end in rows]


def _limit_used(events: EventColumns) -> Amounts:
    rows = zip(events.of_started("elapsed_seconds"), events["timelimit_seconds"], strict=True)
    return [elapsed / limit if limit and elapsed is not None else None for elapsed, limit in rows]


def _lag(events: EventColumns) -> Amounts:
    return events.lags


def _lateness(events: EventColumns) -> Amounts:
    return [lag if lag and lag > LATE_SECONDS else None for lag in events.lags]


def _late(events: EventColumns) -> Sequence[str | None]:
    rows = zip(events.lags, events.events, strict=True)
    return [_FOUND_BY[event.found_by] if lag and lag > LATE_SECONDS else None for lag, event in rows]


def _whole(events: EventColumns) -> list[Mapping[str, Any] | None]:
    """Return the usage of attempts that started, where it is complete."""
    return [usage if usage and usage["complete"] else None for usage in events.of_started("usage")]


def _cpu_known(events: EventColumns) -> list[tuple[float, int] | None]:
    """Return what each used and had; both or neither, so that one over the other is a share."""
    rows = zip(_whole(events), events["cpus"], events["elapsed_seconds"], strict=True)
    return [
        (usage["cpu_seconds"], cpus * elapsed)
        if usage is not None and "cpu_seconds" in usage and cpus is not None and elapsed is not None
        else None
        for usage, cpus, elapsed in rows
    ]


def _cpu_used(events: EventColumns) -> Amounts:
    return [None if known is None else known[0] for known in _cpu_known(events)]


def _cpu_allocated(events: EventColumns) -> Amounts:
    return [None if known is None else known[1] for known in _cpu_known(events)]


def _energy(events: EventColumns) -> Amounts:
    return [None if usage is None else usage.get("energy_joules") or None for usage in _whole(events)]


def _efficiency(field: str) -> Callable[[EventColumns], Amounts]:
    return lambda events: [
        usage.get(field) if usage is not None and usage["steps"] else None for usage in _whole(events)
    ]


def _gpu_efficiency(events: EventColumns) -> Amounts:
    rows = zip(_whole(events), _gpus(events), strict=True)
    shares = [usage.get("gpu_ave_utilization_percent") if usage and gpus else None for usage, gpus in rows]
    return [None if percent is None else percent / 100 for percent in shares]


_ENDED, _USAGE, _REVISED = EventKind.JOB_ENDED, EventKind.JOB_USAGE, EventKind.JOB_REVISED

CATALOGUE = (
    Family(name="jobs_ended", text="Job attempts that ended.", unit="attempts", source="one for each attempt",
           event=_ENDED, values=_field("state"), own="state", known=KNOWN_STATES),
    Family(name="job_outcomes", text="Job attempts that ended, by outcome.", unit="attempts",
           source="one for each attempt", event=_ENDED, values=_field("outcome"), own="outcome",
           known=KNOWN_OUTCOMES),
    Family(name="job_requeues", text="Job attempts that ended because their job was requeued.", unit="attempts",
           source="one where `state` is `REQUEUED`", event=_ENDED, measure=_requeued),
    Family(name="job_revisions", text="Changes of attempts after their end.", unit="revisions",
           source="one for each `job_revised`", event=_REVISED, measure=_one),
    Family(name="ended_cpu_seconds", text="Allocated CPUs times elapsed seconds of ended attempts.",
           unit="CPU-seconds", source="`alloc_tres.cpu`, or else `cpus`, times `elapsed_seconds`", event=_ENDED,
           measure=_tres_seconds("cpu", "cpus")),
    Family(name="ended_node_seconds", text="Allocated nodes times elapsed seconds of ended attempts.",
           unit="node-seconds", source="`alloc_tres.node`, or else `node_count`, times `elapsed_seconds`",
           event=_ENDED, measure=_tres_seconds("node", "node_count")),
    Family(name="ended_memory_byte_seconds", text="Allocated memory times elapsed seconds of ended attempts.",
           unit="byte-seconds", source="`alloc_tres.mem_bytes`, in whole MiB, times `elapsed_seconds`",
           event=_ENDED, measure=_memory, scale=_MIB),
    Family(name="ended_gpu_seconds", text="Allocated GPUs times elapsed seconds of ended attempts, by type.",
           unit="GPU-seconds",
           source="`gres/gpu:TYPE` of `alloc_tres` times `elapsed_seconds`; what `gres/gpu` has beyond all types "
                  f"is `{UNTYPED}`",
           event=_ENDED, split=_gpu_seconds, own="gpu_type"),
    Family(name="ended_billing_seconds", text="Billing units times elapsed seconds of ended attempts.",
           unit="billing-seconds", source="`alloc_tres.billing` times `elapsed_seconds`", event=_ENDED,
           measure=_tres_seconds("billing")),
    Family(name="job_elapsed_seconds", text="Time from start to end of ended attempts that had started.",
           unit="seconds", source="`elapsed_seconds`", event=_ENDED, measure=_of_started("elapsed_seconds"),
           buckets=_ELAPSED),
    Family(name="job_submit_to_eligible_seconds",
           text="Time from submit to eligible of ended attempts that had started.", unit="seconds",
           source="`eligible` minus `submit`: dependencies, begin times, holds", event=_ENDED,
           measure=_submit_to_eligible, buckets=_WAIT),
    Family(name="job_wait_seconds", text="Time from eligible to start of ended attempts that had started.",
           unit="seconds", source="`wait_seconds`", event=_ENDED, measure=_of_started("wait_seconds"),
           buckets=_WAIT),
    Family(name="job_timelimit_used_ratio",
           text="Elapsed time divided by the time limit, of ended attempts that had started.", unit="share",
           source="`elapsed_seconds` divided by `timelimit_seconds`", event=_ENDED, measure=_limit_used,
           buckets=_RATIO),
    Family(name="job_nodes", text="Nodes allocated to ended attempts that had started.", unit="nodes",
           source="`node_count`", event=_ENDED, measure=_of_started("node_count"), buckets=_NODES),
    Family(name="detection_lag_seconds",
           text="Time from an attempt's end until the daemon first saw it, except for backfills.", unit="seconds",
           source="`observed` minus `time`", event=_ENDED, measure=_lag, buckets=_LAG, by_choice=False),
    Family(name="late_records",
           text="Attempts first seen over five minutes after their end, except for backfills.", unit="attempts",
           source=f"one where `observed` is over {LATE_SECONDS} s after `time`", event=_ENDED, values=_late,
           own="found_by", by_choice=False),
    Family(name="lateness_seconds", text="Time from end until first seen, of late records alone.", unit="seconds",
           source="`observed` minus `time` of those", event=_ENDED, measure=_lateness, buckets=_LATE,
           by_choice=False),
    Family(name="job_cpu_seconds", text="CPU time used by attempts whose usage is complete.", unit="CPU-seconds",
           source="`usage.cpu_seconds`", event=_USAGE, measure=_cpu_used),
    Family(name="job_allocated_cpu_seconds",
           text="Allocated CPUs times elapsed seconds of attempts whose usage is complete.", unit="CPU-seconds",
           source="`cpus` times `elapsed_seconds`, of the attempts that `job_cpu_seconds` counts", event=_USAGE,
           measure=_cpu_allocated),
    Family(name="job_energy_joules",
           text="Energy used by attempts whose usage is complete, if Slurm gathers it.", unit="joules",
           source="`usage.energy_joules`", event=_USAGE, measure=_energy),
    Family(name="job_cpu_efficiency_ratio",
           text="CPU time divided by allocated CPUs times elapsed seconds, for attempts with steps.", unit="share",
           source="`usage.cpu_efficiency`", event=_USAGE, measure=_efficiency("cpu_efficiency"), buckets=_RATIO),
    Family(name="job_memory_efficiency_ratio",
           text="Peak memory divided by memory allocated or requested, for attempts with steps.", unit="share",
           source="`usage.memory_efficiency`", event=_USAGE, measure=_efficiency("memory_efficiency"),
           buckets=_RATIO),
    Family(name="job_gpu_efficiency_ratio",
           text="Average GPU utilization of attempts with GPUs, if Slurm gathers it.", unit="share",
           source="`usage.gpu_ave_utilization_percent` divided by 100", event=_USAGE, measure=_gpu_efficiency,
           buckets=_RATIO),
)  # fmt: skip
"""Every family, in the order of `/metrics`."""

FAMILIES: Mapping[str, Family] = {family.name: family for family in CATALOGUE}

BY_FULL_NAME: Mapping[str, Family] = {family.full_name: family for family in CATALOGUE}


def weights_of(events: EventColumns) -> Sequence[float]:
    """Return how much attempts count where the biggest of many label sets are looked for.

    Each counts one, and each allocated CPU-hour as much: who runs many jobs is big, and who runs large ones.
    """
    return [1 + (cpus or 0) * ran / _HOUR for cpus, ran in zip(events["cpus"], events.ran, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelChoice:
    """Which labels families have.

    Attributes:
        labels: Of every family that has labels by choice, out of `CHOICE`.
        families: For some, by name without the prefix, other labels.
        limits: For some, how many label sets they may have.
    """

    labels: tuple[str, ...] = ("partition",)
    families: Mapping[str, tuple[str, ...]]
    limits: Mapping[str, int]

    def labels_of(self, family: Family) -> tuple[str, ...]:
        """Return the chosen labels of a family, in the order of `CHOICE`."""
        if not family.by_choice:
            return ()
        chosen = self.families.get(family.name, self.labels)
        return tuple(label for label in CHOICE if label in chosen)


DEFAULT_CHOICE = LabelChoice(families={}, limits={})
