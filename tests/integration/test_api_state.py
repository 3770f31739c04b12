"""`coverage/hours` and `nodes/suspect`: what was read of each hour, and nodes whose failures are no chance."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api import serving_api
from tests.integration.rig import START, Rig
from tests.integration.test_cli_suspects import ordinary, ran, stored
from tests.unit.attempts import NOW

HOUR = 3600
SIX = "2026-11-24T06:00:00Z"
"""`START`."""


def read_by_hand(store: Path, folder: Path) -> Path:
    """A copy of a store that was read from two o'clock on, but for half an hour."""
    copy = folder / "read.db"
    two, four = START - 4 * HOUR, START - 2 * HOUR
    with closing(sqlite3.connect(store)) as source, closing(sqlite3.connect(copy)) as connection:
        source.backup(connection)
        connection.executescript("DELETE FROM coverage; DELETE FROM ledger;")
        connection.execute("UPDATE horizons SET horizon = ?", (two,))
        connection.executemany(
            "INSERT INTO coverage VALUES ('sim', ?, ?, ?)",
            [(two, two + 5400, START), (four, four + 1800, START + 10), (four + 1800, START, START + 5)],
        )
        connection.executemany(
            'INSERT INTO ledger (cluster, start, "end", found_by, read_at, new, "rows", revised, rejected, '
            "seconds) VALUES ('sim', ?, ?, ?, ?, ?, 9, 0, 0, 0.1)",
            [
                (two, two + 5400, "poll", START, 9),
                (four + 600, four + 3000, "reread", START + 1, 3),
                (four + 3000, four + 4800, "reread", START + 2, 2),
                (four, START, "open_set", START + 3, 7),
            ],
        )
        connection.commit()
    return copy


async def test_each_hour_says_whether_it_was_read_when_how_often_and_what_was_late(
    filled: Rig, tmp_path: Path
) -> None:
    query = {"since": "2026-11-24T00:30:00Z", "until": SIX}
    async with serving_api(filled, tmp_path, store=read_by_hand(filled.store, tmp_path)) as client:
        whole = await client.json("/coverage/hours", query)
        own = await client.json("/coverage/hours", query, scope="user:ann")
        none = await client.json("/coverage/hours", {**query, "cluster": "other"})
        open_end = await client.json(
            "/coverage/hours", {"since": "2026-11-24T05:00Z", "until": "2026-11-24T07:30Z"}
        )
    assert (whole["since"], whole["until"]) == ("2026-11-24T00:00:00Z", SIX)
    (cluster,) = whole["clusters"]
    names = ("hour", "seconds", "read_seconds", "read_at", "readings", "found_late")
    assert [tuple(hour[name] for name in names) for hour in cluster["hours"]] == [
        ("2026-11-24T02:00:00Z", 3600, 3600, SIX, 1, 0),
        ("2026-11-24T03:00:00Z", 3600, 1800, SIX, 1, 0),
        ("2026-11-24T04:00:00Z", 3600, 3600, "2026-11-24T06:00:05Z", 2, 3),
        ("2026-11-24T05:00:00Z", 3600, 3600, "2026-11-24T06:00:05Z", 1, 2),
    ]
    hours = open_end["clusters"][0]["hours"]
    assert [(hour["seconds"], hour["read_seconds"]) for hour in hours] == [(3600, 3600), (3600, 0), (1800, 0)]
    assert none["clusters"] == []
    # How many attempts were found late is not for everybody.
    assert [set(hour) for hour in own["clusters"][0]["hours"]] == [set(names) - {"found_late"}] * 4


async def test_a_wrong_stretch_of_hours_names_the_parameter(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        long = await client.problem("/coverage/hours", {"since": "2026-01-01", "until": "2026-11-24"})
        wrong = await client.problem("/coverage/hours", {"since": "2026-11-24", "until": "2026-11-23"})
    assert (long["status"], long["parameter"]) == (400, "since")
    assert (wrong["status"], wrong["parameter"]) == (400, "until")


async def test_suspects_are_for_a_token_for_all(filled: Rig, tmp_path: Path) -> None:
    black_hole = [ran(1000 + n, 9, f"u{n % 7}", failed=True) for n in range(60)]
    store = await stored(tmp_path, [*ordinary(), *black_hole])
    query = {"since": f"@{NOW - 86_400}", "until": f"@{NOW}"}
    async with serving_api(filled, tmp_path, store=store) as client:
        (found,) = (await client.json("/nodes/suspect", query))["nodes"]
        for scope in ("user:u1", "account:physics"):
            assert (await client.problem("/nodes/suspect", query, scope=scope))["status"] == 403
    assert (found["cluster"], found["node"], found["users"]) == ("sim", "n9", 7)
    assert found["failures"] >= 60
    assert found["score"] > 2


@pytest.mark.parametrize("by", ["hour", "day"])
async def test_a_report_by_the_hour_has_each_end_in_its_hour(filled: Rig, tmp_path: Path, by: str) -> None:
    query: dict[str, Any] = {"by": by, "since": "2026-11-24T04:00Z", "until": SIX}
    async with serving_api(filled, tmp_path) as client:
        lines = (await client.json("/report", query))["lines"]
    ended = {line[by]: line["attempts"] for line in lines if line["attempts"]}
    # By the seconds that `fill` counts back from six o'clock: 7000 to 3800, and 3000 to 500.
    hours = {"2026-11-24T04": 6, "2026-11-24T05": 4}
    assert ended == (hours if by == "hour" else {"2026-11-24": 10})
