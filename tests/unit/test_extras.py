"""Libraries that only some sinks need are imported by those alone, and said to be missing where they are."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import HANGS_SECONDS

_LIBRARIES = ("nats", "httpx", "confluent_kafka")


def script(text: str, *arguments: object) -> str:
    """What a Python of its own prints."""
    argv = [sys.executable, "-c", text, *map(str, arguments)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=HANGS_SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_to_know_all_kinds_of_sinks_imports_no_library_of_theirs() -> None:
    text = f"""
import sys
import slurmwatchd.cli.commands.run
from slurmwatchd.sinks.registry import sink_kinds
print(sorted(sink_kinds()))
print(sorted(set({_LIBRARIES!r}) & sys.modules.keys()))
"""
    assert script(text) == "['http', 'jsonl', 'kafka', 'nats', 'prometheus', 'terminal']\n[]\n"


@pytest.mark.parametrize(
    ("kind", "more", "module", "package"),
    [
        ("nats", "", "nats", "nats-py"),
        ("http", 'url = "https://hook.example.org/"', "httpx", "httpx"),
        ("kafka", "", "confluent_kafka", "confluent-kafka"),
    ],
)
def test_a_missing_library_is_told_with_key_and_extra(
    tmp_path: Path, kind: str, more: str, module: str, package: str
) -> None:
    file = tmp_path / "slurmwatchd.toml"
    file.write_text(f'[sinks.far]\ntype = "{kind}"\n{more}\n')
    text = f"""
import sys
sys.modules[{module!r}] = None
from slurmwatchd.cli import main
try:
    main(["check", "--config", sys.argv[1]])
except SystemExit as end:
    print(end.code)
"""
    argv = [sys.executable, "-c", text, str(file)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=HANGS_SECONDS)
    told = f"{kind!r} needs {package}, which is not installed: install slurmwatchd[{kind}]"
    assert (done.stdout, done.stderr) == ("78\n", f"slurmwatchd: {file}: sinks.far.type: {told}\n")
