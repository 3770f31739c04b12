"""The files an administrator installs, judged by the programs that will read them."""

import grp
import gzip
import os
import pwd
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from slurmwatchd.config import loader
from slurmwatchd.config.settings import Config
from slurmwatchd.sinks.registry import sink_kinds
from tests.patience import HANGS_SECONDS, Patience

REPOSITORY = Path(__file__).parents[2]
PACKAGING = REPOSITORY / "packaging"
UNIT = PACKAGING / "systemd" / "slurmwatchd.service"
EXPOSURE_ALLOWED = 2.0


def tool(name: str) -> str:
    """Find a program, in the places of administrators too, or skip."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed here")
    return found


def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        argv,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANGS_SECONDS,
        env=environ,
    )


def directives(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^([A-Z]\w+)=(.*)$", text, flags=re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def load(path: Path) -> Config:
    models = {name: kind.options for name, kind in sink_kinds().items()}
    return loader.load(path, sink_options=models, environ={})


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there; systemd-analyze would rightly miss /usr/bin/slurmwatchd."""
    text = UNIT.read_text()
    assert text.count("\nExecStart=/usr/bin/slurmwatchd run ") == 1
    copy = tmp_path / "slurmwatchd.service"
    copy.write_text(text.replace("=/usr/bin/slurmwatchd ", "=/bin/true "))
    return copy


def test_systemd_finds_nothing_to_say_about_the_unit(unit: Path) -> None:
    judged = run(tool("systemd-analyze"), "verify", "--man=no", unit)
    assert (judged.stdout, judged.stderr, judged.returncode) == ("", "", 0)


def test_systemd_would_have_found_a_mistake_in_the_unit(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("ProtectClock=yes", "ProtectClok=yes"))
    assert "ProtectClok" in run(tool("systemd-analyze"), "verify", "--man=no", unit).stderr


def test_the_unit_is_hardened(unit: Path) -> None:
    judged = run(tool("systemd-analyze"), "security", "--offline=true", "--threshold=20", "--no-pager", unit)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    exposure = re.search(r"Overall exposure level for slurmwatchd.service: ([\d.]+)", judged.stdout)
    assert exposure is not None
    assert float(exposure[1]) <= EXPOSURE_ALLOWED


def test_the_unit_keeps_what_the_daemon_relies_on() -> None:
    found = directives(UNIT.read_text())
    assert found["Type"] == ["notify"]
    # The daemon judges the file for itself; the second makes the reload fail where it refuses it.
    assert found["ExecReload"] == [
        "/bin/kill -HUP $MAINPID",
        "/usr/bin/slurmwatchd check --config-only --config /etc/slurmwatchd/slurmwatchd.toml",
    ]
    assert found["Restart"] == ["on-failure"]
    assert found["RestartPreventExitStatus"] == ["2 78"]
    assert found["User"] == ["slurmwatchd"]
    assert found["LogsDirectoryMode"] == ["0750"]
    assert found["RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_INET6"]
    # /proc/stat is needed by the process metrics; a hard dependency would stop the boot with slurmdbd.
    assert not {"ProcSubset", "Requires", "BindsTo"} & set(found)


def test_the_start_is_given_longer_than_the_first_sacct_call() -> None:
    assert directives(UNIT.read_text())["TimeoutStartSec"] == ["6min"]
    assert load(PACKAGING / "slurmwatchd.toml").slurm.timeout == 300


