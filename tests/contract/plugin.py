"""The pytest side of the table: every test says in its report what it proves, and one table hears it.

A report travels from pytest-xdist's workers to the process that prints the summary; what a worker keeps does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.table import Table
from tests.real_slurm.plugin import chosen_versions

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PROPERTY = "contract"


def say(item: pytest.Item, report: pytest.TestReport) -> None:
    """Put into a test's report where it ran and which points it is about."""
    site = getattr(item, "callspec", None)
    if site is None or "site" not in site.params:
        return
    simulated = site.params["site"]
    place = f"sim {'.'.join(simulated.split('.')[:2])}" if simulated else site.params["cluster"]
    report.user_properties += [(PROPERTY, f"{place}|{marker.args[0]}") for marker in item.iter_markers("contract")]


class TablePlugin:
    """Hears the reports and shows the table at the end."""

    def __init__(self) -> None:
        """Begin with an empty table."""
        self.table = Table()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped or not (report.when == "call" or report.failed):
            return
        for name, value in report.user_properties:
            if name == PROPERTY:
                place, _, key = str(value).partition("|")
                self.table.note(place, key, held=report.passed)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        page: Path | None = config.getoption("--contract-table", default=None)
        if self.table.places and (page is not None or chosen_versions(config)):
            terminalreporter.section("the contract with Slurm")
            for line in self.table.text():
                terminalreporter.write_line(line)
        if self.table.places and page is not None:
            self.table.write(page)
            terminalreporter.write_line(f"\nwritten to {page}")
