"""Node lists, as `scontrol show hostnames` and `show hostlist` read and write them.

The grammar is the one of each release, with its oddities: 22.05 turns `n[1-` into `n]`. This is
what the simulated Slurm believes; the daemon's own reader is elsewhere and knows nothing of it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .versions import Release

_MAX_RANGE = 65536
_SUFFIX_SINCE: Release = (23, 11)
_SEPARATORS = ", \t\n"


class HostlistError(ValueError):
    """Slurm calls the list invalid.

    Attributes:
        complaint: The `error:` line that goes before, where there is one.
    """

    def __init__(self, complaint: str = "") -> None:
        """Keep the line."""
        super().__init__(complaint)
        self.complaint = complaint


def expand(text: str, release: Release) -> list[str]:
    """List the hosts of an expression: order and repeats are kept.

    Raises:
        HostlistError: One part is invalid, which spoils the whole answer.
    """
    hosts: list[str] = []
    for token in _tokens(text):
        opening = token.rfind("[")
        if opening < 0:
            hosts.append(token)
        elif token.find("]", opening) >= 0:
            hosts.extend(_expand_token(token, opening, release))
        elif release >= _SUFFIX_SINCE:
            raise HostlistError
        else:
            # 22.05 takes an unclosed bracket for a closed one, and what follows for names.
            hosts.append(token[:opening] + "]")
            hosts.extend(part for part in token[opening + 1 :].split(",")[1:] if part)
    return hosts


def _tokens(text: str) -> list[str]:
    """Split at separators that are not inside a closed pair of brackets."""
    tokens, start, depth = [], 0, 0
    for position, char in enumerate(text):
        if char == "[":
            depth += 1
        elif char == "]":
            depth = max(0, depth - 1)
        elif depth == 0 and char in _SEPARATORS:
            tokens.append(text[start:position])
            start = position + 1
    tokens.append(text[start:])
    return [token for token in tokens if token]


def _expand_token(token: str, opening: int, release: Release) -> list[str]:
    """Multiply out the brackets of one token: the last one varies fastest, then the first, the second ..."""
    closing = token.index("]", opening)
    suffix = token[closing + 1 :]
    if suffix and ("]" in suffix or release < _SUFFIX_SINCE):
        raise HostlistError
    numbers = _ranges(token[opening + 1 : closing])
    prefixes = _prefixes(token[:opening])
    return [prefix + number + suffix for prefix in prefixes for number in numbers]


def _prefixes(text: str) -> list[str]:
    """Multiply out the brackets before the last one."""
    prefixes = [""]
    while "]" in text:
        literal, _, rest = text.partition("[")
        inside, _, text = rest.partition("]")
        prefixes = [before + literal + number for number in _ranges(inside) for before in prefixes]
        if len(prefixes) > _MAX_RANGE:
            raise HostlistError
    return [prefix + text for prefix in prefixes]


def _ranges(text: str) -> list[str]:
    """List the numbers between brackets, padded as the low end of each range is written."""
    numbers: list[str] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        first, last = _number(low), _number(high if dash and high else low)
        # Slurm does not look at what follows the low end, but at what follows the high end.
        whole = (high if dash and high else low).lstrip(" +").isdigit()
        if first is None or last is None or not whole or last < first:
            message = f"_parse_single_range: Invalid range: `{part}'"
            raise HostlistError(message)
        if last - first >= _MAX_RANGE:
            message = f"_parse_single_range: Too many hosts in range `{part}'"
            raise HostlistError(message)
        width = len(low)
        numbers.extend(str(number).zfill(width) for number in range(first, last + 1))
    return numbers


def _number(text: str) -> int | None:
    """Read a number as strtoul does: blanks and a plus before it, anything after it."""
    digits = text.lstrip(" +")
    digits = digits[: len(digits) - len(digits.lstrip("0123456789"))]
    return int(digits) if digits else None


def compact(hosts: list[str]) -> str:
    """Write hosts as a list: only trailing numbers are bracketed, only neighbours are joined."""
    groups: list[tuple[str, list[tuple[str, str]]]] = []
    for host in hosts:
        prefix = host.rstrip("0123456789")
        digits = host[len(prefix) :]
        ranges = groups[-1][1] if groups and groups[-1][0] == prefix and digits and groups[-1][1] else None
        if ranges is None:
            groups.append((prefix, [(digits, digits)] if digits else []))
        elif _follows(ranges[-1][1], digits):
            ranges[-1] = (ranges[-1][0], digits)
        else:
            ranges.append((digits, digits))
    return ",".join(_group(prefix, ranges) for prefix, ranges in groups)


def _follows(before: str, after: str) -> bool:
    if int(after) != int(before) + 1:
        return False
    padded = before.startswith("0") or after.startswith("0")
    return not padded or len(before) == len(after)


def _group(prefix: str, ranges: list[tuple[str, str]]) -> str:
    if not ranges:
        return prefix
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return prefix + ranges[0][0]
    return prefix + "[" + ",".join(low if low == high else f"{low}-{high}" for low, high in ranges) + "]"


_expanded: dict[bytes, list[str]] = {}


def nth_host(nodelist: bytes, number: int) -> str:
    """Name one host of a node list by its position: empty where there is none."""
    hosts = _expanded.get(nodelist)
    if hosts is None:
        if len(_expanded) > 1000:  # noqa: PLR2004 - a cache, not a leak
            _expanded.clear()
        try:
            hosts = expand(nodelist.decode(errors="surrogateescape"), (99, 0))
        except HostlistError:
            hosts = []
        _expanded[nodelist] = hosts
    return hosts[number] if number < len(hosts) else ""
