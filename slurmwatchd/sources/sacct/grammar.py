"""Sacct's spellings of numbers, times and lists, each read by one small function.

A reader takes the bytes of one field, never empty, and returns the value, None where Slurm says that there
is none, or raises ValueError for anything else; the caller keeps the text then. A reader of a list raises
`PartlyReadError`, which brings what can be read of it. Nothing is remembered here: `columns.py` does that, once.

What cannot be a measurement is none: a counter that went below zero, which Slurm prints as 2**64 or 2**32 less a
little; a run of more than 31 years; a start before there was Slurm.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from slurmwatchd.model import slurm_lists
from slurmwatchd.model.clock import EARLIEST
from slurmwatchd.model.records import Tres, TresValue

_SUFFIXES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50, "E": 1 << 60}
# Bounded, and plain ASCII digits: int() alone would take `1_000`, ` 7` and numbers that neither SQLite nor JSON
# can hold, and one such value would then stop a whole batch.
_INTEGER = re.compile(rb"-?\d{1,18}")
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)([KMGTPE]?)", re.ASCII)
_DURATION = re.compile(rb"(?:(\d{1,9})-)?(\d{1,9}):(\d\d):(\d\d)")
_SHORT_DURATION = re.compile(rb"(\d\d):(\d\d)\.(\d{3})")
_JOB_ID = re.compile(
    r"(?P<base>\d{1,18})(?:_(?P<task>\d{1,18})|_\[(?P<tasks>.*)\]|\+(?P<offset>\d{1,18}))?", re.ASCII | re.DOTALL
)
NATURAL_DIGITS = 11
"""Enough for 32-bit ids, and for times until the year 5138."""
_LARGEST = (1 << 63) - 1
_PLAIN_DIGITS = 18
_AMOUNT = re.compile(r"\d{1,18}", re.ASCII)
_COUNT = re.compile(rb"\d{1,10}")
_MOST = (1 << 31) - 1
"""Of nodes, processors or tasks; from here on a 32-bit counter that went below zero begins."""

SECONDS_DIGITS = 9
"""The most digits of the seconds of a run or a wait: 31 years."""
_MOST_SECONDS = 10**SECONDS_DIGITS - 1

UNSET_IDS = frozenset({4294967294, 4294967295})
"""NO_VAL and INFINITE: how 32-bit fields say that they are not set."""

UNSET_AMOUNTS = frozenset({"18446744073709551614", "18446744073709551615"})
"""NO_VAL64 and INFINITE64: how amounts of TRES say so, energy above all."""

ZERO_SLUID = b"s0000000000000"

JOB_ID_WIDTH = 6
"""How many fields of the record `job_id` fills, from `array_job_id` on."""

TresReader = Callable[[str], TresValue]


class PartlyReadError(ValueError):
    """Some items of a list cannot be read: they cost themselves, and not their neighbours.

    Attributes:
        read: What the others say, as the reader would have returned it.
        unread: Those that cannot be read, as they stand in the list.
    """

    def __init__(self, read: Mapping[str, Any] | tuple[Any, ...], unread: Sequence[str]) -> None:
        """Say what can be read, and what cannot."""
        super().__init__(",".join(unread))
        self.read = read
        # What is empty between two commas says nothing of itself.
        self.unread = ",".join(unread) or ","


_SIZED = frozenset({"mem", "vmem", "gres/gpumem"})
_SIZED_KINDS = ("bb/", "fs/")

NO_NODES = "None assigned"
"""What `node_list` returns, this very object, where no node was ever assigned."""


def text(value: bytes) -> str:
    r"""Decode without failing: bytes that are no UTF-8 become `\xff` in writing, so no surrogate survives."""
    return value.decode(errors="backslashreplace")


def integer(value: bytes) -> int | None:
    """Read a decimal number; NO_VAL and INFINITE are None."""
    number = _whole(value)
    return None if number in UNSET_IDS else number


def count(value: bytes) -> int | None:
    """Read how many nodes, processors or tasks there are; NO_VAL and INFINITE are None."""
    if not _COUNT.fullmatch(value):
        raise ValueError(value)
    number = int(value)
    if number in UNSET_IDS:
        return None
    if number > _MOST:
        raise ValueError(value)
    return number


def seconds(value: bytes) -> int | None:
    """Read how long a run took; see `count`."""
    number = count(value)
    if number is not None and number > _MOST_SECONDS:
        raise ValueError(value)
    return number


def digits(value: bytes) -> str:
    """Read a number of any size as text (DBIndex exceeds 2**63 on about half of the clusters from 24.11 on)."""
    if not value.isdigit():
        raise ValueError(value)
    return value.decode()


def sluid(value: bytes) -> str | None:
    """Read a SLUID; Slurm's zero is none: 26.05 has it as the original one of each row of an older release."""
    return None if value == ZERO_SLUID else text(value)


