"""No test of `make test` gives up sooner than `tests/patience.py` says, however busy the machine is."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
SUITES = ("acceptance", "brokers", "contract", "integration", "property", "unit")
QUIET = re.compile(
    r"fail_after\((?P<a>[\d.]+)\)|deadline = time\.monotonic\(\) \+ (?P<b>[\d.]+)|\b(?:wait|join)\((?P<c>[\d.]+)\)"
)
"""How a test waits for what must come. `move_on_after` bounds what must not come, and a harm's own tries."""


def test_what_must_come_is_waited_for_as_long_as_on_a_busy_machine() -> None:
    found = [
        f"{path.relative_to(TESTS)}: {match[0]}"
        for suite in SUITES
        for path in sorted((TESTS / suite).glob("*.py"))
        if not path.name.startswith("test_real_")
        for match in QUIET.finditer(path.read_text())
    ]
    assert found == []
