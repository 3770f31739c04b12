"""The RPM package, in an empty root: its files, and its modules with the Python it is for, where that is."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PYTHONS = [*Path("/usr/bin").glob("python3.12"), *Path("/root/.pyenv/versions").glob("3.12.*/bin/python3.12")]
MODULES = "usr/lib/slurmwatchd/lib/python3.12/site-packages"
pytestmark = [
    pytest.mark.packages,
    pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed here"),
]


def run(*argv: str | Path, **environ: str) -> str:
    done = subprocess.run(
        argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, env={**os.environ, **environ}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package() -> Path:
    (found,) = (REPOSITORY / "dist").glob("*.rpm")
    return found


@pytest.fixture(scope="module")
def root(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty root with the package; its scripts need a shell, and there is none."""
    folder = tmp_path_factory.mktemp("root")
    run("rpm", f"--root={folder}", "--install", "--nodeps", "--noscripts", package)
    return folder


def test_rpmlint_has_nothing_to_say(package: Path) -> None:
    if shutil.which("rpmlint") is None:
        pytest.skip("rpmlint is not installed here")
    told = run("rpmlint", "--strict", "--config", REPOSITORY / "packaging/rpm/rpmlint.toml", package)
    assert "0 errors, 0 warnings" in told


def test_it_needs_the_python_it_was_made_for(package: Path) -> None:
    assert "/usr/bin/python3.12" in run("rpm", "-qp", "--requires", package).splitlines()


def test_configuration_and_rotation_are_the_sites_own(package: Path) -> None:
    flags = run("rpm", "-qp", "--queryformat", "[%{FILEFLAGS:fflags} %{FILENAMES}\n]", package).splitlines()
    assert {line for line in flags if line.startswith("cn ")} == {
        "cn /etc/logrotate.d/slurmwatchd",
        "cn /etc/slurmwatchd/slurmwatchd.toml",
    }


def test_it_brings_the_service_and_enables_nothing(root: Path) -> None:
    for name in (
        "usr/lib/systemd/system/slurmwatchd.service",
        "usr/lib/sysusers.d/slurmwatchd.conf",
        "usr/share/man/man1/slurmwatchd.1.gz",
        "usr/share/slurmwatchd/slurmwatchd.rules.yml",
        "usr/share/slurmwatchd/grafana/slurmwatchd-site.json",
        "usr/share/slurmwatchd/grafana/provisioning/dashboards.yml",
    ):
        assert (root / name).is_file(), name
    assert not (root / "etc/systemd").exists()
    assert (root / "usr/bin/slurmwatchd").read_text().startswith("#!/usr/lib/slurmwatchd/bin/python3 -I\n")
    assert (root / "usr/lib/slurmwatchd/bin/python3").readlink() == Path("../../../bin/python3.12")


def test_its_modules_run_on_that_python(root: Path) -> None:
    if not PYTHONS:
        pytest.skip("NO PYTHON 3.12 HERE: the modules of the RPM package were not run")
    shown = run(
        PYTHONS[0], "-s", "-m", "slurmwatchd", "demo", "--seconds", "6", "--rate", "5", "--listen", "127.0.0.1:0",
        PYTHONPATH=str(root / MODULES), PYTHONSAFEPATH="1",
    )  # fmt: skip
    assert "COMPLETED" in shown
    assert shown.endswith("Stopped; nothing is left behind.\n")


def test_erasing_it_leaves_no_file(root: Path, package: Path) -> None:
    run("rpm", f"--root={root}", "--erase", "--noscripts", "slurmwatchd")
    left = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    # But rpm's own records; and what Python compiled, which %preun would have removed.
    assert [path for path in left if not {"rpm", ".rpmdb", "__pycache__"} & set(path.parts)] == []