def reason(value: bytes) -> str | None:
    """Read why a job waited; Slurm's word for no reason is `None`."""
    return None if value == b"None" else text(value)


def epoch(value: bytes) -> int | None:
    """Read a time under `SLURM_TIME_FORMAT=%s`; `Unknown` (0) and `None` (never) are None."""
    if value in (b"Unknown", b"None"):
        return None
    return natural(value)


def moment(value: bytes) -> int | None:
    """Read a time as `epoch` does; one before `EARLIEST` is none."""
    time = epoch(value)
    if time is not None and time < EARLIEST:
        raise ValueError(value)
    return time


def natural(value: bytes) -> int:
    """Read an id or a time that must be there; what is longer than any real one is none."""
    if not is_natural(value):
        raise ValueError(value)
    return int(value)


def is_natural(value: bytes) -> bool:
    """Tell whether `natural` can read a value."""
    return value.isdigit() and len(value) <= NATURAL_DIGITS


def are_natural(values: Sequence[bytes]) -> bool:
    """Tell whether `natural` can read each of some values, at least one."""
    return all(values) and b"".join(values).isdigit() and max(map(len, values)) <= NATURAL_DIGITS


def duration(value: bytes) -> int | None:
    """Read `[D-]HH:MM:SS` as seconds; Slurm's word for less than nothing (`INVALID`) is None.

    That is the wait of an attempt that ended before it was eligible, such as a requeued job that was cancelled.
    """
    if value == b"INVALID":
        return None
    span = _span(value)
    if span > _MOST_SECONDS:
        raise ValueError(value)
    return span


def cpu_milliseconds(value: bytes) -> int:
    """Read processor time: `MM:SS.mmm` below an hour, `[D-]HH:MM:SS` where there are no milliseconds to show."""
    match = _SHORT_DURATION.fullmatch(value)
    if match is None:
        return _span(value) * 1000
    minutes, seconds, milliseconds = match.groups()
    return int(minutes) * 60_000 + int(seconds) * 1000 + int(milliseconds)


def _span(value: bytes) -> int:
    """Read `[D-]HH:MM:SS` as seconds; below zero it has twelve digits of days (`213503982334-14:25:51`)."""
    match = _DURATION.fullmatch(value)
    if match is None:
        raise ValueError(value)
    days, hours, minutes, seconds = match.groups(default=b"0")
    return int(days) * 86400 + int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def minutes(value: bytes) -> int | None:
    """Read whole minutes as seconds; no limit of the job's own (`UNLIMITED`, `Partition_Limit`) is None."""
    number = None if value in (b"UNLIMITED", b"Partition_Limit") else count(value)
    return None if number is None else number * 60


def flags(value: bytes) -> list[str]:
    """Read a list with commas."""
    return slurm_lists.flags(text(value))


def constraints(value: bytes) -> list[str]:
    """Read the features that were asked for; see `slurm_lists.terms`."""
    return slurm_lists.terms(text(value))


def licenses(value: bytes) -> dict[str, int]:
    """Read the licenses that were asked for, as name to count.

    Raises:
        PartlyReadError: Some cannot be read.
        ValueError: It is a choice between licenses.
    """
    words = text(value)
    try:
        return slurm_lists.licenses(words)
    except ValueError:
        if "|" in words:
            raise
    found: dict[str, int] = {}
    unread: list[str] = []
    for item in words.split(","):
        try:
            found |= {name: found.get(name, 0) + number for name, number in slurm_lists.licenses(item).items()}
        except ValueError:
            unread.append(item)
    raise PartlyReadError(found, unread)


def exit_code(value: bytes) -> tuple[int, int]:
    """Read `code:signal` as sacct prints it.

    Before 25.11 sacct takes 128 from codes of 128 and above: `11:0` is 11 or 139, `0:0` may be 128. Nothing else
    in the row tells which, so nothing is put back.
    """
    code, _, signal = value.partition(b":")
    return _whole(code), _whole(signal)


