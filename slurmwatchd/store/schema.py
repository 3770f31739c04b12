"""Whose file a store is, and the migrations that make its tables. Quick to import: every question needs it."""

import re
from importlib import resources

APPLICATION_ID = 0x534C5744
"""`SLWD`, in the file's header: says whose file it is."""

_MIGRATION = re.compile(r"(\d{4})_\w+\.sql")


def migrations() -> list[tuple[int, str]]:
    """Return (number, SQL) of every migration shipped, ascending."""
    folder = resources.files("slurmwatchd.store") / "migrations"
    found = []
    for entry in folder.iterdir():
        match = _MIGRATION.fullmatch(entry.name)
        if match:
            found.append((int(match[1]), entry.read_text(encoding="utf-8")))
    return sorted(found)
