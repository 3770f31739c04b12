"""Many values as one parameter: SQLite takes a JSON array where a list of marks would have to be as long as it."""

from collections.abc import Iterable

import orjson

IN_ARRAY = "IN (SELECT value FROM json_each(?))"


def json_array(values: Iterable[object]) -> str:
    """Write values as the JSON array that `json_each(?)` takes."""
    return orjson.dumps(list(values)).decode()
