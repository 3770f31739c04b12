"""`jobs`, `nodes`, `running`, `show`: what they find in a store that the pipeline filled."""

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.asked import HOSTILE, HOSTILE_SHOWN, Ran, many, run, run_on_terminal, run_process, zone
from tests.integration.rig import Rig

pytestmark = pytest.mark.usefixtures("utc")


def jobs(rig: Rig, *arguments: object) -> Ran:
    return run("jobs", "--store", rig.store, *arguments)


ALL = ["21", "20", "19", "18", "18", "16+1", "14_3", "13", "12", "11"]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], ALL),
        (["--user", "bob"], ["13", "12"]),
        (["--user", "bob,mal"], ["21", "13", "12"]),
        (["--account", "physics"], ["13", "12"]),
        (["--partition", "gpu"], ["13", "12"]),
        (["--state", "FAILED"], ["12"]),
        (["--state", "f,to"], ["13", "12"]),
        (["--outcome", "failed"], ["12"]),
        (["--outcome", "failed,TIME_LIMIT"], ["13", "12"]),
        (["--qos", "high"], ["12"]),
        (["--node", "n2"], ["13", "12"]),
        (["--node", "n1", "--user", "ann"], ["19", "11"]),
        (["--name", "train-*"], ["13", "12"]),
        (["--name", "TRAIN-*"], []),
        (["--cluster", "sim", "--user", "mal"], ["21"]),
        (["--cluster", "other"], []),
        # Ends: 11 at 04:03:20, 12 at 04:20:00, 13 at 04:36:40; both ends of a stretch belong to it.
        (["--since", "2026-11-24T04:20:00Z", "--until", "2026-11-24T04:36:40Z"], ["13", "12"]),
        (["--since", "2026-11-24T04:20:01Z", "--until", "2026-11-24T04:36:39Z"], []),
        (["--until", "2026-11-24 04:10"], ["11"]),
        # 12 ran from 04:10:00 to 04:20:00, 19 for three days until 05:26:40.
        (["--from", "2026-11-24T04:15", "--to", "2026-11-24T04:16"], ["19", "12"]),
        (["--from", "2026-11-24T04:20", "--to", "2026-11-24T04:21"], ["19", "12"]),
        (["--from", "2026-11-22T04:20", "--to", "2026-11-22T04:21"], ["19"]),
        (["--order", "oldest", "--limit", "3"], ["11", "12", "13"]),
        (["--longest", "--limit", "3"], ["19", "12", "13"]),
        (["--user", "nobody"], []),
    ],
)  # fmt: skip
def test_filters_and_orders(filled: Rig, arguments: list[str], found: list[str]) -> None:
    ran = jobs(filled, *arguments)
    assert ran.code == 0, ran.err
    assert ran.column("JOB") == found


def test_a_row_says_what_slurm_said(filled: Rig) -> None:
    assert jobs(filled, "--name", "train-1").table() == [
        {
            "JOB": "12",
            "USER": "bob",
            "ACCOUNT": "physics",
            "PARTITION": "gpu",
            "STATE": "FAILED",
            "START": "2026-11-24 04:10:00",
            "END": "2026-11-24 04:20:00",
            "ELAPSED": "10m00s",
            "NODES": "n[1-2]",
            "NAME": "train-1",
        }
    ]


def test_times_are_read_and_shown_in_the_zone_of_the_machine(filled: Rig) -> None:
    with zone("Asia/Tokyo"):
        rows = jobs(filled, "--since", "2026-11-24 13:20", "--until", "2026-11-24 13:20").table()
    assert [(row["JOB"], row["END"]) for row in rows] == [("12", "2026-11-24 13:20:00")]


