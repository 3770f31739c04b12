"""Every row of docs/benchmarks.md, each program in turn: `make bench ARGS="--jobs 100000"`.

    python -m tests.bench --jobs 100000 --only store --only start

Rows on a real Slurm need root; where there is none, the rows that simslurm can stand in for run on that. Results
go to `results.json`, from which `make docs` renders the page; `--plots` draws the plots again.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tests.bench import (
    bench_asking,
    bench_idle,
    bench_ingest,
    bench_lateness,
    bench_peers,
    bench_poll,
    bench_start,
    bench_store,
    bench_upgrade,
    results,
)
from tests.bench.programs import BASELINE, compared
from tests.bench.setting import Setting
from tests.real_slurm import bringup
from tests.real_slurm.packages import CannotInstallError
from tests.real_slurm.releases import RELEASES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.bench.results import Result

BENCHMARKS: Mapping[str, Callable[[Setting], Iterable[Result]]] = {
    "store": bench_store.measure,
    "start": bench_start.measure,
    "ingest": bench_ingest.measure,
    "asking": bench_asking.measure,
    "poll": bench_poll.measure,
    "peers": bench_peers.measure,
    "idle": bench_idle.measure,
    "lateness": bench_lateness.measure,
    "upgrade": bench_upgrade.measure,
}


@click.command()
@click.option("--jobs", default=100_000, show_default=True, help="How many attempts.")
@click.option("--pairs", default=5, show_default=True, help="How many pairs of runs.")
@click.option("--minutes", default=60.0, show_default=True, help="How long the daemons idle.")
@click.option(
    "--steps", multiple=True, default=("off", "summary"), show_default=True, help="[steps] mode of the ingests."
)
@click.option("--against", default=BASELINE, show_default=True, help="The commit to compare with.")
@click.option("--only", multiple=True, type=click.Choice(list(BENCHMARKS)), help="Only these; repeat it for more.")
@click.option("--slurm-version", type=click.Choice(sorted(RELEASES)), default="22.05", show_default=True)
@click.option("--simulated", is_flag=True, help="simslurm, also where a real Slurm could be had.")
@click.option("--keep", type=click.Path(path_type=Path), help="A folder for what is large, used again next time.")
@click.option("--plots", is_flag=True, help="Draw the plots of docs/benchmarks.md from all results.")
@click.option("--check", is_flag=True, help="Exit with 1 where a target is missed.")
@click.pass_context
def main(  # noqa: PLR0913 - options
    context: click.Context,
    *,
    jobs: int,
    pairs: int,
    minutes: float,
    steps: tuple[str, ...],
    against: str,
    only: tuple[str, ...],
    slurm_version: str,
    simulated: bool,
    keep: Path | None,
    plots: bool,
    check: bool,
) -> None:
    """Measure, print each row, and keep it in tests/bench/results.json."""
    missed = False
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        then, now = stack.enter_context(compared(against))
        slurm = "" if simulated else real_slurm(slurm_version)
        setting = Setting(
            then=then, now=now, jobs=jobs, pairs=pairs, minutes=minutes, modes=steps, folder=folder, slurm=slurm
        )
        for name in only or BENCHMARKS:
            for result in BENCHMARKS[name](setting):
                results.add([result])
                click.echo(line(result))
                missed = missed or result.is_missed
    if plots:
        from tests.bench import plots as drawing  # noqa: PLC0415 - matplotlib is an extra

        drawing.draw()
    if check and missed:
        context.exit(1)


def real_slurm(version: str) -> str:
    """Return the release where a real Slurm can be brought up, else nothing, and say why."""
    if os.geteuid() != 0:
        click.echo(f"not root: simslurm stands in for Slurm {version}; rows that need a real one are left out")
        return ""
    try:
        bringup.up(version)
    except (CannotInstallError, RuntimeError) as error:
        click.echo(f"{error}: simslurm stands in for Slurm {version}; rows that need a real one are left out")
        return ""
    return version


def line(result: Result) -> str:
    """Return a result as a person reads it."""
    row = result.definition
    text = f"{row.what}, N {result.count:,}: "
    if result.before:
        text += f"{results.shown(row, result.before):,.4g} ({result.against}) and "
    text += f"{results.shown(row, result.after):,.4g} {row.unit}".rstrip()
    if result.ratio is not None:
        text += f", ratio {result.ratio:.3f}"
    if row.target is not None:
        text += f", target {row.target:g}: {'MISSED' if result.is_missed else 'met'}"
    return text


if __name__ == "__main__":
    main()
