"""Jobs as a pandas DataFrame; pandas is an extra, and imported only when it is asked for."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from slurmwatchd.connector.lines import FREE_TEXT

if TYPE_CHECKING:
    import pandas as pd


def made(columns: Mapping[str, Sequence[str]], times: Mapping[str, Sequence[Any]]) -> "pd.DataFrame":
    """Return a table: numbers as numbers, nothing as NaN, except in free text, where `007` and `NA` are words.

    Args:
        columns: The values as text.
        times: The values of columns that are times, as datetimes or None.

    Raises:
        ImportError: pandas is not there.
    """
    try:
        import pandas as pd  # noqa: PLC0415 - an extra, and a second to import
    except ImportError as error:
        raise ImportError("to_dataframe needs pandas: pip install 'slurmwatchd[dataframe]'") from error
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    buffer.seek(0)
    if not columns:
        return pd.DataFrame()
    words = {key: str for key in columns if key in FREE_TEXT}
    frame = pd.read_csv(
        buffer, dtype=words, keep_default_na=False, na_values=[""], lineterminator="\n", low_memory=False
    )
    for key, values in times.items():
        if key in columns:
            frame[key] = pd.to_datetime(pd.Series(list(values), index=frame.index, dtype=object))
    return frame