def test_json_is_whole_records_and_csv_the_columns_raw(filled: Rig) -> None:
    records = json.loads(jobs(filled, "--user", "bob", "--json").out)["jobs"]
    assert [(record["job_id"], record["end"], record["exit_code"], record["nodes"]) for record in records] == [
        ("13", "2026-11-24T04:36:40Z", 0, ["n2"]),
        ("12", "2026-11-24T04:20:00Z", 1, ["n1", "n2"]),
    ]
    some = json.loads(jobs(filled, "--user", "bob", "--json", "--columns", "job_id,alloc_tres.node").out)["jobs"]
    assert [record["job_id"] for record in some] == ["13", "12"]
    assert set(some[0]) == {"job_id", "alloc_tres.node"}
    rows = list(csv.DictReader(io.StringIO(jobs(filled, "--csv", "-o", "job_id,elapsed_seconds,end,name").out)))
    assert rows[8] == {"job_id": "12", "elapsed_seconds": "600", "end": "2026-11-24T04:20:00Z", "name": "train-1"}
    assert rows[0]["name"] == HOSTILE
    assert json.loads(jobs(filled, "--user", "nobody", "--json").out)["jobs"] == []


def test_what_the_limit_leaves_out_is_said_on_stderr(filled: Rig) -> None:
    ran = jobs(filled, "--limit", "9")
    assert (len(ran.table()), ran.err) == (9, "slurmwatchd: first 9 rows shown; --limit 0 shows all\n")
    for enough in (10, 0):
        ran = jobs(filled, "--limit", enough)
        assert (len(ran.table()), ran.err) == (10, "")
    assert jobs(filled, "--user", "nobody").err.startswith("slurmwatchd: no matching jobs\n")


def test_a_hostile_name_is_escaped_in_every_form_that_a_terminal_may_see(filled: Rig) -> None:
    ran = jobs(filled, "--user", "mal")
    assert ran.column("NAME") == [HOSTILE_SHOWN]
    text = jobs(filled, "--user", "mal", "--json").out
    assert text.replace("\n", "").isprintable()
    assert json.loads(text)["jobs"][0]["name"] == HOSTILE
    shown = run("show", "--store", filled.store, "21").out
    assert all(line.isprintable() for line in shown.splitlines())
    assert HOSTILE_SHOWN in shown
    everything = json.loads(run("show", "--store", filled.store, "21", "--json").out)
    assert everything["jobs"][0]["name"] == HOSTILE


@pytest.mark.parametrize("form", ["", "--json", "--csv"])
def test_a_terminal_gets_nothing_hostile(filled: Rig, form: str) -> None:
    ran = run_on_terminal(
        "jobs", "--store", filled.store, "--user", "mal", *form.split(), columns=300, NO_COLOR="1"
    )
    assert ran.code == 0, ran.err
    assert all(line.isprintable() for line in ran.out.splitlines())


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_table_fits_the_terminal_and_names_are_cut_first(filled: Rig, columns: int) -> None:
    ran = run_on_terminal("jobs", "--store", filled.store, columns=columns, NO_COLOR="1")
    lines = ran.out.splitlines()
    assert len(lines) == 11
    assert max(map(len, lines)) <= columns
    assert [line.split()[0] for line in lines[1:]] == ALL
    assert "train-1" in ran.out
    assert "2026-11-24 04:20:00" in ran.out
    assert "…" in ran.out


def test_a_narrow_terminal_loses_columns_and_no_word_of_who_and_how(filled: Rig) -> None:
    wide = run_on_terminal("jobs", "--store", filled.store, "--state", "F", columns=80, NO_COLOR="1")
    assert wide.out.splitlines() == [
        "JOB USER ACCOUNT PARTITION STATE  END                 ELAPSED NODES  NAME",
        "12  bob  physics gpu       FAILED 2026-11-24 04:20:00  10m00s n[1-2] train-1",
    ]
    narrow = run_on_terminal("jobs", "--store", filled.store, "--state", "F", columns=30, NO_COLOR="1")
    assert narrow.out.splitlines() == ["JOB USER STATE  NAME", "12  bob  FAILED train-1"]
    none = run_on_terminal("jobs", "--store", filled.store, "--state", "F", columns=10, NO_COLOR="1")
    assert max(map(len, none.out.splitlines())) <= 10