def test_sysusers_makes_the_user_the_unit_names(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    made = run(tool("systemd-sysusers"), f"--root={tmp_path}", PACKAGING / "systemd" / "slurmwatchd.sysusers.conf")
    assert made.returncode == 0, made.stderr
    (user,) = [line for line in (tmp_path / "etc/passwd").read_text().splitlines() if "slurmwatchd" in line]
    assert re.fullmatch(
        r"slurmwatchd:x:\d+:\d+:Slurm ended-job watcher:/var/lib/slurmwatchd:/(usr/)?s?bin/nologin", user
    )


@pytest.fixture
def rotate(tmp_path: Path) -> Callable[[], None]:
    """Run the shipped rule, at once, on a folder of this user's own."""
    user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    text = (PACKAGING / "logrotate" / "slurmwatchd").read_text()
    assert "/var/log/slurmwatchd/*.jsonl {" in text
    assert "    su slurmwatchd slurmwatchd\n" in text
    folder = tmp_path / "log"
    folder.mkdir(mode=0o750)
    rule = tmp_path / "rule"
    rule.write_text(
        text.replace("/var/log/slurmwatchd/", f"{folder}/").replace(
            "su slurmwatchd slurmwatchd", f"su {user} {group}"
        )
    )
    rule.chmod(0o644)
    logrotate = tool("logrotate")
    dry = run(logrotate, "-d", "-s", tmp_path / "state", rule)
    assert dry.returncode == 0
    assert "error" not in dry.stderr

    def rotate_now() -> None:
        done = run(logrotate, "-f", "-s", tmp_path / "state", rule)
        assert (done.stderr, done.returncode) == ("", 0)

    return rotate_now


def test_rotation_renames_and_never_copies(tmp_path: Path, rotate: Callable[[], None]) -> None:
    file = tmp_path / "log" / "jobs.jsonl"
    file.write_text('{"id":"1"}\n')
    inode = file.stat().st_ino
    rotate()
    rotated = tmp_path / "log" / "jobs.jsonl.1"
    assert rotated.stat().st_ino == inode
    assert rotated.read_text() == '{"id":"1"}\n'
    # The daemon makes the new file: two makers would race, and logrotate moves the loser's file away.
    assert [path.name for path in (tmp_path / "log").iterdir()] == ["jobs.jsonl.1"]


def test_the_file_just_rotated_stays_readable_until_the_next_rotation(
    tmp_path: Path, rotate: Callable[[], None]
) -> None:
    folder = tmp_path / "log"
    for content in ("first\n", "second\n"):
        (folder / "jobs.jsonl").write_text(content)
        rotate()
    assert (folder / "jobs.jsonl.1").read_text() == "second\n"
    assert gzip.decompress((folder / "jobs.jsonl.2.gz").read_bytes()) == b"first\n"
    assert list(folder.glob("*.jsonl")) == []


def test_a_day_without_events_rotates_nothing(tmp_path: Path, rotate: Callable[[], None]) -> None:
    (tmp_path / "log" / "jobs.jsonl").touch()
    rotate()
    assert [path.name for path in (tmp_path / "log").iterdir()] == ["jobs.jsonl"]


@pytest.mark.heavy
def test_the_alert_rules_pass_their_own_tests() -> None:
    promtool = tool("promtool")
    rules = PACKAGING / "prometheus"
    assert run(promtool, "check", "rules", rules / "slurmwatchd.rules.yml").returncode == 0
    judged = run(promtool, "test", "rules", rules / "slurmwatchd.rules.test.yml")
    assert judged.returncode == 0, judged.stdout + judged.stderr


INSTALL = (REPOSITORY / "docs" / "install.md").read_text()


def test_an_upgrade_renews_every_file_that_is_installed() -> None:
    install, _, upgrade = INSTALL.partition("\n## Upgrade and remove\n")
    shipped = {path.relative_to(REPOSITORY).as_posix() for path in PACKAGING.rglob("*") if path.is_file()} - {
        "packaging/lint.sh",
        "packaging/stage.sh",
        "packaging/prometheus/slurmwatchd.rules.test.yml",
    }
    # What is for other programs is theirs to renew, and what makes packages is installed by none.
    others = (
        "packaging/shippers/",
        "packaging/grafana/",
        "packaging/deb/",
        "packaging/rpm/",
        "packaging/container/",
    )
    shipped -= {path for path in shipped if path.startswith(others)}
    named = set(re.findall(r"packaging/[\w./-]*\w", upgrade))
    # The configuration is the site's own.
    assert shipped - named == {"packaging/slurmwatchd.toml"}
    assert shipped - set(re.findall(r"packaging/[\w./-]*\w", install)) == set()
    for line in re.findall(r"^    install .*$", upgrade, re.MULTILINE):
        assert line.partition("  #")[0].rstrip() in install, line


def test_rsyslog_as_it_is_shipped_reads_every_line_over_a_rotation_and_a_kill(tmp_path: Path) -> None:
    rsyslogd = tool("rsyslogd")
    lines = (PACKAGING / "shippers" / "rsyslog.conf").read_text(encoding="utf-8")
    out, log = tmp_path / "out", tmp_path / "log"
    log.mkdir()
    action = re.compile(r'type="omfwd" target="127.0.0.1" port="5514" protocol="tcp"')
    assert len(action.findall(lines)) == 1
    text = action.sub(f'type="omfile" file="{out}"', lines).replace("/var/log/slurmwatchd", str(log))
    (tmp_path / "conf").write_text(text.replace("global(", f'global(workDirectory="{tmp_path}" ', 1))
    file, written = log / "jobs.jsonl", list[str]()

    def write(number: int, size: int = 100) -> None:
        with file.open("a") as stream:
            for _ in range(number):
                written.append(f'{{"id":"{len(written):0{size}}","name":"ü"}}\n')
                stream.write(written[-1])

    def read_all() -> None:
        patience = Patience(lambda: out.stat().st_size if out.exists() else 0)
        # Some come again after a rotation and a kill, as the file says.
        while (found := dict.fromkeys(out.read_text().splitlines(True) if out.exists() else ())) != dict.fromkeys(
            written
        ):
            assert not patience.is_over(), f"{len(found)} lines of {len(written)}"
            time.sleep(0.05)

    def start() -> subprocess.Popen[bytes]:
        argv = [rsyslogd, "-n", "-f", str(tmp_path / "conf"), "-i", str(tmp_path / "pid")]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    write(5)
    running = start()
    try:
        read_all()
        write(2, size=29_900)
        read_all()
        file.rename(log / "jobs.jsonl.1")
        write(5)
        read_all()
        running.kill()
        running.wait()
        write(5)
        file.rename(log / "jobs.jsonl.1")
        (tmp_path / "pid").unlink(missing_ok=True)
        running = start()
        read_all()
        write(5)
        read_all()
    finally:
        running.kill()
        running.wait()


def test_the_example_configuration_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").touch()
    assert load(PACKAGING / "slurmwatchd.toml") == load(tmp_path / "empty.toml")


def test_what_the_example_configuration_comments_out_is_the_default(tmp_path: Path) -> None:
    text = (PACKAGING / "slurmwatchd.toml").read_text()
    everything = re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.MULTILINE)
    assert everything.count(" = ") > text.count("\ntype = ") + 10
    (tmp_path / "everything.toml").write_text(everything)
    assert load(tmp_path / "everything.toml") == load(PACKAGING / "slurmwatchd.toml")
