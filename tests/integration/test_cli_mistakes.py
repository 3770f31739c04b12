"""What a user gets wrong outside of any one command: one line that says so, and never a traceback."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.integration.asked import Ran, environment, run, run_process
from tests.integration.rig import Rig
from tests.patience import HANGS_SECONDS


def in_shell(arguments: Sequence[object], redirections: str, stdin: bytes | None = None) -> Ran:
    """Run a command whose streams bash redirects."""
    argv = ["bash", "-c", f'"$@" {redirections}', "bash"]
    argv += [sys.executable, "-m", "slurmwatchd", *map(str, arguments)]
    done = subprocess.run(
        argv, check=False, capture_output=True, input=stdin, timeout=HANGS_SECONDS, env=environment()
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize("arguments", [[], ["quarantine"]])
def test_a_group_without_a_command_shows_its_help_as_it_is(arguments: list[str]) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"Usage: {' '.join(['slurmwatchd', *arguments])} [OPTIONS] COMMAND [ARGS]...\n\n")
    assert "\nCommands:\n" in ran.err


@pytest.mark.parametrize(
    ("redirection", "why"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
@pytest.mark.parametrize("command", ["jobs", "export", "schema"])
def test_output_that_cannot_be_written_is_one_line_and_exit_1(
    filled: Rig, command: str, redirection: str, why: str
) -> None:
    store = [] if command == "schema" else ["--store", filled.store]
    ran = in_shell([command, *store], redirection)
    assert (ran.code, ran.err) == (1, f"slurmwatchd: standard output: {why}\n")


def test_status_into_a_closed_output_is_one_line(filled: Rig) -> None:
    ran = in_shell(["status", "--store", filled.store], ">&-")
    assert (ran.code, ran.err) == (1, "slurmwatchd: standard output: Bad file descriptor\n")


def test_closed_streams_that_nobody_needs_are_no_error() -> None:
    assert in_shell(["expand"], "<&- >&- 2>&-") == Ran(0, "", "")


def test_a_demo_whose_reader_goes_is_141_without_a_traceback() -> None:
    # `true` is gone before the greeting, which is written from inside the daemon's task group.
    ran = run_process("demo", "--seconds", "1", "--listen", "127.0.0.1:0", reader="true")
    assert ran.code == 141
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("number", ["nan", "inf", "-1"])
def test_a_demo_of_no_length_is_one_line_and_exit_2(number: str) -> None:
    ran = run("demo", "--seconds", number)
    assert ran.code == 2
    assert ran.err.startswith("slurmwatchd: Invalid value for '--seconds': ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["jobs", "-u", "a\udcffb"], ["jobs", "-N", "a\udcffb"], ["expand", "a\udcffb"]]
)
def test_an_argument_that_is_no_text_is_named_and_exit_2(arguments: list[str]) -> None:
    assert run(*arguments) == Ran(2, "", "slurmwatchd: b'a\\xffb' is not UTF-8 text (see slurmwatchd --help)\n")


@pytest.mark.parametrize("command", ["expand", "compact"])
def test_input_that_is_no_text_is_shown_and_exit_2(command: str) -> None:
    ran = in_shell([command], "", stdin=b"n1\nn\xff\x002\n")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"slurmwatchd: standard input is not UTF-8 text: b'n\\xff\\x002\\n' (see slurmwatchd {command} --help)\n"
    )


@pytest.mark.parametrize("command", ["jobs", "verify"])
def test_a_limit_beyond_all_rows_is_one_line_and_exit_2(command: str) -> None:
    ran = run(command, "--limit", "99999999999999999999999")
    assert ran.code == 2
    assert "99999999999999999999999 is not in the range " in ran.err


def test_a_folder_as_the_store_of_a_daemon_is_one_line(tmp_path: Path) -> None:
    programs, store = tmp_path / "bin", tmp_path / "store"
    programs.mkdir()
    store.mkdir()
    for name in ("sacct", "scontrol"):
        (programs / name).symlink_to("/bin/true")
    ran = run_process("once", "--store", store, PATH=str(programs))
    assert (ran.code, ran.out, ran.err) == (1, "", f"slurmwatchd: {store}: is not a file\n")
