"""The table of the contract: what held on which release. Releases across, points down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.points import KEYS, POINTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HELD, BROKEN, NOT_RUN = "yes", "NO", "-"
BEGIN, END = "<!-- contract: begin -->\n", "<!-- contract: end -->\n"


class Table:
    """Fills up while tests run."""

    def __init__(self) -> None:
        """Begin empty."""
        self._found: dict[str, dict[str, str]] = {}

    def note(self, place: str, key: str, *, held: bool) -> None:
        """Keep the outcome of one test; a point holds where all of its tests pass.

        Raises:
            ValueError: There is no such point.
        """
        if key not in KEYS:
            raise ValueError(f"no such point of the contract: {key}; see tests/contract/points.py")
        column = self._found.setdefault(place, {})
        column[key] = HELD if held and column.get(key, HELD) == HELD else BROKEN

    @property
    def places(self) -> list[str]:
        """The columns: real releases, then simulated ones; tests run side by side meet them in any order."""
        return sorted(self._found, key=lambda place: (place.startswith("sim"), place))

    def cell(self, place: str, key: str) -> str:
        """One word."""
        return self._found[place].get(key, NOT_RUN)

    def text(self) -> list[str]:
        """Lines for a terminal: a table for the real releases, and one for the simulated."""
        real = [place for place in self.places if not place.startswith("sim")]
        simulated = [place for place in self.places if place.startswith("sim")]
        width = max(map(len, KEYS)) + 2
        lines = []
        for title, places in (("real Slurm", real), ("simulated Slurm", simulated)):
            if places:
                names = [place.removeprefix("sim ") for place in places]
                lines += ["", f"{title:<{width}}" + "".join(f"{name:>7}" for name in names)]
                lines += [
                    f"{key:<{width}}" + "".join(f"{self.cell(place, key):>7}" for place in places) for key in KEYS
                ]
        return lines

    def markdown(self) -> str:
        """One table with a heading row for each group of points."""
        head = "| what slurmwatchd relies on | " + " | ".join(self.places) + " |\n"
        rows = [head, "|---|" + "---|" * len(self.places) + "\n"]
        for group, points in POINTS.items():
            rows.append(f"| **{group}** |" + " |" * len(self.places) + "\n")
            for key, says in points.items():
                cells = " | ".join(self.cell(place, key) for place in self.places)
                rows.append(f"| {says} | {cells} |\n")
        return "".join(rows)

    def write(self, page: Path) -> None:
        """Put the table between its two marks on a page; a page without them becomes the table."""
        before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN) if page.exists() else ("", "", "")
        after = rest.partition(END)[2]
        marked = f"{BEGIN}\n{self.markdown()}\n{END}" if begin else self.markdown()
        page.write_text(before + marked + after if begin else marked, encoding="utf-8")


def read(page: str) -> tuple[list[str], Mapping[str, list[str]]]:
    """Read a page's table: its columns, and the cells by what each point says."""
    block = page.partition(BEGIN)[2].partition(END)[0]
    rows = [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in block.strip().splitlines()]
    return rows[0][1:], {row[0]: row[1:] for row in rows[2:] if not row[0].startswith("**")}
