"""How long attempts waited, counted in buckets that are exact below 32 s and three percent wide above."""

from collections.abc import Mapping

import orjson

NO_WAITS = "{}"
"""What `waits_text` makes of no wait."""

_EXACT_WAIT = 32
_WAIT_BITS = 5


def wait_bucket(seconds: int) -> int:
    """Return the number of the bucket that a wait belongs to: exact below 32 s, then 16 to each doubling."""
    if seconds < _EXACT_WAIT:
        return max(seconds, 0)
    shift = seconds.bit_length() - _WAIT_BITS
    return (shift << (_WAIT_BITS - 1)) + (seconds >> shift) + _EXACT_WAIT // 2 - (1 << (_WAIT_BITS - 1))


def bucket_wait(bucket: int) -> float:
    """Return the middle of a bucket of waits, in seconds: at most 3.2 percent off."""
    if bucket < _EXACT_WAIT:
        return float(bucket)
    shift, rest = divmod(bucket - (1 << (_WAIT_BITS - 1)), 1 << (_WAIT_BITS - 1))
    return ((rest + (1 << (_WAIT_BITS - 1))) * 2 + 1) * (1 << shift) / 2


def waits_text(counts: Mapping[int, int] | Mapping[str, int]) -> str:
    """Write how many waits there are in each bucket as JSON, as the store keeps it; no bucket stands at 0."""
    some = counts if all(counts.values()) else {bucket: count for bucket, count in counts.items() if count}
    return orjson.dumps(some, option=orjson.OPT_NON_STR_KEYS).decode()


def waits_added(one: str, other: str) -> str:
    """Return the sum of two texts of `waits_text`."""
    counts: dict[str, int] = orjson.loads(one)
    for bucket, count in orjson.loads(other).items():
        counts[bucket] = counts.get(bucket, 0) + count
    return waits_text(counts)
