"""A report that reaches into the archive: a process of its own, so that the daemon needs no pyarrow.

It is given one JSON object on standard input (`ReportOrder`), and prints one: `lines`, or `error` and whether it
may work later (`is_busy`).
"""

import os
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from slurmwatchd.errors import SlurmwatchError, StoreBusyError, StoreError
from slurmwatchd.model.reports import Rates, ReportLine
from slurmwatchd.store.archive.reader import ArchivedReader
from slurmwatchd.store.read.report import Wish, report

COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "slurmwatchd.store.archive.report_process")
"""The process; it ends with its answer, or when nobody reads that."""

NICENESS = 10
"""Polls and deliveries go first; somebody waits for the answer, so the archive's writer stands behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOrder:
    """What to report; days and months are of UTC."""

    store: str
    archive: str
    wish: Wish
    rates: Rates

    def text(self) -> bytes:
        """Return it as JSON."""
        wish = {name: value for name, value in asdict(self.wish).items() if name != "zone"}
        return orjson.dumps({
            "store": self.store, "archive": self.archive, "wish": wish, "rates": asdict(self.rates),
        })  # fmt: skip


def carry_out(text: bytes) -> dict[str, Any]:
    """Return what is to be printed in answer to an order."""
    order = orjson.loads(text)
    wish: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in order["wish"].items()
    }
    try:
        with ArchivedReader(Path(order["store"]), Path(order["archive"])) as reader:
            found = report(reader, Wish(**wish), Rates(**order["rates"]))
    except (SlurmwatchError, ImportError) as error:
        return {"error": str(error), "is_busy": isinstance(error, StoreBusyError)}
    return {"lines": [asdict(line) for line in found]}


def lines_of(answer: bytes) -> list[ReportLine]:
    """Return the lines in what the process printed.

    Raises:
        StoreBusyError: It could not read store or archive now.
        StoreError: It could not read them at all, or printed no answer.
    """
    try:
        said = orjson.loads(answer)
    except orjson.JSONDecodeError:
        raise StoreError("the process that reports from the archive printed no answer") from None
    if "error" in said:
        raise (StoreBusyError if said["is_busy"] else StoreError)(said["error"])
    return [ReportLine(**line) for line in said["lines"]]


def main() -> None:
    """Read the order, carry it out, print the answer."""
    # A hardened service may not be allowed to.
    with suppress(OSError):
        os.nice(NICENESS)
    with suppress(BrokenPipeError):
        sys.stdout.buffer.write(orjson.dumps(carry_out(sys.stdin.buffer.read())))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
