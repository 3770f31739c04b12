"""What all tests share: the real clusters, where there are any, and the table of the contract."""

from __future__ import annotations

from tests.real_slurm.plugin import (
    cluster,
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_generate_tests,
    pytest_terminal_summary,
)

__all__ = [
    "cluster",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_generate_tests",
    "pytest_terminal_summary",
]
