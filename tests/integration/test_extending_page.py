"""docs/extending.md as a reader follows it: from an empty folder, that page alone, to a sink that conforms."""

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.patience import HANGS_SECONDS

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "extending.md"

STEPS = ("create", "install", "live")


def block(language: str, words: str) -> str:
    """The page's one block of a language in which some words stand."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (text,) = (text for text in found if words in text)
    return str(text)


def run(*argv: str, folder: Path, installed: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, *argv], check=False, cwd=folder, env=environment, capture_output=True, text=True,
        timeout=HANGS_SECONDS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page has its reader write."""
    made = tmp_path_factory.mktemp("slurmwatchd-command")
    (made / "slurmwatchd_command.py").write_text(block("python", "class CommandSink"), encoding="utf-8")
    (made / "pyproject.toml").write_text(block("toml", "[build-system]"), encoding="utf-8")
    (made / "test_command.py").write_text(block("python", "SinkUnderTest"), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def installed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, installed by pip where only these tests find it."""
    target = tmp_path_factory.mktemp("installed")
    done = run(
        "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
        "--disable-pip-version-check", "--target", str(target), str(folder),
        folder=folder, installed=target,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return target


def test_the_sink_of_the_page_passes_the_conformance_suite(folder: Path, installed: Path) -> None:
    done = run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_command.py", folder=folder, installed=installed
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 passed" in done.stdout


def test_ruff_has_nothing_to_say_of_the_imports_and_lines_of_the_page(folder: Path, installed: Path) -> None:
    argv = ("check", "--isolated", "--no-cache", "--select", "I,E501", "--line-length", "100", ".")
    done = run("-m", "ruff", *argv, folder=folder, installed=installed)
    assert (done.returncode, done.stdout) == (0, "All checks passed!\n"), done.stderr


def test_the_sink_of_the_page_type_checks_strictly(folder: Path, installed: Path) -> None:
    done = run(
        "-m", "mypy", "--strict", "--cache-dir", str(installed / ".mypy_cache"), "slurmwatchd_command.py",
        folder=folder, installed=installed,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_daemon_takes_the_configuration_of_the_page(folder: Path, installed: Path, tmp_path: Path) -> None:
    """And names the key that is wrong."""
    config = tmp_path / "slurmwatchd.toml"
    section = block("toml", "store-jobs")
    ask = (
        "import sys; from pathlib import Path; from slurmwatchd.config.loader import load; "
        "from slurmwatchd.sinks.registry import sink_kinds; "
        "models = {name: kind.options for name, kind in sink_kinds().items()}; "
        "print(load(Path(sys.argv[1]), sink_options=models).sinks['site'].argv)"
    )
    config.write_text(section, encoding="utf-8")
    done = run("-c", ask, str(config), folder=folder, installed=installed)
    assert done.stdout == "('/usr/local/bin/store-jobs', '--from-stdin')\n", done.stderr
    config.write_text(section.replace("argv", "arguments"), encoding="utf-8")
    assert "sinks.site.arguments" in run("-c", ask, str(config), folder=folder, installed=installed).stderr


def commands(first: str) -> list[list[str]]:
    """The lines of the page's indented block that begins with some words, as arguments."""
    blocks = re.findall(r"(?:^    .+\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    (lines,) = (text.split("\n") for text in blocks if text.strip().startswith(first))
    return [shlex.split(line.removesuffix("&")) for line in lines if line]


def test_the_sink_of_the_page_is_tried_without_slurm(folder: Path, installed: Path, tmp_path: Path) -> None:
    """With half a second of jobs, and `once` for `run`, which would not end."""
    _, *simulating = commands("PATH=/opt/slurmwatchd/bin:$PATH")
    assert [argv[:4] for argv in simulating] == [["python", "-m", "simslurm", name] for name in STEPS]
    (tmp_path / "site.toml").write_text(block("toml", "bin_dir"), encoding="utf-8")
    for argv in simulating:
        shorter = {"120": "2", "5": "0.2", "2": "20"}
        done = run(*(shorter.get(word, word) for word in argv[1:]), folder=tmp_path, installed=installed)
        assert done.returncode == 0, done.stderr
    check, daemon = commands("slurmwatchd check")
    done = run("-m", *check, folder=tmp_path, installed=installed)
    assert (done.returncode, done.stdout) == (0, "ok       configuration: valid; sinks: site, prometheus\n"), done
    assert daemon[:2] == ["slurmwatchd", "run"]
    done = run("-m", "slurmwatchd", "once", *daemon[2:], folder=tmp_path, installed=installed)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    with closing(sqlite3.connect(tmp_path / "state" / "slurmwatchd.db")) as store:
        (stored,) = store.execute("SELECT count(*) FROM events").fetchone()
    assert len(lines) == stored > 0


def test_two_sinks_of_the_page_share_their_metric(folder: Path, installed: Path, tmp_path: Path) -> None:
    section = block("toml", "store-jobs")
    (tmp_path / "two.toml").write_text(section + section.replace("sinks.site", "sinks.other"), encoding="utf-8")
    argv = ("-m", "slurmwatchd", "check", "--config-only", "--config", "two.toml")
    done = run(*argv, folder=tmp_path, installed=installed)
    assert (done.returncode, done.stderr) == (0, "")
