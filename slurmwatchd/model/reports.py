"""Who used what, and how well: lines of a report, made of the hourly sums. Pure arithmetic: no input or output."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from slurmwatchd.model.outcomes import FAILURES
from slurmwatchd.model.sums import AMOUNTS, HOUR
from slurmwatchd.model.waits import bucket_wait

TOTAL, OTHERS = "total", "(others)"

_GPU = "gres/gpu"
_MIB_A_GIB = 1024
_JOULES_A_KWH = 3_600_000


PLAIN_TRES = ("cpu", "node", "mem", "billing")
"""What has a price under its own name; any other TRES is TYPE/NAME."""


def check_prices(prices: Mapping[str, float]) -> Mapping[str, float]:
    """Return prices as they are.

    Raises:
        ValueError: One is of something that no job can be allocated, and would cost nothing for ever; named.
    """
    for name in prices:
        if name not in PLAIN_TRES and not all(name.partition("/")):
            plain = ", ".join(PLAIN_TRES)
            raise ValueError(f"{name!r} is no TRES: name {plain}, or TYPE/NAME such as gres/gpu")
    return prices


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What an hour of each TRES costs.

    Attributes:
        prices: Name of a TRES to the price of an hour of one: `cpu`, `node`, `mem` (a GiB), `billing`,
            `gres/gpu` (those whose type has no price of its own), `gres/gpu:a100`, `license/matlab`.
        grams_per_kwh: CO2.

    Raises:
        ValueError: A price is of no TRES.
    """

    prices: Mapping[str, float] = field(default_factory=dict)
    grams_per_kwh: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a price that would never be paid."""
        check_prices(self.prices)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLine:
    """What some attempts add up to. Hours are those of the span only, whenever the attempt began or ended.

    Attributes:
        key: Whose they are: an account, a user, a day (`2026-11-28`) ...
        attempts: How many ended in the span; `outcomes`: of these, by outcome.
        gpu_hours: Of all types; typed and untyped ones are counted once.
        tres_hours: Name of any other TRES to hours of one: GPUs by type, licenses.
        used_cpu_hours: CPU time used, of attempts whose usage is known.
        cpu_efficiency: That over the CPU hours which these attempts had; None where none is known. The same for
            memory and GPUs.
        lost_cpu_hours: Had by attempts whose outcome is in `outcomes.FAILURES`; likewise GPUs.
        wait_median_seconds: From eligible to start, of attempts that ended in the span; at most 3.2 percent off.
        price: None without prices.
        co2_kilograms: None without grams per kWh.
    """

    key: str
    attempts: int
    outcomes: Mapping[str, int]
    elapsed_hours: float
    cpu_hours: float
    node_hours: float
    memory_gib_hours: float
    gpu_hours: float
    billing_hours: float
    tres_hours: Mapping[str, float]
    used_cpu_hours: float
    cpu_efficiency: float | None
    memory_efficiency: float | None
    gpu_efficiency: float | None
    lost_cpu_hours: float
    lost_gpu_hours: float
    wait_median_seconds: float | None
    wait_95th_seconds: float | None
    energy_kwh: float
    price: float | None
    co2_kilograms: float | None


class Tally:
    """Sums of one line, in the making."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.amounts: dict[str, float] = dict.fromkeys(AMOUNTS, 0.0)
        self.outcomes: dict[str, int] = {}
        self.lost_cpu_seconds = self.lost_gpu_seconds = 0.0
        self.tres: dict[str, float] = {}
        self.waits: dict[int, int] = {}

    def add(self, outcome: str, amounts: Sequence[float]) -> None:
        """Add what attempts of one outcome had, in the order of `AMOUNTS`."""
        named = dict(zip(AMOUNTS, amounts, strict=True))
        for name, amount in named.items():
            self.amounts[name] += amount
        if count := round(named["attempts"]):
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count
        if outcome in FAILURES:
            self.lost_cpu_seconds += named["cpu_seconds"]
            self.lost_gpu_seconds += named["gpu_seconds"]

    def add_tres(self, name: str, seconds: float) -> None:
        """Add seconds of another TRES."""
        self.tres[name] = self.tres.get(name, 0.0) + seconds

    def add_waits(self, bucket: int, count: int) -> None:
        """Add attempts that waited as long as a bucket says."""
        self.waits[bucket] = self.waits.get(bucket, 0) + count

    def merge(self, other: Self) -> None:
        """Add another tally."""
        for name, amount in other.amounts.items():
            self.amounts[name] += amount
        for outcome, count in other.outcomes.items():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count
        for name, seconds in other.tres.items():
            self.add_tres(name, seconds)
        for bucket, count in other.waits.items():
            self.add_waits(bucket, count)
        self.lost_cpu_seconds += other.lost_cpu_seconds
        self.lost_gpu_seconds += other.lost_gpu_seconds

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is left of it: attempts that were revised into another group leave zeros."""
        return not any(self.amounts.values())

    def line(self, key: str, rates: Rates) -> ReportLine:
        """Return the line."""
        amounts = self.amounts
        kwh = amounts["energy_joules"] / _JOULES_A_KWH
        return ReportLine(
            key=key,
            attempts=round(amounts["attempts"]),
            outcomes=dict(sorted(self.outcomes.items(), key=lambda pair: (-pair[1], pair[0]))),
            elapsed_hours=amounts["elapsed_seconds"] / HOUR,
            cpu_hours=amounts["cpu_seconds"] / HOUR,
            node_hours=amounts["node_seconds"] / HOUR,
            memory_gib_hours=amounts["memory_mib_seconds"] / _MIB_A_GIB / HOUR,
            gpu_hours=amounts["gpu_seconds"] / HOUR,
            billing_hours=amounts["billing_seconds"] / HOUR,
            tres_hours={name: seconds / HOUR for name, seconds in sorted(self.tres.items()) if seconds},
            used_cpu_hours=amounts["used_cpu_milliseconds"] / 1000 / HOUR,
            cpu_efficiency=_ratio(amounts["used_cpu_milliseconds"] / 1000, amounts["known_cpu_seconds"]),
            memory_efficiency=_ratio(amounts["used_memory_mib_seconds"], amounts["known_memory_mib_seconds"]),
            gpu_efficiency=_ratio(amounts["used_gpu_percent_seconds"] / 100, amounts["known_gpu_seconds"]),
            lost_cpu_hours=self.lost_cpu_seconds / HOUR,
            lost_gpu_hours=self.lost_gpu_seconds / HOUR,
            wait_median_seconds=_quantile(self.waits, 0.5),
            wait_95th_seconds=_quantile(self.waits, 0.95),
            energy_kwh=kwh,
            price=self._price(rates.prices) if rates.prices else None,
            co2_kilograms=kwh * rates.grams_per_kwh / 1000 if rates.grams_per_kwh else None,
        )

    def _price(self, prices: Mapping[str, float]) -> float:
        amounts = self.amounts
        priced_gpus = [name for name in self.tres if name.startswith(f"{_GPU}:") and name in prices]
        seconds = {
            **self.tres,
            "cpu": amounts["cpu_seconds"],
            "node": amounts["node_seconds"],
            "mem": amounts["memory_mib_seconds"] / _MIB_A_GIB,
            "billing": amounts["billing_seconds"],
            # A GPU is paid for once: by the price of its type, or else by that of any.
            _GPU: amounts["gpu_seconds"] - sum(self.tres[name] for name in priced_gpus),
        }
        return sum(price * seconds.get(name, 0.0) for name, price in prices.items()) / HOUR


def lines(tallies: Mapping[str, Tally], rates: Rates, *, top: int | None = None) -> list[ReportLine]:
    """Return the lines of a report, in the order of the tallies, and one of them all at the end.

    Args:
        tallies: Key to sums.
        rates: What an hour costs.
        top: At most so many keys; the rest is one line before the last.
    """
    keys = [key for key, tally in tallies.items() if not tally.is_empty]
    shown, rest = (keys, []) if top is None else (keys[:top], keys[top:])
    made = [tallies[key].line(key, rates) for key in shown]
    if rest:
        made.append(_merged(tallies[key] for key in rest).line(OTHERS, rates))
    return [*made, _merged(tallies[key] for key in keys).line(TOTAL, rates)]


def _merged(tallies: Iterable[Tally]) -> Tally:
    merged = Tally()
    for tally in tallies:
        merged.merge(tally)
    return merged


def _ratio(used: float, had: float) -> float | None:
    return used / had if had > 0 else None


def _quantile(waits: Mapping[int, int], share: float) -> float | None:
    """Return the smallest wait that so large a share waited at most; None where no one waited."""
    total = sum(waits.values())
    if total <= 0:
        return None
    left = math.ceil(share * total)
    for bucket in sorted(waits):
        left -= waits[bucket]
        if left <= 0:
            return bucket_wait(bucket)
    return None
