"""The Debian packages as files: what is in them, and what Debian's own judge says. tests/systemd installs them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

DIST = Path(__file__).parents[2] / "dist"
pytestmark = pytest.mark.packages


def run(*argv: str | Path) -> str:
    done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(params=["*_all.deb", "*~deb12_*.deb"], ids=["plain", "contained"])
def package(request: pytest.FixtureRequest) -> Path:
    found = list(DIST.glob(request.param))
    if not found and not Path("/usr/bin/python3.11").exists():
        pytest.skip("the package for Debian 12 is built on Debian 12")
    (path,) = found
    return path


def files(package: Path) -> dict[str, str]:
    """Path to mode."""
    listed = (line.split(maxsplit=5) for line in run("dpkg-deb", "-c", package).splitlines())
    return {entry[5].removeprefix("."): entry[0] for entry in listed}


def test_lintian_has_nothing_to_say(package: Path) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed here")
    assert run("lintian", "--allow-root", "--fail-on", "error,warning", package) == ""


def test_it_brings_the_service_and_enables_nothing(package: Path) -> None:
    inside = files(package)
    assert {
        "/usr/bin/slurmwatchd",
        "/usr/lib/systemd/system/slurmwatchd.service",
        "/usr/lib/sysusers.d/slurmwatchd.conf",
        "/etc/slurmwatchd/slurmwatchd.toml",
        "/etc/logrotate.d/slurmwatchd",
        "/usr/share/man/man1/slurmwatchd.1.gz",
        "/usr/share/bash-completion/completions/slurmwatchd",
        "/usr/share/zsh/vendor-completions/_slurmwatchd",
        "/usr/share/fish/vendor_completions.d/slurmwatchd.fish",
        "/usr/share/slurmwatchd/slurmwatchd.rules.yml",
        "/usr/share/slurmwatchd/grafana/slurmwatchd-site.json",
        "/usr/share/slurmwatchd/grafana/provisioning/dashboards.yml",
    } <= set(inside)
    assert not [
        name for name in inside if name.startswith("/etc/systemd") or name.endswith((".pyc", "__pycache__/"))
    ]
    assert inside["/usr/bin/slurmwatchd"] == "-rwxr-xr-x"
    assert run("dpkg-deb", "-I", package, "conffiles").splitlines() == [
        "/etc/logrotate.d/slurmwatchd",
        "/etc/slurmwatchd/slurmwatchd.toml",
    ]


def test_the_plain_one_names_what_pyproject_names() -> None:
    (package,) = DIST.glob("*_all.deb")
    depends = run("dpkg-deb", "-f", package, "Depends").strip()
    assert {
        "python3 (>= 3.11)",
        "python3-aiosqlite (>= 0.20)",
        "python3-anyio (>= 4.4)",
        "python3-clustershell (>= 1.9)",
        "python3-uvicorn (>= 0.30)",
        "systemd | systemd-standalone-sysusers",
    } <= set(depends.split(", "))
    assert not re.search(r"pandas|pyarrow|pytest|extra|httptools", depends)


def test_the_contained_one_sorts_before_the_plain_one() -> None:
    versions = [run("dpkg-deb", "-f", path, "Version").strip() for path in sorted(DIST.glob("*.deb"))]
    if len(versions) == 1:
        pytest.skip("the package for Debian 12 is built on Debian 12")
    plain, contained = sorted(versions, key=len)
    run("dpkg", "--compare-versions", contained, "lt", plain)
