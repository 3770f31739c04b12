"""Processor times and lists of what steps used: columns in which hardly two values are alike.

Nearly all of a column look alike, so they are cut up all at once; what looks otherwise is read by `grammar`, and
costs itself alone.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

from slurmwatchd.model.usage import UsageAmounts
from slurmwatchd.sources.sacct import grammar
from slurmwatchd.sources.sacct.column_sources import understood

OddValues = dict[int, str]
"""The place of a value to what of it cannot be read."""


_TIMES = re.compile(rb"^(?:(\d\d):(\d\d)\.(\d{3})|(?:(\d{1,9})-)?(\d{1,9}):(\d\d):(\d\d)|(.*))$", re.MULTILINE)
"""Processor times as `grammar.cpu_milliseconds` reads them, or anything else, each on a line of its own."""


def processor_times(values: Sequence[bytes]) -> tuple[list[float | None], OddValues]:
    """Read a column of processor times in seconds, and say which of them cannot be read."""
    unread: OddValues = {}
    read: list[float | None] = []
    lines = b"\n".join(values)
    if lines.count(b"\n") >= len(values):
        # With a line end in it a value is no time, nor with something else in its place.
        lines = b"\n".join([value.replace(b"\n", b"\0") for value in values])
    found = _TIMES.findall(lines) if values else ()
    for place, (minutes, seconds, thousandths, days, hours, minute, second, other) in enumerate(found):
        if minutes:
            read.append((int(minutes) * 60_000 + int(seconds) * 1000 + int(thousandths)) / 1000)
        elif hours:
            read.append(float(int(days or 0) * 86400 + int(hours) * 3600 + int(minute) * 60 + int(second)))
        else:
            read.append(None)
            if other:
                unread[place] = grammar.text(values[place])
    return read, unread


_TOTAL, _LARGEST, _AVERAGE, _WRITTEN = range(4)

_WANTED = UsageAmounts(
    max_rss_bytes=(_LARGEST, "mem"),
    ave_rss_bytes=(_AVERAGE, "mem"),
    memory_bytes=(_TOTAL, "mem"),
    max_vmsize_bytes=(_LARGEST, "vmem"),
    disk_read_bytes=(_TOTAL, "fs/disk"),
    disk_write_bytes=(_WRITTEN, "fs/disk"),
    gpu_max_utilization_percent=(_LARGEST, "gres/gpuutil"),
    gpu_ave_utilization_percent=(_AVERAGE, "gres/gpuutil"),
    gpu_max_memory_bytes=(_LARGEST, "gres/gpumem"),
)
"""In which list each amount stands, and under which name."""


def amounts_used(columns: Sequence[Sequence[bytes]]) -> tuple[UsageAmounts[Sequence[int | None]], list[OddValues]]:
    """Read the four columns of lists of what steps used.

    Args:
        columns: `TRESUsageInTot`, `TRESUsageInMax`, `TRESUsageInAve`, `TRESUsageOutTot`.

    Returns:
        What each row's step used, and what of each column cannot be read.
    """
    # All at once: where a step has one task, its total, largest and average are the same text.
    place_of: dict[bytes, int] = dict.fromkeys(chain.from_iterable(columns), 0)
    place_of.pop(b"", None)
    texts = list(place_of)
    # What is empty stands at the end.
    place_of = {**dict(zip(texts, range(len(texts)), strict=True)), b"": len(texts)}
    amounts: dict[str, list[int | None]] = {name: [None] * (len(texts) + 1) for _, name in _WANTED}
    unread = _read_lists(texts, amounts)
    places = [list(map(place_of.__getitem__, column)) for column in columns]
    wanted: UsageAmounts[Sequence[int | None]] = UsageAmounts._make(
        _each(amounts[name], places[column]) for column, name in _WANTED
    )
    return wanted, [_unread_in(column, unread) for column in columns]


def _read_lists(texts: Sequence[bytes], amounts: Mapping[str, list[int | None]]) -> dict[bytes, str]:
    """Read lists, none of them empty, into columns of amounts; return what of them cannot be read.

    Lists of the same names are read at once: what is left without digits says which these are.
    """
    alike: dict[bytes, list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        alike[text.translate(None, _DIGITS)].append(place)
    unread: dict[bytes, str] = {}
    for form, places in alike.items():
        for place in _read_alike(form, places, texts, amounts):
            read, rest = understood(grammar.usage_tres, texts[place])
            for name, column in amounts.items():
                column[place] = (read or {}).get(name)
            if rest is not None:
                unread[texts[place]] = rest
    return unread


def _read_alike(
    form: bytes, places: Sequence[int], texts: Sequence[bytes], amounts: Mapping[str, list[int | None]]
) -> Collection[int]:
    """Read lists of one form; return the places of those that are to be read by themselves."""
    items = form.split(b",")
    if not all(map(_ITEM.fullmatch, items)):
        return places
    # Names and amounts in turn.
    parts = b",".join([texts[place] for place in places]).replace(b"=", b",").split(b",")
    width = 2 * len(items)
    odd: set[int] = set()
    for index in range(0, width, 2):
        names, numbers = parts[index::width], parts[index + 1 :: width]
        if names.count(names[0]) < len(names):
            # Only digits in the names differ: types of GPUs.
            return places
        is_plain = _TIME_OF_DAY if items[index // 2] == b"cpu=::" else _PLAIN
        if not is_plain.fullmatch(b",".join((*numbers, b""))):
            odd.update(
                place
                for place, number in zip(places, numbers, strict=True)
                if not is_plain.fullmatch(number + b",")
            )
        elif (column := amounts.get(grammar.text(names[0]))) is not None:
            for place, number in zip(places, map(int, numbers), strict=True):
                column[place] = number
    return odd


_DIGITS = b"0123456789"
_ITEM = re.compile(rb"cpu=::|[^=]+=", re.DOTALL)
_PLAIN = re.compile(rb"(?:\d{1,18},)+")
_TIME_OF_DAY = re.compile(rb"(?:\d\d:\d\d:\d\d,)+")


def _each(numbers: list[int | None], places: Sequence[int]) -> Sequence[int | None]:
    """Return the number at each place."""
    # Hardly any cluster measures all of it.
    if numbers.count(None) == len(numbers):
        return [None] * len(places)
    return list(map(numbers.__getitem__, places))


def _unread_in(column: Sequence[bytes], unread: Mapping[bytes, str]) -> OddValues:
    if not unread:
        return {}
    return {place: unread[text] for place, text in enumerate(column) if text in unread}
