"""Words that the store keeps as codes: SQL reads the same words, those of before and unexpected ones too."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slurmwatchd.model.job_states import STATES as ALL_STATES
from slurmwatchd.model.outcomes import Outcome
from slurmwatchd.model.records import EventKind, FoundBy
from slurmwatchd.store.codes import FOUND_BY, KINDS, OUTCOMES, STATES
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from tests.unit import old_store
from tests.unit.attempts import batch, reading, rows

ODD = ("", "f", "=", "=f", "==", "F", "pending", "☃")


@pytest.mark.parametrize(
    ("table", "column", "codes", "words"),
    [
        ("jobs", "state", STATES, (*ALL_STATES, *ODD)),
        ("jobs", "outcome", OUTCOMES, (*(outcome.value for outcome in Outcome), *ODD, None)),
        ("events", "kind", KINDS, tuple(kind.value for kind in EventKind)),
        ("events", "found_by", FOUND_BY, tuple(found_by.value for found_by in FoundBy)),
    ],
)
async def test_each_word_is_read_as_it_was_written(
    tmp_path: Path, table: str, column: str, codes: Mapping[Any, Any], words: tuple[str | None, ...]
) -> None:
    path = tmp_path / "store.db"
    async with open_database(path) as database:
        await (await Intake.load(database)).commit(batch(reading(1)))
    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        for word in words:
            store.execute(f"UPDATE {table} SET {column}_code = ?", (codes[word],))  # noqa: S608
            assert store.execute(f"SELECT {column} FROM {table}").fetchall() == [(word,)]  # noqa: S608


async def test_the_most_frequent_words_take_no_bytes(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        await (await Intake.load(database)).commit(
            batch(reading(1, state="COMPLETED", outcome="completed"), reading(2, state="TIMEOUT", outcome=None))
        )
        assert await rows(database, "SELECT state_code, outcome_code, state, outcome FROM jobs") == [
            ("", "", "COMPLETED", "completed"),
            ("t", None, "TIMEOUT", None),
        ]
        assert await rows(database, "SELECT DISTINCT kind_code, found_by_code, kind, found_by FROM events") == [
            ("", "", "job_ended", "poll")
        ]


async def test_rows_of_before_keep_their_words(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    old_store.make(path, 20)
    async with open_database(path) as database:
        assert await rows(database, "SELECT DISTINCT state_code, state FROM jobs") == [("COMPLETED", "COMPLETED")]
        assert await rows(database, "SELECT DISTINCT kind_code = kind, found_by FROM events") == [(1, "poll")]
        found = await rows(database, "SELECT kind, count(*) FROM events GROUP BY 1 ORDER BY 1")
        assert found == [("job_ended", 20), ("job_revised", 2), ("job_usage", 10)]
