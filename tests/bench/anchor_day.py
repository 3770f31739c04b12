"""One day of a daemon's questions to sacct by a made-up clock; prints what they cost as JSON.

`bench_anchor` starts it in the checkouts that it compares, so it keeps to what is the same in all of them.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from tests.integration.quick import SystemProcessRunner  # type: ignore[attr-defined]  # where it is differs
from tests.integration.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INTERVAL = 30


class _CountingSpool:
    """Counts the lines and bytes that go to another spool."""

    def __init__(self, spool: Any) -> None:  # noqa: ANN401 - as the checkout has it
        self._spool = spool
        self.lines = self.bytes = 0

    def write(self, data: bytes) -> object:
        self.bytes += len(data)
        self.lines += data.count(b"\n")
        return self._spool.write(data)


class _CountingRunner:
    """A `ProcessRunner` that notes each command's calls, the lines and bytes it printed and how long it took."""

    def __init__(self, runner: Any) -> None:  # noqa: ANN401 - as the checkout has it
        self._runner = runner
        self.calls: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)

    async def run(self, argv: Sequence[str], *, spool: Any = None, **options: Any) -> Any:  # noqa: ANN401 - likewise
        """See `ProcessRunner.run`."""
        counting = None if spool is None else _CountingSpool(spool)
        done = await self._runner.run(argv, spool=counting, **options)
        command = Path(argv[0]).name
        lines = done.stdout.count(b"\n") if counting is None else counting.lines
        self.calls[command] += 1
        self.rows[command] += max(0, lines - 1)  # without the header
        self.bytes[command] += len(done.stdout) if counting is None else counting.bytes
        self.seconds[command] += done.seconds
        return done


async def _poll(
    rig: Rig, runner: _CountingRunner, hours: int, before_each: Callable[[int], None]
) -> dict[str, float]:
    """Poll through the hours, and return what it cost."""
    async with rig.daemon(runner=runner) as daemon:
        for second in range(0, hours * 3600, INTERVAL):
            before_each(second)
            await daemon.watchers[0].once()
    ((attempts,),) = rig.ask_store("SELECT count(*) FROM jobs")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "attempts": attempts,
        "calls": runner.calls["sacct"],
        "rows": runner.rows["sacct"],
        "bytes": runner.bytes["sacct"],
        "seconds": runner.seconds["sacct"],
        "cpu_seconds": used.ru_utime + used.ru_stime,
    }


async def _real(folder: Path, bin_dir: Path, conf: Path, start: int, hours: int) -> dict[str, float]:
    """Poll a real cluster through a day of its past."""
    with Rig(folder, slurm={"bin_dir": str(bin_dir), "conf": str(conf), "timeout": "5m"}) as rig:
        rig.clock.move(start - rig.clock.now())
        return await _poll(rig, _CountingRunner(SystemProcessRunner()), hours, lambda _: rig.clock.move(INTERVAL))


async def _simulated(folder: Path, seconds_between: int, hours: int) -> dict[str, float]:
    """Poll a simulated cluster, in which a job ends every so many seconds."""
    with Rig(folder) as rig:

        def live(second: int) -> None:
            rig.move(INTERVAL)
            for age in range(INTERVAL):
                if (second + INTERVAL - age) % seconds_between == 0:
                    rig.ended(age + 1)

        return await _poll(rig, _CountingRunner(rig.runner()), hours, live)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, required=True)
    parser.add_argument("--seconds-between", type=int, help="a simulated cluster, and how often a job ends")
    parser.add_argument("--bin-dir", type=Path, help="a real cluster's commands")
    parser.add_argument("--conf", type=Path, help="its slurm.conf")
    parser.add_argument("--start", type=int, help="epoch seconds of the day's beginning")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.seconds_between is None:
            told = anyio.run(_real, folder, options.bin_dir, options.conf, options.start, options.hours)
        else:
            told = anyio.run(_simulated, folder, options.seconds_between, options.hours)
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
