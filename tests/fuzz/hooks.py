"""What schemathesis cannot draw by itself: the formats of parameters that JSON Schema does not know.

It runs in schemathesis' own environment, which has nothing of slurmwatchd.
"""

from typing import Any
from zlib import crc32

import schemathesis
from hypothesis import strategies as st

SPANS = st.builds("{}{}{}".format, st.sampled_from(["", "-"]), st.integers(1, 400), st.sampled_from("smhd"))
DAYS = st.dates().map(lambda day: day.isoformat())
SECONDS = st.integers(0, 4_000_000_000).map("@{}".format)
TIMES = st.datetimes().map(lambda time: f"{time:%Y-%m-%dT%H:%M:%S}Z")

schemathesis.openapi.format("moment", SPANS | DAYS | SECONDS | TIMES)
schemathesis.openapi.format("cursor", st.from_regex(r"\A[A-Za-z0-9_-]{44}\Z"))
schemathesis.openapi.format(
    "place", st.sampled_from(["now", "oldest", "0", "17"]) | st.integers(0, 1 << 70).map(str)
)
schemathesis.openapi.format("duration-60s", st.sampled_from(["0s", "1s", "100ms", "2s"]))


@schemathesis.hook  # type: ignore[untyped-decorator]
def map_query(_: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:  # noqa: ANN401 - its hooks take any
    """Leave out most of what has a question refused: cursors of other questions, ends before beginnings."""
    kept = {
        name: value
        for name, value in (query or {}).items()
        if name not in {"cursor", "until", "to"} or crc32(str(value).encode("utf-8", "replace")) % 8 == 0
    }
    return kept if query is not None else None
