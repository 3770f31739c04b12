"""What a unit's sandbox lets the service do with a path: nothing, read, or write. By the directives alone.

Measured on systemd 252: of nested paths the longer one counts, of the same path the stricter one; what lies below
a path that is hidden stays hidden, also where `ReadWritePaths=` names it.
"""

import os
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from slurmwatchd.operations.doctor.unit import Unit


class PathAccess(IntEnum):
    """How much may be done with a path."""

    HIDDEN = 0
    READ = 1
    WRITE = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """What a directive says of a folder and all below it.

    Attributes:
        text: The directive, as one writes it.
    """

    path: Path
    access: PathAccess
    text: str


_FOLDERS = {
    "StateDirectory": "/var/lib", "CacheDirectory": "/var/cache", "LogsDirectory": "/var/log",
    "RuntimeDirectory": "/run", "ConfigurationDirectory": "/etc",
}  # fmt: skip
_SYSTEM = {"yes": ("/usr", "/boot", "/efi"), "full": ("/usr", "/boot", "/efi", "/etc"), "strict": ("/",)}
_HOMES = ("/home", "/root", "/run/user")
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - what PrivateTmp is about
_LISTS = (
    ("ReadWritePaths", PathAccess.WRITE),
    ("ReadOnlyPaths", PathAccess.READ),
    ("InaccessiblePaths", PathAccess.HIDDEN),
    ("TemporaryFileSystem", PathAccess.HIDDEN),
)
_TRUE = frozenset({"yes", "true", "on", "1"})


class Sandbox:
    """The sandbox of one unit."""

    def __init__(self, unit: Unit) -> None:
        """Read its directives."""
        self._rules = [*_protections(unit), *_lists(unit)]

    def rule(self, path: Path) -> Rule:
        """Return the rule that decides what may be done with a path, links followed."""
        real = _real(path)
        above = [rule for rule in self._rules if real.is_relative_to(rule.path)]
        hidden = [rule for rule in above if rule.access is PathAccess.HIDDEN]
        best = max(hidden or above, key=lambda rule: (len(rule.path.parts), -rule.access), default=None)
        return best or Rule(Path("/"), PathAccess.WRITE, "")


def missing(unit: Unit) -> list[tuple[str, Path]]:
    """Return the paths that the unit names and that are not there: systemd does not start it then (226)."""
    named = [
        (directive, word.removeprefix("+"))
        for directive in ("ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths")
        for word in unit.words(directive)
        if not word.startswith("-")
    ]
    return [(directive, Path(word)) for directive, word in named if not _exists(Path(word))]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        # It may not be looked for by this user; systemd looks as root.
        return True


def _protections(unit: Unit) -> list[Rule]:
    system = _word(unit.last("ProtectSystem"))
    rules = [Rule(Path(path), PathAccess.READ, f"ProtectSystem={system}") for path in _SYSTEM.get(system, ())]
    if system == "strict":
        rules += [Rule(Path(path), PathAccess.WRITE, "") for path in ("/dev", "/proc", "/sys")]
    home = _word(unit.last("ProtectHome"))
    if home in ("yes", "read-only", "tmpfs"):
        access = PathAccess.READ if home == "read-only" else PathAccess.HIDDEN
        rules += [Rule(Path(path), access, f"ProtectHome={home}") for path in _HOMES]
    if _word(unit.last("PrivateTmp")) == "yes":
        rules += [Rule(Path(path), PathAccess.HIDDEN, "PrivateTmp=yes") for path in _TEMPORARY]
    return rules


def _lists(unit: Unit) -> list[Rule]:
    rules = []
    for directive, access in _LISTS:
        for word in unit.words(directive):
            path = word.lstrip("-+").partition(":")[0]
            rules.append(Rule(_real(Path(path)), access, f"{directive}={path}"))
    for directive, base in _FOLDERS.items():
        for word in unit.words(directive):
            name = word.partition(":")[0]
            rules.append(Rule(_real(Path(base, name)), PathAccess.WRITE, f"{directive}={name}"))
    return rules


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _word(value: str) -> str:
    return "yes" if value.lower() in _TRUE else value.lower()
