"""The service's life under a real systemd, in the order of these tests: they share one machine of each suite."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.systemd.machine import UNIT, wait_until
from tests.systemd.site import CONFIGURATION

if TYPE_CHECKING:
    from tests.systemd.site import Site

pytestmark = [pytest.mark.systemd, pytest.mark.timeout(900)]
WATCHDOG_SECONDS = 60
EXPOSURE_ALLOWED = 2.0
DROP_IN = f"/etc/systemd/system/{UNIT}.d/test.conf"


def drop_in(site: Site, text: str) -> None:
    site.machine.shell(f"mkdir -p {DROP_IN.rpartition('/')[0]}; printf '[Service]\\n{text}\\n' >{DROP_IN}")
    site.machine.run("systemctl", "daemon-reload")


def take_out(site: Site) -> None:
    site.machine.shell(f"rm -r {DROP_IN.rpartition('/')[0]}; systemctl daemon-reload; systemctl restart {UNIT}")
    wait_until(site.is_ready, site.told)


def test_an_installed_package_enables_and_starts_nothing(site: Site) -> None:
    assert site.machine.call("systemctl", "is-enabled", UNIT).stdout == "disabled\n"
    assert site.machine.unit("ActiveState") == "inactive"
    assert site.machine.run("stat", "-c", "%U %a", "/var/lib/slurmwatchd") == "slurmwatchd 750\n"
    assert site.machine.run("systemctl", "--failed", "--plain", "--no-legend") == ""


def test_it_becomes_ready_once_enabled(site: Site) -> None:
    site.bring_up_slurm()
    site.configure()
    site.follow("A Debian package", "systemctl enable")
    assert site.machine.is_active()
    assert site.is_ready(), site.why_not_ready()
    site.wait_for_ends(3)


def test_every_command_starts_with_the_modules_of_this_suite(site: Site) -> None:
    listed = site.machine.run("slurmwatchd", "--help").partition("Commands:")[2]
    names = re.findall(r"^  ([a-z-]+) ", listed, re.MULTILINE)
    assert len(names) >= 16
    for name in names:
        site.machine.run("slurmwatchd", name, "--help")
    assert "COMPLETED" in site.machine.run("slurmwatchd", "jobs")
    assert site.machine.run("slurmwatchd", "jobs", "--longest", "--limit", "1").count("\n") == 2


def test_the_unit_that_runs_is_hardened(site: Site) -> None:
    judged = site.machine.run("systemd-analyze", "security", "--no-pager", UNIT)
    exposure = re.search(r"Overall exposure level for slurmwatchd.service: ([\d.]+)", judged)
    assert exposure is not None
    assert float(exposure[1]) <= EXPOSURE_ALLOWED


def test_the_status_line_says_how_far_it_has_read(site: Site) -> None:
    assert re.search(r"\btux\b", site.machine.unit("StatusText")), site.machine.unit("StatusText")


def test_the_journal_has_priorities_and_names_the_program(site: Site) -> None:
    site.cluster.change("slurmdbd_down", "1")
    wait_until(lambda: "query failed" in site.machine.journal(), site.told)
    site.cluster.change("slurmdbd_down", "0")
    wait_until(site.is_ready, site.told)
    lines = site.machine.run("journalctl", "--unit", UNIT, "--output=json", "--no-pager").splitlines()
    entries = [json.loads(line) for line in lines]
    own = [entry for entry in entries if entry.get("_COMM") == "slurmwatchd"]
    assert own
    assert {entry["SYSLOG_IDENTIFIER"] for entry in own} == {"slurmwatchd"}
    marked = {entry["PRIORITY"]: entry["MESSAGE"] for entry in own if "query failed" in entry["MESSAGE"]}
    assert list(marked) == ["4"], marked
    assert {entry["PRIORITY"] for entry in own if "event=ready" in entry["MESSAGE"]} == {"6"}
    assert not [entry["MESSAGE"] for entry in own if entry["MESSAGE"].startswith("<")]


def test_a_reload_takes_the_new_configuration_and_refuses_a_wrong_one(site: Site) -> None:
    pid = site.machine.main_pid()
    site.configure(interval="1s")
    site.machine.run("systemctl", "reload", UNIT)
    wait_until(lambda: "configuration reloaded" in site.machine.journal(), site.told)
    site.configure(nonsense="1s")
    refused = site.machine.call("systemctl", "reload", UNIT).returncode
    site.configure()
    wait_until(lambda: "nonsense" in site.machine.journal("--priority=err"), site.told)
    assert (site.machine.is_active(), site.machine.main_pid(), refused) == (True, pid, 1)
    site.machine.run("systemctl", "reload", UNIT)


def test_ten_rotations_while_jobs_end(site: Site) -> None:
    for number in range(10):
        before = site.machine.log / "jobs.jsonl"
        wait_until(lambda path=before: path.exists() and path.stat().st_size > 0, site.told)  # type: ignore[misc]
        site.machine.run("logrotate", "--force", "/etc/logrotate.d/slurmwatchd")
        assert (site.machine.log / "jobs.jsonl.1").exists(), number
    assert (site.machine.log / "jobs.jsonl.10.gz").exists()
    site.wait_for_ends(1)


def test_the_watchdog_is_fed_for_two_periods(site: Site) -> None:
    machine = site.machine
    assert machine.unit("WatchdogUSec") == "1min"

    def since_start() -> float:
        return time.clock_gettime(time.CLOCK_MONOTONIC) - int(machine.unit("ActiveEnterTimestampMonotonic")) / 1e6

    def runs_so_long() -> bool:
        assert (machine.unit("NRestarts"), machine.is_active()) == ("0", True), site.told()
        return since_start() > 2 * WATCHDOG_SECONDS + 5

    wait_until(runs_so_long, site.told, progress=since_start)
    fed = int(machine.unit("WatchdogTimestampMonotonic")) / 1e6
    assert time.clock_gettime(time.CLOCK_MONOTONIC) - fed < WATCHDOG_SECONDS


def test_a_stop_hands_on_what_is_in_the_store(site: Site) -> None:
    with site.full_disk():
        # So that something waits, and the sink knocks seldom.
        wait_until(lambda: site.stored() > max(event["seq"] for event in site.events()) + 20, site.told)
    site.machine.run("systemctl", "stop", UNIT)
    # It would be "timeout" where systemd had to kill it.
    assert site.machine.unit("Result") == "success"
    assert max(event["seq"] for event in site.events()) == site.stored()
    site.machine.run("systemctl", "start", UNIT)
    wait_until(site.is_ready, site.told)


def test_it_comes_back_when_it_is_killed(site: Site) -> None:
    for _ in range(2):
        pid = site.machine.kill("KILL")
        wait_until(lambda pid=pid: site.machine.main_pid() not in {0, pid}, site.told)  # type: ignore[misc]
        wait_until(site.is_ready, site.told)
        site.wait_for_ends(1)


def test_it_comes_back_when_it_stands_still(site: Site) -> None:
    drop_in(site, "WatchdogSec=10s")
    site.machine.run("systemctl", "restart", UNIT)
    wait_until(site.is_ready, site.told)
    pid = site.machine.kill("STOP")
    wait_until(lambda: site.machine.main_pid() not in {0, pid} and site.machine.is_active(), site.told)
    assert "Watchdog timeout" in site.machine.journal()
    take_out(site)


def test_a_configuration_that_cannot_be_used_ends_with_78_and_is_not_tried_again(site: Site) -> None:
    good = site.machine.run("cat", CONFIGURATION)
    site.configure(nonsense="1s")
    assert site.machine.call("systemctl", "restart", UNIT).returncode != 0
    # RestartSec is 5 s: by then it would have been tried again.
    told = ("SubState", "ExecMainStatus", "ExecMainExitTimestampMonotonic")
    ended = [site.machine.unit(name) for name in told]
    time.sleep(7)
    later = [site.machine.unit(name) for name in told]
    (site.machine.root / CONFIGURATION.removeprefix("/")).write_text(good)
    site.machine.run("systemctl", "restart", UNIT)
    wait_until(site.is_ready, site.told)
    assert ended[:2] == ["failed", "78"]
    assert later == ended
    assert "nonsense" in site.machine.journal("--priority=err")


def test_a_full_disk_is_told_and_outlived(site: Site) -> None:
    with site.full_disk():
        wait_until(lambda: "jobs" in site.why_not_ready(), site.told)
        assert site.machine.is_active()
    wait_until(site.is_ready, site.told)
    site.wait_for_ends(1)


def test_an_upgrade_starts_it_again_with_events_on_their_way(site: Site) -> None:
    pid = site.machine.main_pid()
    site.machine.shell("echo '# ours' >>/etc/logrotate.d/slurmwatchd")
    site.follow("A Debian package", site.mark)
    assert site.machine.is_active()
    assert site.machine.main_pid() != pid
    assert "0.0.1" not in site.machine.run("dpkg-query", "-W", "slurmwatchd")
    assert site.machine.run("tail", "-n", "1", "/etc/logrotate.d/slurmwatchd") == "# ours\n"
    wait_until(site.is_ready, site.told)
    site.wait_for_ends(1)


def test_the_machine_comes_up_while_slurmdbd_is_down(site: Site) -> None:
    site.cluster.change("slurmdbd_down", "1")
    site.machine.power_off()
    site.machine.boot()
    wait_until(site.machine.is_active, site.told)
    assert not site.is_ready()
    wait_until(lambda: "query failed" in site.machine.journal("--priority=warning"), site.told)
    site.cluster.change("slurmdbd_down", "0")
    wait_until(site.is_ready, site.told)


def test_nothing_is_missing_twice_or_wrong(site: Site) -> None:
    assert site.settle() == []
    assert site.ended() > 100
    verified = site.machine.call(
        "runuser", "-u", "slurmwatchd", "--", "slurmwatchd", "verify", "--since", "1h", "--sink", "jobs"
    )
    assert verified.returncode == 0, verified.stdout


def test_removing_keeps_the_store_and_the_events_and_purging_takes_them(site: Site) -> None:
    machine = site.machine
    machine.run("apt-get", "remove", "-y", "-q", "slurmwatchd")
    assert {"slurm", "slurmwatchd.db"} <= set(machine.run("ls", "/var/lib/slurmwatchd").split())
    assert (machine.log / "jobs.jsonl.1").exists()
    assert machine.call("test", "-e", "/usr/bin/slurmwatchd").returncode == 1
    assert machine.call("pgrep", "-u", "slurmwatchd").returncode == 1
    machine.run("apt-get", "purge", "-y", "-q", "slurmwatchd")
    # The Slurm of this test is a file system of its own: it is not the daemon's, and stays.
    assert machine.run(
        "find", "/var/lib/slurmwatchd", "/var/log/slurmwatchd", "-xdev", "-mindepth", "1"
    ).split() == ["/var/lib/slurmwatchd/slurm"]
    for path in ("/etc/slurmwatchd", "/etc/logrotate.d/slurmwatchd", "/usr/lib/slurmwatchd"):
        assert machine.call("test", "-e", path).returncode == 1, path
    assert machine.run("systemctl", "--failed", "--plain", "--no-legend") == ""
