"""Write days of the archive: a process of its own, so that the daemon needs neither pyarrow nor the time.

It is given one JSON object on standard input (`WriteOrder`), and prints one a line for each day done, or one with
`error`. What dies with it or around it costs nothing: a day is in place as a whole or not at all.
"""

import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from slurmwatchd.errors import SlurmwatchError, is_full_error
from slurmwatchd.store.archive import layout
from slurmwatchd.store.archive.publish import ArchiveBusyError, workshop
from slurmwatchd.store.archive.pyarrow_alone import import_pyarrow_alone
from slurmwatchd.store.archive.writer import DayWriter
from slurmwatchd.store.read.reader import StoreReader

NICENESS = 19
REST = 1.0
"""Where the process may not lower its priority, it works half of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOrder:
    """What to do.

    Attributes:
        days: Cluster, day and the highest number its file ever had.
        survey: Whether to look first for files with other columns than today's, and to write those again too.
        rest: Whether others want the machine meanwhile.
    """

    store: str
    dataset: str
    days: list[tuple[str, int, int]]
    survey: bool = False
    rest: bool = True


def carry_out(order: WriteOrder) -> None:
    """Write the days of an order.

    Raises:
        SlurmwatchError: The store or an old file cannot be read.
        OSError: The archive cannot be written.
    """
    dataset = Path(order.dataset)
    rest = REST if order.rest and not _lowered() else 0.0
    with workshop(dataset) as folder, StoreReader(Path(order.store)) as store:
        writer = DayWriter(dataset, folder, store, rest=rest)
        wanted = {(cluster, day): number for cluster, day, number in order.days}
        # The newest first: readers take the columns of the oldest file, and so the old ones to the last.
        there = layout.files(dataset) if order.survey else []
        stale = [file for file in reversed(there) if writer.stale(file)]
        if there:
            _say({"files": [(file.cluster, file.day, file.number, *writer.measured(file)) for file in there]})
        for (cluster, day), number in {
            **wanted,
            **{(file.cluster, file.day): file.number for file in stale},
        }.items():
            done = writer.write(cluster, day, number=number)
            _say({**asdict(done), "wanted": (cluster, day) in wanted})


def _lowered() -> bool:
    """Let everyone else go first; a hardened service may not be allowed to."""
    try:
        os.nice(NICENESS)
    except OSError:
        return False
    return True


def _say(what: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(what, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def main() -> int:
    """Read the order, carry it out, say how that went."""
    # The daemon decides when to stop; a terminal's interrupt is for the daemon.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import_pyarrow_alone()
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra

        pa.set_cpu_count(1)
        order = WriteOrder(**orjson.loads(sys.stdin.buffer.read()))
        with suppress(BrokenPipeError):
            carry_out(order)
    except ArchiveBusyError as error:
        _say({"error": f"{error.filename}: {error.strerror}"})
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _say({"error": f"{where}{error.strerror or error}", "full": is_full_error(error)})
    except (SlurmwatchError, ImportError) as error:
        _say({"error": str(error)})
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
