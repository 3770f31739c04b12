"""docs/extending.md as a reader follows it: from an empty folder, that page alone, to a sink that conforms."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


def block(language: str, words: str) -> str:
    """The page's one block of a language in which some words stand."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (text,) = (text for text in found if words in text)
    return str(text)


def run(*argv: str, folder: Path, installed: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *argv], check=False, cwd=folder, env=environment, capture_output=True, text=True
    )


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
    assert "9 passed" in done.stdout


@pytest.mark.heavy
def test_the_sink_of_the_page_type_checks_strictly(folder: Path, installed: Path) -> None:
    done = run(
        "-m", "mypy", "--strict", "--cache-dir", str(installed / ".mypy_cache"), "slurmwatchd_command.py",
        folder=folder, installed=installed,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_daemon_takes_the_configuration_of_the_page(folder: Path, installed: Path, tmp_path: Path) -> None:
    """And names the key that is wrong."""
    config = tmp_path / "slurmwatchd.toml"
    section = block("toml", "[sinks.site]")
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
