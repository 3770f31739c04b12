"""The wheel, in an environment that holds nothing else."""

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PROJECT = "https://github.com/slurmwatchd/slurmwatchd"
pytestmark = [pytest.mark.packages, pytest.mark.timeout(300)]


def built(pattern: str) -> Path:
    (found,) = (REPOSITORY / "dist").glob(pattern)
    return found


def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        argv,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environ,
        cwd="/",
    )


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, as `pip install` of the wheel alone makes it."""
    folder = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    installed = run(folder / "bin/python", "-m", "pip", "install", "--quiet", built("*.whl"))
    assert installed.returncode == 0, installed.stderr
    return folder / "bin" / "slurmwatchd"


def test_the_demo_runs_and_ends(program: Path) -> None:
    shown = run(program, "demo", "--seconds", "8", "--rate", "5", "--listen", "127.0.0.1:0")
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == ""
    assert len(re.findall(r" (COMPLETED|FAILED|CANCELLED|TIMEOUT) ", shown.stdout)) >= 3
    assert shown.stdout.endswith("Stopped; nothing is left behind.\n")


def test_check_tells_that_there_is_no_slurm(program: Path, tmp_path: Path) -> None:
    configuration = tmp_path / "slurmwatchd.toml"
    configuration.write_text(
        f'[slurm]\nbin_dir = "{tmp_path}"\n[store]\npath = "{tmp_path}/store.db"\n[web]\nlisten = ""\n'
    )
    told = run(program, "check", "--config", configuration)
    assert (told.returncode, told.stderr) == (1, "")
    assert "ok       configuration: valid; sinks: jobs\n" in told.stdout
    assert f"failed   sacct: sacct is not in slurm.bin_dir ({tmp_path}) -> install Slurm's commands" in told.stdout


def test_install_service_sets_up_an_image_from_the_wheel_alone(program: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("systemd-sysusers", path="/usr/bin:/bin") is None:
        pytest.skip("needs root and systemd-sysusers")
    (tmp_path / "etc").mkdir()
    done = run(
        program, "install-service", "--yes", "--root", tmp_path, "--program", "/opt/slurmwatchd/bin/slurmwatchd"
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "etc/slurmwatchd/slurmwatchd.toml").read_text() == (
        REPOSITORY / "packaging/slurmwatchd.toml"
    ).read_text()
    assert (
        "ExecStart=/opt/slurmwatchd/bin/slurmwatchd run"
        in (tmp_path / "etc/systemd/system/slurmwatchd.service").read_text()
    )
    user = next(
        line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines() if "slurmwatchd" in line
    )
    assert str((tmp_path / "var/lib/slurmwatchd").stat().st_uid) == user[2]


def test_the_index_page_has_absolute_links_to_files_that_are_there() -> None:
    wheel = built("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    assert f"Homepage, {PROJECT}" in metadata.get_all("Project-URL", [])
    page = str(metadata.get_payload())
    links = re.findall(r"\]\(([^)]*)\)", page)
    assert len(links) >= 10
    for link in links:
        path = link.removeprefix(f"{PROJECT}/blob/main/")
        assert path != link, f"not absolute: {link}"
        assert (REPOSITORY / path.partition("#")[0]).exists(), link


def test_the_wheel_brings_the_files_of_a_service() -> None:
    with zipfile.ZipFile(built("*.whl")) as archive:
        brought = sorted(name.partition(".data/data/")[2] for name in archive.namelist() if ".data/data/" in name)
    assert brought == [
        "share/bash-completion/completions/slurmwatchd",
        "share/fish/vendor_completions.d/slurmwatchd.fish",
        "share/man/man1/slurmwatchd.1",
        "share/slurmwatchd/grafana/jobs-api.json",
        "share/slurmwatchd/grafana/provisioning/dashboards.yml",
        "share/slurmwatchd/grafana/provisioning/datasources.yml",
        "share/slurmwatchd/grafana/slurmwatchd-accounts.json",
        "share/slurmwatchd/grafana/slurmwatchd-daemon.json",
        "share/slurmwatchd/grafana/slurmwatchd-nodes.json",
        "share/slurmwatchd/grafana/slurmwatchd-site.json",
        "share/slurmwatchd/slurmwatchd.logrotate",
        "share/slurmwatchd/slurmwatchd.rules.yml",
        "share/slurmwatchd/slurmwatchd.service",
        "share/slurmwatchd/slurmwatchd.sysusers.conf",
        "share/slurmwatchd/slurmwatchd.toml",
        "share/zsh/site-functions/_slurmwatchd",
    ]


def test_the_source_archive_has_what_it_takes_to_build_and_test() -> None:
    with tarfile.open(built("*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "Makefile", "packaging/systemd/slurmwatchd.service"} <= names
    assert not [name for name in names if name.startswith((".venv", ".ci", ".git/", "dist/", "build/"))]
