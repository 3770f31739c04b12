"""What callgrind counts: 1,000 rows of sacct read, stored, written as lines and counted; the usage of 1,000 read.

    valgrind --tool=callgrind --instr-atstart=no python -m tests.integration.row_work rows FOLDER

Counting begins when everything is imported, warm and open, so nothing of Python's start is counted, and Python's
garbage collector is set as the daemon sets it. valgrind is
asked for that by its client requests, which are instructions without effect outside valgrind.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from slurmwatchd.cli.tuning import tune
from slurmwatchd.daemon.delivery import Delivery, DeliveryParts
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.model.records import FoundBy, JobRecord
from slurmwatchd.sinks.jsonl import JsonlOptions, JsonlSink
from slurmwatchd.sinks.prometheus import PrometheusOptions, PrometheusSink
from slurmwatchd.sources.sacct.columns import ColumnReader
from slurmwatchd.store.batch import Batch
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.telemetry.health import Health
from slurmwatchd.telemetry.metrics import Metrics
from tests.bench.bench_odd_rows import LAYOUT, Row, read_steps, rows_of, step_pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = 1000
PIECE_ROWS = 500
FIRST_END, OBSERVED = 1_795_500_000, 1_795_600_000
SECONDS_BETWEEN = 3
ARRAY_TASKS = 6
"""As many of `site.py` on average."""

COUNTERS = PrometheusOptions(type="prometheus")
SHARED = ("User", "UID", "Account", "Partition")
MOMENTS = ("Submit", "Eligible", "Start", "End")
WARM_ROWS = 2000
"""So many come before: the store has its dictionary then, and every cache its first entries."""

_START, _STOP = 0x43540004, 0x43540005
_REQUEST = bytes.fromhex("4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3")
"""x86-64: the first argument to rax, 0 to rdx, valgrind's mark, rdx to rax, return."""


class Callgrind:
    """Starts and stops counting."""

    def __init__(self) -> None:
        """Make the instructions executable."""
        self._memory = mmap.mmap(-1, len(_REQUEST), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._memory.write(_REQUEST)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._ask = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint64))(address)

    def start(self) -> None:
        """Count from here on."""
        self._ask((ctypes.c_uint64 * 6)(_START))

    def stop(self) -> None:
        """Count no more."""
        self._ask((ctypes.c_uint64 * 6)(_STOP))


async def rows(folder: Path) -> None:
    """Read, store and write rows of jobs; the newest are counted."""
    callgrind, reader = Callgrind(), ColumnReader(LAYOUT)
    made = _as_they_end(list(rows_of(WARM_ROWS + ROWS)))
    async with open_database(folder / "store.db") as database:
        parts = DeliveryParts(
            database=database, clock=SystemClock(), metrics=Metrics(), health=Health(SystemClock())
        )
        file = JsonlOptions(type="jsonl", path=folder / "jobs.jsonl")
        delivery = Delivery("jobs", JsonlSink("jobs", file, parts.metrics), parts)
        counting = Delivery("metrics", PrometheusSink("metrics", COUNTERS, parts.metrics), parts)
        await delivery.enter()
        await counting.enter()
        intake = await Intake.load(database)

        async def take(some: Sequence[Row]) -> None:
            for begin in range(0, len(some), PIECE_ROWS):
                piece = some[begin : begin + PIECE_ROWS]
                readings, rejected = reader.read([[row.get(name, b"") for row in piece] for name in LAYOUT.fields])
                assert not rejected
                await intake.commit(
                    Batch(
                        cluster="tux",
                        readings=readings,
                        slots=frozenset(JobRecord._fields),
                        observed=OBSERVED,
                        found_by=FoundBy.POLL,
                    )
                )
            await delivery.drain()
            await counting.drain()

        await take(made[:WARM_ROWS])
        callgrind.start()
        await take(made[WARM_ROWS:])
        callgrind.stop()
        await delivery.close()


def _as_they_end(some: list[Row]) -> list[Row]:
    """Return rows as a poll reads them: ended one after the other, some of one array in a row."""
    made = []
    for number, row in enumerate(some):
        end = FIRST_END + number * SECONDS_BETWEEN
        moved = {name: int(row[name]) + end - int(row["End"]) for name in MOMENTS if row[name] != b"None"}
        first = some[number - number % ARRAY_TASKS]
        made.append(
            row | {name: b"%d" % moment for name, moment in moved.items()} | {name: first[name] for name in SHARED}
        )
    return made


async def usage(_: Path) -> None:
    """Read the steps of attempts; the newest are counted."""
    callgrind = Callgrind()
    warm, counted = list(step_pieces(WARM_ROWS)), list(step_pieces(ROWS))
    read_steps(warm)
    callgrind.start()
    read_steps(counted)
    callgrind.stop()


WORK = {"rows": rows, "usage": usage}

if __name__ == "__main__":
    tune()
    anyio.run(WORK[sys.argv[1]], Path(sys.argv[2]))
