"""What an attempt has while it runs, of each TRES: what a second of it adds to the sums."""

from collections.abc import Mapping
from typing import Any, NamedTuple

UNTYPED = "(untyped)"
"""The type of GPUs that the site accounts without one (`gres/gpu` alone)."""

_MIB = 1 << 20
_NUMBERS = (int, float)
_GPU = "gres/gpu"
_TYPED_GPU = f"{_GPU}:"
_OWN = frozenset({"cpu", "mem_bytes", "node", "billing", "energy_joules", _GPU})
"""What alloc_tres has that is an amount of its own in the sums; the rest is grouped by name."""

TimeAmounts = tuple[int, int, int, int, int, int]
"""Seconds, and those of CPUs, nodes, MiB of memory, GPUs and billing units: amounts of `sums.AMOUNTS`."""


class TresRates(NamedTuple):
    """What an attempt has of each TRES while it runs.

    Attributes:
        of_time: What a second of it adds.
        energy_joules: What the attempt used in all.
        others: Names of all other TRES, and how many of each.
    """

    of_time: TimeAmounts
    energy_joules: int
    others: tuple[tuple[str, int], ...]

    @property
    def cpus(self) -> int:
        """How many CPUs."""
        return self.of_time[1]

    @property
    def memory_mib(self) -> int:
        """How much memory."""
        return self.of_time[3]

    @property
    def gpus(self) -> int:
        """How many GPUs, of all types."""
        return self.of_time[4]


def _is_amount(value: object) -> bool:
    return isinstance(value, _NUMBERS) and value > 0


def gpus_by_type(tres: Mapping[str, Any]) -> dict[str, int]:
    """Return the GPUs in a list of TRES by type, each counted once.

    A site accounts `gres/gpu`, types (`gres/gpu:a100`), or both, and then the first is the sum of all.
    """
    found = {
        name.removeprefix(_TYPED_GPU): int(amount)
        for name, amount in tres.items()
        if name.startswith(_TYPED_GPU) and _is_amount(amount)
    }
    total = tres.get(_GPU)
    rest = int(total) - sum(found.values()) if isinstance(total, int | float) else 0
    return {**found, UNTYPED: rest} if rest > 0 else found


def tres_rates(cpus: int | None, nodes: int | None, alloc_tres: Mapping[str, Any] | None) -> TresRates:
    """Return what an attempt has of each TRES, by its list; what that lacks of CPUs and nodes the others say."""
    tres = {name: int(amount) for name, amount in (alloc_tres or {}).items() if _is_amount(amount)}
    others = tuple([(name, amount) for name, amount in tres.items() if name not in _OWN])
    # Most attempts have none.
    gpus = sum(gpus_by_type(tres).values()) if others or _GPU in tres else 0
    of_time = (
        1,
        tres.get("cpu", cpus or 0),
        tres.get("node", nodes or 0),
        tres.get("mem_bytes", 0) // _MIB,
        gpus,
        tres.get("billing", 0),
    )
    return TresRates(of_time, tres.get("energy_joules", 0), others)


def plus(one: TimeAmounts, other: TimeAmounts) -> TimeAmounts:
    """Add two; without a loop in less than half the time."""
    a, b, c, d, e, f = one
    p, q, r, s, t, u = other
    return a + p, b + q, c + r, d + s, e + t, f + u


def times(count: int, each: TimeAmounts) -> TimeAmounts:
    """Return so many times the same."""
    a, b, c, d, e, f = each
    return count * a, count * b, count * c, count * d, count * e, count * f
