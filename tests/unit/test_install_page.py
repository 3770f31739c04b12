"""Every block of commands in docs/install.md is run by a test, or a reason is given."""

import re
from pathlib import Path

from tests.systemd.page import RUN_BY, NotRun, blocks

FOLDER = Path(__file__).parents[1] / "systemd"


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
