"""What all tests share: the real clusters, where there are any, the contract's table, and hypothesis' settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

from tests.contract.plugin import TablePlugin
from tests.draws import draws
from tests.real_slurm import plugin
from tests.real_slurm.plugin import (
    cluster,
    pytest_collection_modifyitems,
    pytest_generate_tests,
    pytest_terminal_summary,
)

if TYPE_CHECKING:
    import pytest

__all__ = [
    "cluster",
    "pytest_collection_modifyitems",
    "pytest_generate_tests",
    "pytest_terminal_summary",
]


# On a busy machine an example may take any time, and so may drawing it.
settings.register_profile(
    "slurmwatchd", deadline=None, max_examples=draws(100), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("slurmwatchd")


def pytest_addoption(parser: pytest.Parser) -> None:
    plugin.pytest_addoption(parser)
    parser.getgroup("contract").addoption(
        "--contract-table",
        type=Path,
        metavar="PAGE",
        help="print what of the contract held where, and write it between its marks on a page",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(TablePlugin())
