"""Jobs as a pandas DataFrame; pandas is an extra, and imported only when it is asked for."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = frozenset({
    "allocnodes", "alloccpus", "nnodes", "ncpus", "ntasks", "reqnodes", "reqcpus", "reqgres", "restarts",
    "elapsedraw", "timelimitraw", "cputimeraw", "plannedcpuraw", "plannedraw", "suspendedraw",
    "uid", "gid", "priority", "qosraw", "associd",
    "averss", "avevmsize", "avepages", "avediskread", "avediskwrite",
    "maxrss", "maxvmsize", "maxpages", "maxdiskread", "maxdiskwrite",
    "maxrsstask", "maxvmsizetask", "maxpagestask", "maxdiskreadtask", "maxdiskwritetask", "mincputask",
    "consumedenergy", "consumedenergyraw",
})  # fmt: skip
"""The fields that count or measure. Ids are no numbers (a DBIndex has 64 bits), nor are the names of anything."""


def made(columns: Mapping[str, Sequence[str]], times: Mapping[str, Sequence[Any]]) -> "pd.DataFrame":
    """Return a table: what sacct counts or measures as numbers, all else as text.

    `4711.10` is a step, `007` a node, `NA` a user; only nothing is NaN.

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
    words = {key: str for key in columns if key not in NUMBERS}
    frame = pd.read_csv(
        buffer, dtype=words, keep_default_na=False, na_values=[""], lineterminator="\n", low_memory=False
    )
    for key, values in times.items():
        if key in columns:
            frame[key] = pd.to_datetime(pd.Series(list(values), index=frame.index, dtype=object))
    return frame
