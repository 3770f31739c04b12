"""The plots of docs/benchmarks.md: cost against the number of attempts, both programs in each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from tests.bench import results
from tests.bench.rows import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.results import Result

FOLDER = Path(__file__).parents[2] / "docs"
PLOTS = {
    "store": ("store-off", "store-summary"),
    "cpu": ("cpu-off", "cpu-summary"),
    "peak": ("peak-off", "peak-summary"),
}
"""Name of the file, and its rows."""

_COLOURS = ("tab:blue", "tab:orange")
_MODES = ("steps off", "summary")


def draw(found: Sequence[Result] | None = None, folder: Path = FOLDER) -> None:
    """Write one small PNG for each of `PLOTS`."""
    found = results.read() if found is None else found
    for name, rows in PLOTS.items():
        figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
        for row, colour, mode in zip(rows, _COLOURS, _MODES, strict=True):
            points = [one for one in found if one.row == row]
            counts = [one.count for one in points]
            for values, style, whose in (
                ([one.before for one in points], "--", results.baseline(points)),
                ([one.after for one in points], "-", "now"),
            ):
                medians = [results.shown(ROWS[row], its) for its in values]
                axes.plot(counts, medians, style, marker="o", markersize=3, color=colour, label=f"{mode}, {whose}")
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("attempts")
        axes.set_ylabel(f"{ROWS[rows[0]].what.split(',')[0].removesuffix(' of an ingest')}, {ROWS[rows[0]].unit}")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize="x-small")
        # Without the moment and the library's version, the same results make the same file.
        figure.savefig(folder / f"benchmarks-{name}.png", dpi=80, metadata={"Software": None})
        plt.close(figure)


if __name__ == "__main__":
    draw()
