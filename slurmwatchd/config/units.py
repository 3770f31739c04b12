"""Durations and addresses as people write them, in the configuration and on the command line.

A duration is one or more numbers, each with a unit: `30s`, `250ms`, `1.5h`, `1d12h`, `2 hours`. The units are ms,
s, m, h, d and w, or their words. Upper and lower case are the same, but for `M`: systemd means months by it.
"""

import ipaddress
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*([A-Za-z]+)\s*")
MINUTE, HOUR, DAY = 60, 3600, 86400
"""In seconds."""

_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(B|kB|MB|GB|TB)")
_NODE_LIST = re.compile(r"(?:\[[^]]*]?|[^,[])+")
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}

_MAX_PORT = 65535
_MAX_SECONDS = 36_525 * DAY
_SECONDS = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_WORDS = {
    "ms": ("ms", "msec", "msecs", "millisecond", "milliseconds"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "m": ("m", "min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "d": ("d", "day", "days"),
    "w": ("w", "week", "weeks"),
}
_UNITS = {word: unit for unit, words in _WORDS.items() for word in words}


def read_duration(value: object) -> Decimal:
    """Return the seconds of a duration, exactly: in binary, 1.1 hours are no whole number of them.

    Raises:
        ValueError: It is no text, or has a part without a unit.
    """
    text = value.strip() if isinstance(value, str) else ""
    seconds, place = Decimal(0), 0
    while part := _PART.match(text, place):
        unit = _UNITS.get(part[2] if part[2] == "M" else part[2].lower())
        if unit is None:
            break
        seconds += Decimal(part[1]) / 1000 if unit == "ms" else Decimal(part[1]) * _SECONDS[unit]
        place = part.end()
    if not text or place < len(text):
        raise ValueError(f'{value!r} is not a duration such as "30s", "15m", "1d12h" or "400d"')
    return seconds


def parse_duration(value: Any) -> float:  # noqa: ANN401 - whatever stands in the file
    """Read `"30s"`, `"15m"`, `"1d12h"` as seconds.

    Raises:
        ValueError: It is no duration, or longer than a hundred years.
    """
    seconds = read_duration(value)
    if seconds > _MAX_SECONDS:
        raise ValueError(f"{value!r} is longer than {format_duration(_MAX_SECONDS)}")
    return float(seconds)


def parse_whole_duration(value: Any) -> int:  # noqa: ANN401 - whatever stands in the file
    """Read a duration of whole seconds.

    Raises:
        ValueError: It is no duration, or not whole seconds.
    """
    seconds = parse_duration(value)
    if seconds != int(seconds):
        raise ValueError(f"{value!r} is not a whole number of seconds")
    return int(seconds)


def format_duration(seconds: float) -> str:
    """Write seconds in the largest unit that divides them, as they would stand in the file."""
    for unit in ("d", "h", "m", "s"):
        if (seconds >= _SECONDS[unit] or unit == "s") and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds / _SECONDS[unit])}{unit}"
    return f"{round(seconds * 1000, 6):.15g}ms"


def parse_size(value: Any) -> int:  # noqa: ANN401 - whatever stands in the file
    """Read `"100MB"`, `"1.5GB"` as bytes; a kB is 1,000.

    Raises:
        ValueError: It is no text, has no unit, or is no whole number of bytes.
    """
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{value!r} is not a size such as "500kB", "100MB" or "1GB"')
    size = Decimal(match[1]) * _BYTES[match[2]]
    if size != int(size):
        raise ValueError(f"{value!r} is not a whole number of bytes")
    return int(size)


def format_size(size: int) -> str:
    """Write bytes in the largest unit that divides them, as they would stand in the file."""
    unit = next(
        unit for unit in ("TB", "GB", "MB", "kB", "B") if unit == "B" or (size and size % _BYTES[unit] == 0)
    )
    return f"{size // _BYTES[unit]}{unit}"


def check_file(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
    """Return a path as it was given.

    Raises:
        ValueError: It is empty, or has no last part that could be a file's name.
    """
    if isinstance(value, str | Path) and not Path(value).name:
        raise ValueError(f"{str(value)!r} names no file")
    return value


def check_folder(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
    """Return a folder's path, or an empty text, as it was given.

    Raises:
        ValueError: It is not absolute, or has no name that another could stand beside.
    """
    if isinstance(value, str) and value and not (Path(value).is_absolute() and Path(value).name):
        raise ValueError(f"{value!r} is not the absolute path of a folder")
    return value


def split_texts(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
    """Read `a,b` from an environment variable as a list; a list stays one."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def split_node_lists(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
    """Read `n[1,3],gpu1` from an environment variable as a list; a comma in brackets is part of a node list."""
    return _NODE_LIST.findall(value.replace(" ", "")) if isinstance(value, str) else value


def split_pairs(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
    """Read `cpu=0.01,gres/gpu=1` from an environment variable as a table; a table stays one.

    Raises:
        ValueError: A part has no value.
    """
    if not isinstance(value, str):
        return value
    texts = split_texts(value.strip().removeprefix("{").removesuffix("}"))
    if alone := [text for text in texts if "=" not in text]:
        raise ValueError(f"{alone[0]!r} is not NAME=VALUE")
    pairs = (text.rpartition("=") for text in texts)
    return {name.strip(): text.strip() for name, _, text in pairs}


def split_address(value: str) -> tuple[str, int]:
    """Cut `host:port` or `[v6]:port`.

    Raises:
        ValueError: It is neither.
    """
    host, colon, port = value.rpartition(":")
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or int(port) > _MAX_PORT:
        raise ValueError(f"{value!r} is not an address with a port, such as 127.0.0.1:10025")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{value!r}: write an IPv6 address in brackets, such as [::1]:10025")
    if host != "localhost":
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(f"{value!r}: {host!r} is not an IP address") from None
    return host, int(port)


def is_loopback(address: str) -> bool:
    """Return whether only this machine reaches an address with a port.

    Raises:
        ValueError: It is none.
    """
    host, _ = split_address(address)
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def spoken_duration(seconds: float) -> str:
    """Write seconds for people, in the two largest units: `2d3h`, `1h02m`, `45s`."""
    whole = int(seconds)
    if whole >= DAY:
        return f"{whole // DAY}d{whole % DAY // HOUR}h"
    if whole >= HOUR:
        return f"{whole // HOUR}h{whole % HOUR // MINUTE:02d}m"
    if whole >= MINUTE:
        return f"{whole // MINUTE}m{whole % MINUTE:02d}s"
    return f"{whole}s"
