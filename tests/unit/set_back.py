"""Making an older version's store of one of this version."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from slurmwatchd.store.schema import migrations


def set_back(path: Path, migration: str, change: str) -> None:
    """Leave a store as the version before a migration had it.

    Args:
        path: The store.
        migration: Words by which the migration is found.
        change: SQL that undoes it; the later ones are undone here.
    """
    before = next(number for number, sql in migrations() if migration in sql) - 1
    earlier = "".join(sql for number, sql in migrations() if number <= before)
    later = "".join(sql for number, sql in migrations() if number > before + 1)
    with closing(sqlite3.connect(path)) as store:
        store.executescript(change)
        for kind, name in reversed(re.findall(r"CREATE (TABLE|VIEW) (\w+)", later)):
            store.execute(f"DROP {kind} IF EXISTS {name}")
        for table, old, new in re.findall(r"ALTER TABLE (\w+) RENAME COLUMN (\w+) TO (\w+)", later):
            store.execute(f"UPDATE {table} SET {new} = {old}")  # noqa: S608 - names of a migration
            store.execute(f"ALTER TABLE {table} DROP COLUMN {old}")
            store.execute(f"ALTER TABLE {table} RENAME COLUMN {new} TO {old}")
        for name in re.findall(r"DROP INDEX (\w+)", later):
            store.execute(re.findall(rf"CREATE INDEX {name} [^;]+", earlier)[-1])
        store.execute(f"PRAGMA user_version = {before}")
        store.commit()