def test_columns_that_were_asked_for_are_all_there_and_have_room(filled: Rig) -> None:
    asked = "start,account,job_id,usage.cpu_efficiency,exit_code,node_list"
    titles = ["START", "ACCOUNT", "JOB", "CPU", "EFFICIENCY", "EXIT", "CODE", "NODES"]
    whole = run("jobs", "--store", filled.store, "--state", "F", "-o", asked).out.splitlines()
    for columns in (20, 60, 80):
        ran = run_on_terminal(
            "jobs", "--store", filled.store, "--state", "F", "-o", asked, columns=columns, NO_COLOR="1"
        )
        lines = ran.out.splitlines()
        assert lines[0].split() == titles, columns
        assert [line.split()[:2] for line in lines[1:]] == [line.split()[:2] for line in whole[1:]], columns
        assert len(lines) == len(whole) > 1


def test_status_on_a_narrow_terminal_keeps_lag_and_holes(filled: Rig) -> None:
    lines = run_on_terminal("status", "--store", filled.store, columns=50, NO_COLOR="1").out.splitlines()
    assert [line.split() for line in lines if line.startswith(("CLUSTER", "SINK"))] == [
        ["CLUSTER", "READ", "UP", "TO", "LAG", "HOLES", "STATE"],
        ["SINK", "POSITION", "WAITING", "LAG", "STATE"],
    ]


def test_colours_are_for_terminals_without_no_color(filled: Rig) -> None:
    asked = ("jobs", "--store", filled.store, "--user", "bob")
    assert "\x1b[31mFAILED" in run_on_terminal(*asked, columns=200).out
    assert "\x1b" not in run_on_terminal(*asked, columns=200, NO_COLOR="1").out
    assert "\x1b" not in run_on_terminal(*asked, columns=200, TERM="dumb").out
    assert "\x1b" not in run_process(*asked).out


def test_a_reader_who_goes_early_is_silent_and_141(filled: Rig, tmp_path: Path) -> None:
    # Enough that the pipe is full before the reader is gone.
    store = many(filled, tmp_path, 2000)
    for arguments in (["jobs", "--limit", "0"], ["jobs", "--limit", "0", "--json"], ["export"]):
        ran = run_process(*arguments, "--store", store, reader="head -n 1")
        assert (ran.code, ran.err) == (141, ""), arguments
        assert len(ran.out.splitlines()) == 1


def test_what_ran_on_a_node_and_at_a_moment(filled: Rig) -> None:
    def nodes(*arguments: object) -> Ran:
        return run("nodes", "--store", filled.store, *arguments)

    assert nodes("n1").column("JOB") == ["19", "12", "11"]
    assert nodes("n1", "--at", "2026-11-24T04:15:00").column("JOB") == ["19", "12"]
    assert nodes("n1", "--at", "2026-11-24T04:20:00").column("JOB") == ["19", "12"]
    assert nodes("n1", "--at", "2026-11-24T04:20:01").column("JOB") == ["19"]
    assert nodes("n2", "--since", "2026-11-24T04:30").column("JOB") == ["13"]
    assert nodes("n1", "--cluster", "other").column("JOB") == []
    ran = nodes("n99")
    assert (ran.code, ran.err.splitlines()[-1]) == (1, "slurmwatchd: no attempt in the store ran on a node 'n99'")


def test_show_tells_everything(filled: Rig) -> None:
    ran = run("show", "--store", filled.store, "12", "--json")
    (record,) = json.loads(ran.out)["jobs"]
    assert (record["job_id"], record["qos"], record["nodes"]) == ("12", "high", ["n1", "n2"])
    assert [(told["event"], told["revision"], told["found_by"]) for told in record["history"]] == [
        ("job_ended", 1, "poll")
    ]
    # 19 was on n1 all the time; 11 and 13 were on its nodes before and after.
    assert [other["job_id"] for other in record["shared_nodes_with"]] == ["19"]
    text = run("show", "--store", filled.store, "12").out
    assert "\nnodes                n1 n2\n" in text
    assert "shared nodes with\nJOB\t" in text


@pytest.mark.parametrize(
    ("job", "found"),
    [
        ("14_3", ["14_3"]),
        ("14", ["14_3"]),
        ("15", ["14_3"]),
        ("16+1", ["16+1"]),
        ("16", ["16+1"]),
        ("18", ["18", "18"]),
    ],
)
def test_show_finds_tasks_components_and_every_attempt(filled: Rig, job: str, found: list[str]) -> None:
    records = json.loads(run("show", "--store", filled.store, job, "--json").out)["jobs"]
    assert [record["job_id"] for record in records] == found
    assert [record["submit"] for record in records] == sorted(record["submit"] for record in records)


