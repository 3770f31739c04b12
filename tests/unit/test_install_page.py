"""Every block of commands in docs/install.md is run by a test, or a reason is given."""

import re
import tomllib
from pathlib import Path

from tests.systemd.page import RUN_BY, NotRun, blocks

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "systemd"
PAGE = (ROOT / "docs" / "install.md").read_text()


def test_every_block_is_run_or_has_a_reason_why_not() -> None:
    assert set(RUN_BY) == set(blocks())


def test_the_tests_that_run_them_are_there() -> None:
    there = set(
        re.findall(
            r"^def (test_\w+)", "".join(path.read_text() for path in FOLDER.glob("test_*.py")), re.MULTILINE
        )
    )
    named = {test for test in RUN_BY.values() if isinstance(test, str)}
    assert named <= there
    assert len(named) >= 6


def test_few_are_not_run() -> None:
    assert len([test for test in RUN_BY.values() if isinstance(test, NotRun)]) == 2


def test_an_upgrade_renews_every_file_that_is_shipped() -> None:
    """But the configuration, which is the site's."""
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    shipped = set(targets["wheel"]["shared-data"]) - {"packaging/slurmwatchd.toml"}
    section = PAGE.partition("## Upgrade and remove")[2]
    assert {file for file in shipped if file not in section} == set()


def test_prometheus_is_given_the_rules_and_a_sinks_file_can_be_moved() -> None:
    assert "rule_files:\n  - slurmwatchd.rules.yml\n" in PAGE
    assert "mv /var/log/slurmwatchd/jobs.jsonl* " in PAGE.partition("## Moving a sink's file")[2]


def test_sites_with_an_old_python_or_without_a_way_to_pypi_find_their_way() -> None:
    program = PAGE.partition("## 1. The program")[2].partition("\n## ")[0]
    assert "python3.11 -m pip wheel --wheel-dir wheelhouse" in program
    assert "--no-index --find-links wheelhouse" in program