def state(value: bytes) -> tuple[str, int | None]:
    """Read a state: one word, and who cancelled (`CANCELLED by 1000`; -2 and NO_VAL mean nobody knows)."""
    word, _, by = value.partition(b" by ")
    canceller = _whole(by) if by else None
    if canceller is not None and (canceller < 0 or canceller in UNSET_IDS):
        canceller = None
    return text(word).strip().upper() or "UNKNOWN", canceller


def job_id(value: str) -> tuple[int | None, int | None, str | None, int | None, int | None, int | None]:
    """Read what a job id says of arrays and heterogeneous jobs.

    Args:
        value: `12`, `12_3`, `12_[0-9%2]` or `12+1`.

    Returns:
        array_job_id, array_task_id, array_tasks, array_task_count, het_job_id, het_job_offset; all None for a
        plain job.

    Raises:
        ValueError: It is none of these.
    """
    match = _JOB_ID.fullmatch(value)
    if match is None:
        raise ValueError(value)
    base, task, tasks, offset = match.groups()
    if task is not None:
        return int(base), int(task), None, None, None, None
    if tasks is not None:
        return int(base), None, tasks, slurm_lists.task_count(tasks), None, None
    if offset is not None:
        return None, None, None, None, int(base), int(offset)
    return None, None, None, None, None, None


def node_list(value: bytes) -> str | None:
    """Read a compact node list.

    Slurm's words for "no node was ever assigned" (`None assigned`) become `NO_NODES`, those for "nothing known"
    (`(unknown)`, a NULL in the table) None.
    """
    if value == b"(unknown)":
        return None
    return NO_NODES if value == b"None assigned" else text(value)


def tres(value: bytes) -> Tres:
    """Read a TRES list such as `billing=4,cpu=4,gres/gpu:a100=2,mem=1500M,node=1`.

    Sizes become `mem_bytes`, `gres/gpumem_bytes`, `bb/NAME_bytes`, energy `energy_joules`; other names are kept.
    An amount that is not set is left out. The result may be shared between records of equal text: it must not
    be changed.

    Raises:
        PartlyReadError: Some amounts cannot be read.
    """
    result: dict[str, TresValue] = {}
    unread: list[str] = []
    for item in text(value).split(","):
        name, equals, amount = item.rpartition("=")
        if not equals or not name:
            unread.append(item)
        elif amount not in UNSET_AMOUNTS:
            key, read = _tres_reader(name)
            try:
                result[key] = read(amount)
            except ValueError:
                unread.append(item)
    if unread:
        raise PartlyReadError(result, unread)
    return result


def usage_tres(value: bytes) -> dict[str, int]:
    """Read what steps used: `cpu=00:01:02,fs/disk=52453709,gres/gpuutil=97,mem=446902272,vmem=...`.

    Returns:
        Name to amount: sizes in bytes, `cpu` in seconds, `energy` in joules.

    Raises:
        PartlyReadError: Some amounts cannot be read.
    """
    result: dict[str, int] = {}
    unread: list[str] = []
    for item in value.split(b","):
        name, equals, amount = item.rpartition(b"=")
        if not equals or not name:
            unread.append(text(item))
        # Four of these lists stand in the row of each step, and all but a few amounts are plain numbers.
        elif amount.isdigit() and len(amount) <= _PLAIN_DIGITS:
            result[text(name)] = int(amount)
        elif (written := text(amount)) not in UNSET_AMOUNTS:
            try:
                result[text(name)] = _span(amount) if name == b"cpu" else size(written)
            except ValueError:
                unread.append(text(item))
    if unread:
        raise PartlyReadError(result, unread)
    return result


def _tres_reader(name: str) -> tuple[str, TresReader]:
    """Return under which name a TRES stands in a record, and what reads its amount."""
    if name in _SIZED or name.startswith(_SIZED_KINDS):
        return f"{name}_bytes", size
    return ("energy_joules" if name == "energy" else name), _amount


def size(value: str) -> int:
    """Read a size with an optional binary suffix (`4000M`) as bytes."""
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(value)
    number, suffix = match.groups()
    factor = _SUFFIXES.get(suffix, 1)
    result = int(number) * factor if "." not in number else round(Decimal(number) * factor)
    if result > _LARGEST:
        raise ValueError(value)
    return result


def _amount(value: str) -> TresValue:
    """Read a TRES amount: a plain number."""
    if not _AMOUNT.fullmatch(value):
        raise ValueError(value)
    return int(value)


def _whole(value: bytes) -> int:
    if not _INTEGER.fullmatch(value):
        raise ValueError(value)
    return int(value)
