"""What the cases under a real systemd guard against still stands where it would be broken, and in their list."""

import re
from pathlib import Path

import pytest

from tests.systemd.breaks import BREAKS, broken

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "tests" / "systemd"
BY_HAND = {"test_the_package_serves_and_goes_without_a_trace"}
"""To break an RPM package it must be built again."""


@pytest.mark.parametrize("name", BREAKS)
def test_there_is_something_to_break(name: str) -> None:
    for file, text in broken(name).items():
        assert text != (REPOSITORY / file).read_text(encoding="utf-8")
        if file.endswith(".py"):
            compile(text, file, "exec")


def test_each_case_was_made_to_fail_and_the_list_says_how() -> None:
    files = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("test_*.py"))
    cases = set(re.findall(r"^def (test_\w+)", files, re.MULTILINE))
    assert {entry.case for entry in BREAKS.values()} | BY_HAND == cases
    listed = re.findall(r"^\| `(test_\w+)`", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(cases)
