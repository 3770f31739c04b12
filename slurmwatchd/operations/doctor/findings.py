"""What an examination found: one line each, with what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        mark: How it is.
        check: What was looked at, in a word or two.
        text: What was seen.
        todo: What to do about it; empty where nothing is to be done.
    """

    mark: Severity
    check: str
    text: str
    todo: str = ""


def ok(check: str, text: str) -> Finding:
    """Return a finding that nothing is wrong with."""
    return Finding(Severity.OK, check, text)


def warning(check: str, text: str, todo: str) -> Finding:
    """Return a finding that costs something, or will."""
    return Finding(Severity.WARNING, check, text, todo)


def failed(check: str, text: str, todo: str) -> Finding:
    """Return a finding that keeps the service from doing its work."""
    return Finding(Severity.FAILED, check, text, todo)
