"""`python -m tests.torture`: daemon and Slurm are harmed at random while jobs end; truth and files must agree.

The seed it prints replays the same jobs and harms in the same order; the moments depend on the machine.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from tests.torture.arena import LAST_REREAD, Arena
from tests.torture.disk import enter_private_mounts
from tests.torture.endings import Endings, LiveMix
from tests.torture.harms import Harms
from tests.torture.sabotage import SABOTAGES, copy_without

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.torture.verdict import Verdict

SECONDS = 600
PATIENCE_SECONDS = 3 * LAST_REREAD + 120
"""How long after the last harm truth and files may differ: the longest backoff, a whole round of re-reads, and the
minute after an outage whose queue nobody tells."""

HARM_EVERY, ENDING_EVERY = 0.8, 0.9
STORM, LULL = 20, 16
"""Seconds. Where all fails all the time, all is read again all the time. In a lull nothing but the schedule finds
what is late, and what it did not find by the next storm stays unfound."""

LONG_RUN = 300
LOG_LINES = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Torture once; exit status 0 where truth and files agree in the end."""
    options = _parser().parse_args(arguments)
    if options.list:
        _say("\n".join(f"{name:<12} {one.what}" for name, one in SABOTAGES.items()))
        return 0
    small_disks = enter_private_mounts()
    seed = secrets.randbelow(1 << 32) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="slurmwatchd-torture-"))
    without = f" --without {options.without}" if options.without else ""
    _say(f'{options.seconds} s; to replay: make torture ARGS="--seconds {options.seconds} --seed {seed}{without}"')
    if not small_disks:
        _say("not root, or no `unshare`: no disk is filled")
    program = copy_without(options.without, folder / "program") if options.without else None
    arena = Arena(_made(folder / "run"), Random(seed), small_disks=small_disks, program=program)  # noqa: S311 - nothing secret
    agreed = False
    try:
        harms = Harms(arena, long=options.seconds >= LONG_RUN, **_emphasis(options.without))
        agreed = _torture(arena, harms, seed, options.seconds, options.patience)
    finally:
        arena.close()
        if agreed and not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            for disk in arena.disks:
                disk.keep(folder / disk.folder.name)
            _say(f"kept: {folder}")
    return 0 if agreed else 1


def _torture(arena: Arena, harms: Harms, seed: int, seconds: int, patience: int) -> bool:
    endings = Endings(arena, seed + 1)
    began = time.monotonic()
    next_harm = next_ending = began + 1
    arena.start()
    with LiveMix(arena, seed + 2):
        while (now := time.monotonic()) < began + seconds or arena.has_plans:
            arena.tend()
            arena.run_due()
            if now < began + seconds:
                if now >= next_harm:
                    is_storm = (now - began) % (STORM + LULL) < STORM
                    (harms.one if is_storm else harms.lie)()
                    next_harm = time.monotonic() + arena.dice.expovariate(1 / HARM_EVERY)
                if now >= next_ending:
                    endings.one()
                    next_ending = now + arena.dice.expovariate(1 / ENDING_EVERY)
            time.sleep(0.02)
    harms.calm()
    arena.note("calm")
    return _wait_for_agreement(arena, patience)


def _wait_for_agreement(arena: Arena, patience: int) -> bool:
    while arena.is_out:
        # slurmctld still hands over what it held back.
        arena.tend()
        time.sleep(0.1)
    calm = time.monotonic()
    while True:
        arena.tend()
        found, totals = arena.judge(), ""
        if not found and not (totals := arena.totals_differ()):
            break
        if time.monotonic() > calm + patience:
            return _disagree(arena, found, totals)
        time.sleep(0.2)
    took = time.monotonic() - calm
    # Nothing more may come of it: neither of what is still to be read again, nor of the end.
    while time.monotonic() < calm + LAST_REREAD:
        arena.tend()
        time.sleep(0.2)
    totals = arena.totals_differ()
    arena.stop()
    found = arena.judge(whole=True)
    if found or totals or arena.ends:
        return _disagree(arena, found, totals)
    _say(", ".join(f"{name} {count}" for name, count in sorted(arena.done.items())))
    _say(f"agreed {took:.1f} s after slurmdbd had everything: {found}; /metrics equals the file")
    return True


def _disagree(arena: Arena, found: Verdict, totals: str) -> bool:
    _say(f"DISAGREED: {found}")
    for line in found.details():
        _say(f"  {line}")
    if totals:
        _say(f"  /metrics: {totals}")
    for end in arena.ends:
        _say(f"  daemon: {end}")
    log = arena.daemon.log.read_text(encoding="utf-8", errors="replace").splitlines()
    _say("\n".join(["--- end of the daemon's log", *log[-LOG_LINES:]]))
    return False


def _emphasis(without: str | None) -> dict[str, Any]:
    """Return what is to be done more often where a protection was taken out."""
    return {"season": SABOTAGES[without].season, "favours": SABOTAGES[without].favours} if without else {}


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what the command is for


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--seed", type=int, help="replay the jobs and harms of a run")
    parser.add_argument(
        "--patience", type=int, default=PATIENCE_SECONDS, help="seconds after the last harm until all must agree"
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder also where all is well")
    parser.add_argument("--without", choices=SABOTAGES, help="take a protection out first: this must disagree")
    parser.add_argument("--list", action="store_true", help="list the protections that can be taken out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
