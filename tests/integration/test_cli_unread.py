"""What an answer from the store says of times that the daemon has not read: on stderr, and in `--json`."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.asked import Ran, run, zone
from tests.integration.rig import START, Rig

pytestmark = pytest.mark.usefixtures("utc")


def jobs(rig: Rig, *arguments: object) -> Ran:
    return run("jobs", "--store", rig.store, *arguments)


NEVER = "slurmwatchd: sim: jobs that ended before 2026-11-24 03:00:00 were never read\n"
"""The store begins there."""


@pytest.mark.parametrize(
    "command",
    [
        ("jobs", "-S", "2026-11-20", "-E", "2026-11-21"),
        ("jobs", "-S", "2026-11-20", "-E", "2026-11-21", "--json"),
        ("jobs", "-S", "2026-11-20", "-E", "2026-11-21", "--csv"),
        ("jobs", "-E", "2026-11-21"),
        ("jobs", "--from", "2026-11-20", "--to", "2026-11-20", "--json"),
        ("export", "-S", "2026-11-20", "-E", "2026-11-21"),
        ("export", "--format", "csv", "-E", "2026-11-21"),
        ("nodes", "n1", "--since", "2026-11-20", "--until", "2026-11-21"),
        ("nodes", "n1", "--since", "2026-11-20", "--until", "2026-11-21", "--json"),
        ("running", "--from", "2026-11-10", "--to", "2026-11-11"),
    ],
)
def test_an_answer_about_an_unread_time_says_that_it_was_never_read(filled: Rig, command: tuple[str, ...]) -> None:
    ran = run(command[0], "--store", filled.store, *command[1:])
    assert ran.code == 0
    assert NEVER in ran.err
    # Nothing but a header, and that not as JSON lines.
    assert ran.out == "" or ran.out.count("\n") == 1


def test_what_is_known_of_a_time_that_was_read_in_part_comes_with_the_note(filled: Rig) -> None:
    ran = jobs(filled, "--since", "2026-11-24T02:00", "--until", "2026-11-24T04:10")
    assert (ran.column("JOB"), ran.err) == (["11"], NEVER)
    ran = jobs(filled, "--since", "2026-11-24T03:00", "--until", "2026-11-24T04:10")
    assert (ran.column("JOB"), ran.err) == (["11"], "")
    late = "slurmwatchd: sim: jobs that ended after 2026-11-24 06:00:00 are not read yet\n"
    assert jobs(filled, "--since", "2026-11-24T05:00").err == late
    assert jobs(filled, "--since", "2026-11-24T05:00", "--until", "2026-11-24T06:09").err == ""
    none = jobs(filled, "--since", "2026-11-20", "--until", "2026-11-21", "--cluster", "other")
    assert none.err.endswith("slurmwatchd: other: nothing has been read yet\n")


def test_a_hole_in_what_was_asked_for_is_told_and_a_second_that_is_waited_for_is_not(
    filled: Rig, tmp_path: Path
) -> None:
    store = tmp_path / "store.db"
    with closing(sqlite3.connect(filled.store)) as source, closing(sqlite3.connect(store)) as copy:
        source.backup(copy)
        copy.execute("DELETE FROM coverage")
        copy.executemany(
            "INSERT INTO coverage (cluster, start, \"end\", read_at) VALUES ('sim', ?, ?, ?)",
            [
                (START - 10800, START - 7200, START),
                (START - 3600, START - 1800, START),
                (START - 1799, START, START),
            ],
        )
        copy.commit()
    ran = run("jobs", "--store", store, "--since", "2026-11-24T03:30", "--until", "2026-11-24T05:59")
    hole = (
        "slurmwatchd: sim: jobs that ended between 2026-11-24 04:00:00 and 2026-11-24 05:00:00 were never read\n"
    )
    assert ran.err == hole
    told = run("status", "--store", store, "--json")
    (cluster,) = json.loads(told.out)["clusters"]
    assert cluster["holes"] == [{"start": "2026-11-24T04:00:00Z", "end": "2026-11-24T05:00:00Z"}]
    assert cluster["half_written"] == [{"start": "2026-11-24T05:30:00Z", "end": "2026-11-24T05:30:01Z"}]
    shown = run("status", "--store", store).out
    assert "hole        sim: never read: 2026-11-24 04:00:00 to 2026-11-24 05:00:00\n" in shown
    assert "waiting     sim: for slurmdbd to finish a row that ended 2026-11-24 05:30:00\n" in shown
    assert shown.count("never read") == 1


def test_running_says_what_the_store_cannot_know(filled: Rig) -> None:
    ran = run("running", "--store", filled.store, "--from", "2026-11-24T04:09", "--to", "2026-11-24T04:11")
    assert ran.column("JOB") == ["19", "12"]
    assert ran.err == ""
    late = run("running", "--store", filled.store, "--from", "2026-11-24T05:50", "--to", "2026-11-24T06:10")
    assert late.column("JOB") == ["21"]
    assert late.err == (
        "slurmwatchd: sim: jobs that ended after 2026-11-24 06:00:00, or still run, are not in the store\n"
    )
    early = run("running", "--store", filled.store, "--from", "2026-11-20", "--to", "2026-11-21T12:00")
    assert early.column("JOB") == ["19"]
    assert early.err == "slurmwatchd: sim: jobs that ended before 2026-11-24 03:00:00 were never read\n"
    with zone("Asia/Tokyo"):
        early = run("running", "--store", filled.store, "--from", "2026-11-20", "--to", "2026-11-22")
    assert early.err == "slurmwatchd: sim: jobs that ended before 2026-11-24 12:00:00 were never read\n"


HORIZON, NEWEST = "2026-11-24T03:00:00Z", "2026-11-24T06:00:00Z"
BEFORE = {"cluster": "sim", "start": None, "end": HORIZON}
AFTER = {"cluster": "sim", "start": NEWEST, "end": None}


@pytest.mark.parametrize(
    ("command", "found", "unread"),
    [
        (["jobs", "-S", "2026-11-20", "-E", "2026-11-21"], [], [BEFORE]),
        (["jobs", "-S", "2026-11-24T02:00", "-E", "2026-11-24T04:10"], ["11"], [BEFORE]),
        (["jobs", "-S", "2026-11-24T03:00", "-E", "2026-11-24T04:10"], ["11"], []),
        (["jobs", "-S", "2026-11-24T04:15", "-E", "2026-11-24T04:36:40Z"], ["13", "12"], []),
        (["jobs", "-S", "2026-11-24T05:50", "-u", "mal"], ["21"], [AFTER]),
        # All times are asked for, and stderr says nothing.
        (["jobs", "--user", "bob"], ["13", "12"], [BEFORE, AFTER]),
        (["jobs", "--from", "2026-11-20", "--to", "2026-11-20"], [], [BEFORE]),
        (
            ["jobs", "-M", "other,sim", "-S", "2026-11-24T03:00", "-E", "2026-11-24T04:10"],
            ["11"],
            [{"cluster": "other", "start": None, "end": None}],
        ),
        (["nodes", "n2", "--since", "2026-11-20", "--until", "2026-11-24T04:20"], ["12"], [BEFORE]),
        (["nodes", "n1", "--at", "2026-11-24T04:15"], ["19", "12"], []),
        (["running", "--from", "2026-11-24T04:09", "--to", "2026-11-24T04:11"], ["19", "12"], []),
        # What ran until then may still run.
        (["running", "--from", "2026-11-24T05:50", "--to", "2026-11-24T06:10"], ["21"], [AFTER]),
        (["show", "12"], ["12"], [BEFORE, AFTER]),
    ],
)  # fmt: skip
def test_json_names_what_the_store_lacks_beside_the_jobs(
    filled: Rig, command: list[str], found: list[str], unread: list[object]
) -> None:
    ran = run(command[0], "--store", filled.store, *command[1:], "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert list(told) == ["jobs", "truncated", "unread"]
    assert [job["job_id"] for job in told["jobs"]] == found
    assert (told["truncated"], told["unread"]) == (False, unread)


def test_json_says_whether_a_limit_left_jobs_out(filled: Rig) -> None:
    cut = json.loads(jobs(filled, "--limit", "9", "--json").out)
    assert (len(cut["jobs"]), cut["truncated"]) == (9, True)
    for enough in (10, 0):
        whole = json.loads(jobs(filled, "--limit", enough, "--json", "--columns", "job_id").out)
        assert (len(whole["jobs"]), whole["truncated"]) == (10, False)


def test_json_of_a_store_that_has_read_nothing_says_so(filled: Rig, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    with closing(sqlite3.connect(filled.store)) as source, closing(sqlite3.connect(store)) as copy:
        source.backup(copy)
        for table in ("jobs", "coverage", "horizons"):
            copy.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
        copy.commit()
    ran = run("jobs", "--store", store, "--json")
    nothing = {"cluster": None, "start": None, "end": None}
    assert json.loads(ran.out) == {"jobs": [], "truncated": False, "unread": [nothing]}
    assert ran.err == "slurmwatchd: nothing has been read yet\n"


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (["show", "999"], "no ended job 999 is in the store {store}"),
        (["nodes", "n99"], "no attempt in the store ran on a node 'n99'"),
    ],
)
def test_what_is_not_in_the_store_may_have_ended_when_it_was_not_read(
    filled: Rig, command: list[str], line: str
) -> None:
    ran = run(command[0], "--store", filled.store, *command[1:])
    late = "slurmwatchd: sim: jobs that ended after 2026-11-24 06:00:00 are not read yet\n"
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"{NEVER}{late}slurmwatchd: {line.format(store=filled.store)}\n"


def test_show_of_a_cluster_that_was_never_read_says_so(filled: Rig) -> None:
    ran = run("show", "--store", filled.store, "12", "--cluster", "x")
    assert ran.err == (
        "slurmwatchd: x: nothing has been read yet\n"
        f"slurmwatchd: no ended job 12 is of cluster 'x' in the store {filled.store}\n"
    )
    assert ran.code == 1
