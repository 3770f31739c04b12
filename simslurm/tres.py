"""TRES strings and numbers with units: `1=4,2=8192` is printed `cpu=4,mem=8G`."""

from __future__ import annotations

from .hostlists import nth_host
from .schema import INFINITE64, NO_VAL64
from .times import duration

CPU, MEM, ENERGY, NODE, BILLING, DISK, VMEM, PAGES = range(1, 9)
"""The ids every slurmdbd gives to the TRES it always has."""

NONE, KILO, MEGA = range(3)
"""Units a number can be in."""

_SIZES = frozenset({"vmem", "fs", "gres/gpumem"})
"""What usage strings count in bytes, besides memory."""

_UNITS = ("", "K", "M", "G", "T", "P", "?")


class Conversion:
    """How numbers with units are printed: --noconvert, --units.

    Attributes:
        convert: False with --noconvert.
        unit: The unit --units asks for, or None.
    """

    __slots__ = ("convert", "unit")

    def __init__(self, *, convert: bool = True, unit: int | None = None) -> None:
        """Keep both."""
        self.convert = convert
        self.unit = unit

    def number(self, value: float, unit: int, *, divisor: int = 1024, exact: bool = True) -> str:
        """Print a number that is given in `unit`.

        Slurm converts only where nothing is lost beyond two digits, unless `exact` is off
        (convert_num_unit2, the same in every release).
        """
        if int(value) == 0:
            return "0"
        if self.unit is not None:
            value *= float(divisor) ** (unit - self.unit)
            unit = self.unit
        elif self.convert:
            while value >= divisor and not (exact and int(value) % (divisor // 2)):
                value /= divisor
                unit += 1
        suffix = _UNITS[min(unit, len(_UNITS) - 1)]
        return f"{int(value)}{suffix}" if value == int(value) else f"{value:.2f}{suffix}"

    def mebibytes(self, count: int) -> str:
        """Print bytes the way the disk columns do: MiB with two digits, also with --noconvert."""
        value = count / (1 << 20)
        if value > 1:
            return self.number(value, MEGA)
        return f"{value:.2f}M" if value > 0 else "0"


def parse(text: bytes) -> dict[int, int]:
    """Read `1=4,2=8192` into counts by TRES id; the first of two entries counts."""
    counts: dict[int, int] = {}
    for entry in text.split(b","):
        name, _, value = entry.partition(b"=")
        if name.isdigit() and value.isdigit():
            counts.setdefault(int(name), int(value))
    return counts


def count_of(text: bytes, tres_id: int) -> int:
    """Find one count in a TRES string: Slurm's INFINITE64 where it is not there."""
    return parse(text).get(tres_id, INFINITE64) if text else INFINITE64


class TresPrinter:
    """Prints TRES strings with the names this cluster has for the ids.

    Where the list of names could not be had, every column is blank, as in Slurm.
    """

    def __init__(self, names: dict[int, tuple[str, str]] | None, conversion: Conversion) -> None:
        """Keep the names, `{id: (type, name)}`."""
        self._names = names
        self._conversion = conversion
        self._seen: dict[tuple[bytes, bool], bytes] = {}

    def counts(self, text: bytes, *, usage: bool = False) -> bytes:
        """Print counts: `billing=1,cpu=4,mem=8G`. Usage has bytes and processor milliseconds."""
        key = (text, usage)
        if key not in self._seen:
            if len(self._seen) > 20_000:  # noqa: PLR2004 - a cache, not a leak
                self._seen.clear()
            self._seen[key] = self._printed(text, lambda kind, value: self._amount(kind, value, usage=usage))
        return self._seen[key]

    def ids(self, text: bytes) -> bytes:
        """Print task ids as they are."""
        return self._printed(text, lambda _, value: str(value))

    def hosts(self, text: bytes, nodelist: bytes) -> bytes:
        """Print node numbers as the names of the step's nodes."""
        return self._printed(text, lambda _, value: nth_host(nodelist, value))

    def _amount(self, kind: str, value: int, *, usage: bool) -> str:
        if usage and kind == "cpu":
            return duration(value // 1000).decode()
        if kind in {"mem", "bb"} or (usage and kind in _SIZES):
            return self._conversion.number(value, NONE if usage else MEGA)
        # As a double, what went just below zero is 2**64, and printed so (22.05 to 26.05).
        return f"{float(value):.2f}" if float(value) > INFINITE64 else str(value)

    def _printed(self, text: bytes, show: object) -> bytes:
        if self._names is None or not text:
            return b""
        assert callable(show)  # noqa: S101 - narrows the type where importing Callable would cost start-up time
        entries = []
        for tres_id, value in parse(text).items():
            if value in {NO_VAL64, INFINITE64} or tres_id not in self._names:
                continue
            kind, name = self._names[tres_id]
            full = f"{kind}/{name}" if name else kind
            entries.append(f"{full}={show(full if full == 'gres/gpumem' else kind, value)}")
        return ",".join(sorted(entries)).encode()
