"""`replay` and `tail`: the store's events again, to a receiver, a file or a terminal."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import orjson
import pytest

from tests.integration.asked import Ran, environment, run
from tests.integration.rig import START, Rig
from tests.patience import HANGS_SECONDS
from tests.unit.http_server import says, serving

STRETCH = ("--since", f"@{START - 1}", "--until", f"@{START + 86400}")


def three_jobs(folder: Path) -> Rig:
    rig = Rig(folder)
    with rig:
        rig.ended(300, job_name="one", partition="gpu", state="FAILED")
        anyio.run(rig.once)
        rig.move(60)
        rig.ended(30, job_name="two\x1b[31m", partition="main", user="bob")
        rig.ended(20, job_name="three", partition="gpu")
        anyio.run(rig.once)
    return rig


def configured(rig: Rig, **sinks: dict[str, object]) -> Path:
    file = rig.folder / "slurmwatchd.toml"
    lines = ["[store]", f'path = "{rig.store}"', "[sinks.jobs]", 'type = "jsonl"', f'path = "{rig.file}"']
    for name, options in sinks.items():
        lines += [f"[sinks.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in options.items())]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_a_file_is_written_as_the_sink_writes_it(tmp_path: Path) -> None:
    rig = three_jobs(tmp_path)
    config, target = configured(rig), tmp_path / "again.jsonl"
    ran = run("replay", "--config", config, "--sink", "jobs", *STRETCH, "--to", target)
    assert (ran.code, ran.out, ran.err) == (0, "", "slurmwatchd: 3 events written\n")
    assert target.read_bytes() == rig.file.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o640
    again = run("replay", "--config", config, "--sink", "jobs", *STRETCH, "--to", target)
    assert (again.code, again.err) == (1, f"slurmwatchd: {target}: is there already\n")
    piped = run("replay", "--config", config, "--sink", "jobs", *STRETCH, "--to", "-")
    assert piped.out == target.read_text()
    assert sorted(path.name for path in tmp_path.glob("*again*")) == ["again.jsonl"]


def test_only_what_was_first_seen_in_the_stretch_and_is_for_the_sink(tmp_path: Path) -> None:
    rig = three_jobs(tmp_path)
    config = configured(
        rig,
        gpu={"type": "jsonl", "path": str(tmp_path / "gpu.jsonl"), "partitions": ["gpu"], "format": "ecs"},
    )

    def names(*stretch: str) -> list[str]:
        ran = run("replay", "--config", config, "--sink", "gpu", *stretch, "--to", "-")
        assert ran.code == 0
        return [json.loads(line)["slurm"]["name"] for line in ran.out.splitlines()]

    assert names(*STRETCH) == ["one", "three"]
    assert names("--since", f"@{START + 1}", "--until", f"@{START + 86400}") == ["three"]
    assert names("--since", f"@{START - 1}", "--until", f"@{START + 1}") == ["one"]


def test_a_receiver_is_sent_them_again_and_no_cursor_moves(tmp_path: Path) -> None:
    rig = three_jobs(tmp_path)
    with serving(says(204)) as (url, posted):
        config = configured(rig, hook={"type": "http", "url": url, "partitions": ["gpu"]})
        before = rig.ask_store("SELECT * FROM cursors")
        ran = run("replay", "--config", config, "--sink", "hook", *STRETCH)
        assert (ran.code, ran.err) == (0, "slurmwatchd: 2 events sent\n")
    ((_, body),) = posted
    assert body.splitlines() == rig.file.read_bytes().splitlines()[::2]
    assert rig.ask_store("SELECT * FROM cursors") == before


def test_a_receiver_that_cannot_take_them_is_exit_75_and_says_how_far_it_came(tmp_path: Path) -> None:
    rig = three_jobs(tmp_path)

    def second_fails(handler: object) -> None:
        says(204 if len(posted) == 1 else 503)(handler)

    with serving(second_fails) as (url, posted):
        config = configured(rig, hook={"type": "http", "url": url, "max_events": 2})
        ran = run("replay", "--config", config, "--sink", "hook", *STRETCH)
    assert ran.code == 75
    server = url.removeprefix("http://").partition("/")[0]
    assert ran.err == (
        f"slurmwatchd: sinks.hook: {server}: HTTP 503 (2 events sent; the next was first seen at "
        "2026-11-24T06:01:00Z)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sink", "jobs"), "--sink: 'jobs' is of type 'jsonl': name a file with --to"),
        (("--sink", "prometheus"), "--sink: 'prometheus' is of type 'prometheus': it writes no events"),
        (
            ("--sink", "prometheus", "--to", "x"),
            "--sink: 'prometheus' is of type 'prometheus': it writes no events",
        ),
        (("--sink", "jbos"), "--sink: there is no sink 'jbos'; there are jobs, prometheus"),
    ],
)
def test_a_sink_that_cannot_be_given_them_is_a_mistake(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    config = configured(three_jobs(tmp_path))
    ran = run("replay", "--config", config, *arguments, *STRETCH)
    assert (ran.code, ran.err) == (2, f"slurmwatchd: {message} (see slurmwatchd replay --help)\n")


def tail(rig: Rig, *arguments: object) -> Ran:
    return run("tail", "--store", rig.store, "--no-follow", *arguments)


def test_the_newest_events_are_shown_in_their_order_and_hostile_names_escaped(tmp_path: Path) -> None:
    rig = three_jobs(tmp_path)
    ran = tail(rig, "-n", 2)
    assert (ran.code, ran.err) == (0, "")
    first, second = ran.out.splitlines()
    assert first.endswith(r"  two\x1b[31m")
    assert second.endswith("  three")
    assert second.split()[2:5] == ["3", "COMPLETED", "ann"]
    assert tail(rig, "-n", 0).out == ""


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((), ["one", "two\x1b[31m", "three"]),
        (("--partition", "g*"), ["one", "three"]),
        (("--partition", "gpu", "--state", "completed"), ["three"]),
        (("--state", "FAILED", "--state", "COMPLETED", "--user", "ann"), ["one", "three"]),
        (("--state", "F,CD", "--user", "ann"), ["one", "three"]),
        (("--user", "ann,bob", "--outcome", "Completed"), ["two\x1b[31m", "three"]),
        (("--event", "job_usage"), []),
        (("--since", f"@{START + 30}"), ["two\x1b[31m", "three"]),
        (("--since", f"@{START + 30}", "--user", "ann"), ["three"]),
        (("-n", "1", "--user", "bob"), ["two\x1b[31m"]),
    ],
)
def test_only_what_is_asked_for_is_shown(tmp_path: Path, arguments: tuple[str, ...], names: list[str]) -> None:
    ran = tail(three_jobs(tmp_path), "--json", *arguments)
    assert ran.code == 0
    assert [json.loads(line)["name"] for line in ran.out.splitlines()] == names


def test_json_lines_are_those_of_the_file(tmp_path: Path) -> None:
    rig = three_jobs(tmp_path)
    assert tail(rig, "--json").out == rig.file.read_text()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--state", "FAILD", "Invalid value for --state: 'FAILD' is not one of BOOT_FAIL, "),
        ("--outcome", "oom", "Invalid value for --outcome: 'oom' is not one of completed, "),
        ("--user", "", "Invalid value for '--user': '' has no value"),
    ],
)
def test_a_filter_that_nothing_can_meet_is_a_mistake(
    tmp_path: Path, option: str, value: str, message: str
) -> None:
    ran = tail(three_jobs(tmp_path), option, value)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"slurmwatchd: {message}")


def test_a_node_list_that_is_none_is_a_mistake(tmp_path: Path) -> None:
    ran = tail(three_jobs(tmp_path), "--node", "n[1-")
    assert ran.code == 2
    assert ran.err.startswith("slurmwatchd: --node: 'n[1-' is no node list")


def test_what_comes_is_shown_until_it_is_interrupted(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(300, job_name="before")
        anyio.run(rig.once)
        argv = [sys.executable, "-m", "slurmwatchd", "tail", "--store", str(rig.store), "--json"]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        try:
            assert process.stdout is not None
            assert orjson.loads(process.stdout.readline())["name"] == "before"
            rig.move(60)
            rig.ended(20, job_name="while it waits")
            anyio.run(rig.once)
            assert orjson.loads(process.stdout.readline())["name"] == "while it waits"
            os.kill(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=HANGS_SECONDS)
        finally:
            process.kill()
            process.wait()
        assert (out, err, process.returncode) == (b"", b"\n", 130)