def test_show_tells_revisions_and_usage(filled: Rig, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    with closing(sqlite3.connect(filled.store)) as source, closing(sqlite3.connect(store)) as copy:
        source.backup(copy)
        revised = (
            "INSERT INTO events SELECT 100, 'x', job, 'job_revised', 2, time, observed + 60, 'reread', layout, "
            """nodelist, CAST('{"state":["FAILED","OUT_OF_MEMORY"]}' AS BLOB), body, NULL """
            "FROM events WHERE job = "
            "(SELECT id FROM jobs WHERE job_id = '12')"
        )
        copy.execute(revised)
        copy.execute("INSERT INTO earlier_events SELECT id, 100 FROM jobs WHERE job_id = '12'")
        for number, (job, share) in enumerate([("12", 0.25), ("13", 0.9), ("11", 0.5)]):
            used = (
                f'"usage":{{"cpu_efficiency":{share},"max_rss_bytes":1048576}},'
                '"steps":[{"id":"batch","state":"COMPLETED","max_rss_bytes":1048576}]}'
            )
            copy.execute(
                "INSERT INTO events SELECT ?1, 'u' || ?1, job, 'job_usage', 1, time, observed, found_by, layout, "
                "nodelist, NULL, CAST(substr(body, 1, length(body) - 1) || ',' || ?2 AS BLOB), NULL FROM events "
                "WHERE kind = 'job_ended' AND job = (SELECT id FROM jobs WHERE job_id = ?3)",
                (200 + number, used, job),
            )
            copy.execute("UPDATE jobs SET usage_seq = ? WHERE job_id = ?", (200 + number, job))
        copy.commit()
    ran = run("show", "--store", store, "12")
    assert "cpu_efficiency       25%\n" in ran.out
    assert "max_rss_bytes        1.0MiB\n" in ran.out
    assert "\nsteps\nID\tNAME\tSTATE" in ran.out
    assert "job_revised 2, seq 100, found by reread: state: FAILED -> OUT_OF_MEMORY\n" in ran.out
    least = run("jobs", "--store", store, "--least-efficient")
    assert (least.column("JOB"), least.column("CPU EFFICIENCY")) == (["12", "11", "13"], ["25%", "50%", "90%"])
    nobody = run("jobs", "--store", filled.store, "--least-efficient")
    assert (nobody.code, "no matching jobs" in nobody.err) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["show", "12x"], 2, "Invalid value for JOBID: '12x' is not a job id such as 12, 12_3, 12+1 or 12_[0-9] (see slurmwatchd show --help)"),  # noqa: E501 - a line as it is
        (["show"], 2, "Missing argument 'JOBID...'. (see slurmwatchd show --help)"),
        (["jobs", "--since", "2026-13-45"], 2, "Invalid value for '-S' / '--since': '2026-13-45' is not a moment such as 24h, 30d, yesterday, 2026-11-20, 2026-11-20T14:30 or 2026-11-20T14:30:00Z (see slurmwatchd jobs --help)"),  # noqa: E501
        (["jobs", "--since", "2026-11-02", "--until", "2026-11-01"], 2, "--since and --until: the stretch ends before it begins (see slurmwatchd jobs --help)"),  # noqa: E501
        (["jobs", "--columns", "job_id,colour"], 2, "Invalid value for '--columns': 'colour' is not a field: see docs/events.md (see slurmwatchd jobs --help)"),  # noqa: E501
        (["jobs", "-o", "job_id,max_rss_bytes"], 2, "Invalid value for '--columns': 'max_rss_bytes' is not a field: it is usage.max_rss_bytes (see slurmwatchd jobs --help)"),  # noqa: E501
        (["jobs", "-o", "usage.max_rss"], 2, "Invalid value for '--columns': 'usage.max_rss' is not a field: see docs/events.md (see slurmwatchd jobs --help)"),  # noqa: E501
        (["jobs", "-o", ","], 2, "Invalid value for '--columns': ',' has no field (see slurmwatchd jobs --help)"),
        (["jobs", "-u", ""], 2, "Invalid value for '-u' / '--user': '' has no value (see slurmwatchd jobs --help)"),  # noqa: E501
        (["export", "-A", " ,"], 2, "Invalid value for '-A' / '--account': ' ,' has no value (see slurmwatchd export --help)"),  # noqa: E501
        (["report", "-p", ""], 2, "Invalid value for '-p' / '--partition': '' has no value (see slurmwatchd report --help)"),  # noqa: E501
        (["jobs", "--limit", "-1"], 2, "Invalid value for '-l' / '--limit': -1 is not in the range 0<=x<=1000000000. (see slurmwatchd jobs --help)"),  # noqa: E501
        (["jobs", "--json", "--csv"], 2, "--json and --csv: choose one (see slurmwatchd jobs --help)"),
        (["jobs", "--qqqq"], 2, "No such option '--qqqq'. (see slurmwatchd jobs --help)"),
        (["running", "--from", "now", "--to", "-1h"], 2, "--from and --to: the interval ends before it begins (see slurmwatchd running --help)"),  # noqa: E501
        (["running"], 2, "Missing option '--from'. (see slurmwatchd running --help)"),
        (["nodes", "n1", "--at", "noon"], 2, "Invalid value for '--at': 'noon' is not a moment such as 24h, 30d, yesterday, 2026-11-20, 2026-11-20T14:30 or 2026-11-20T14:30:00Z (see slurmwatchd nodes --help)"),  # noqa: E501
        (["export", "--partition-by", "day"], 2, "--partition-by needs a folder: --output (see slurmwatchd export --help)"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_names_it(filled: Rig, arguments: list[str], code: int, line: str) -> None:
    ran = run(arguments[0], "--store", filled.store, *arguments[1:])
    assert (ran.code, ran.out, ran.err) == (code, "", f"slurmwatchd: {line.format(store=filled.store)}\n")


@pytest.mark.parametrize(
    "arguments", [["jobs"], ["show", "1"], ["nodes", "n1"], ["running", "--from", "-1h"], ["export"], ["status"]]
)
def test_a_store_that_is_none_is_one_line_and_exit_1(tmp_path: Path, arguments: list[str]) -> None:
    text, other, folder = tmp_path / "text.db", tmp_path / "other.db", tmp_path / "folder"
    text.write_text("this is no database, and long enough to be looked at as if it were one\n" * 20)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE t (x)")
    folder.mkdir()
    for path, why in (
        (text, "cannot be read: file is not a database"),
        (other, "is an SQLite database, but not a store of slurmwatchd"),
        (folder, "is not a file"),
        (tmp_path / "none.db", "there is no store yet; `slurmwatchd run` creates it"),
    ):
        ran = run(*arguments, "--store", path)
        assert (ran.code, ran.out, ran.err) == (1, "", f"slurmwatchd: {path}: {why}\n"), arguments


def test_the_store_is_where_the_configuration_says(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "slurmwatchd.toml"
    file.write_text(f'[store]\npath = "{filled.store}"\n')
    assert len(run("jobs", "--config", file).table()) == 10
    monkeypatch.setenv("SLURMWATCHD_CONFIG", str(file))
    assert len(run("jobs").table()) == 10
    monkeypatch.setenv("SLURMWATCHD_STORE__PATH", str(tmp_path / "elsewhere.db"))
    nowhere = f"slurmwatchd: {tmp_path}/elsewhere.db: there is no store yet; `slurmwatchd run` creates it\n"
    assert run("jobs").err == nowhere
    monkeypatch.delenv("SLURMWATCHD_STORE__PATH")
    file.write_text("[store]\npath = 7\n")
    ran = run("jobs")
    assert (ran.code, ran.err) == (78, f"slurmwatchd: {file}: store.path: must be a text, not 7\n")
    file.unlink()
    ran = run("jobs")
    assert (ran.code, ran.err) == (78, f"slurmwatchd: {file}: cannot be read: No such file or directory\n")
