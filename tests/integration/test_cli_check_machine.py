"""`check` looks at the machine: paths, disks, ports, and the unit's own environment."""

import http.server
import os
import pwd
import sqlite3
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pytest

from slurmwatchd.config.file_systems import file_system
from slurmwatchd.config.settings import Config, StoreSection
from slurmwatchd.operations.doctor.findings import Finding, Severity
from slurmwatchd.operations.doctor.machine import examine
from slurmwatchd.sinks.jsonl import JsonlOptions
from tests.acceptance.process import DaemonProcess, free_port
from tests.integration.check_site import OWN_NAME, Site, somebody_else


def test_a_store_that_is_none_and_paths_that_cannot_be_written(site: Site) -> None:
    state = site.folder / "state"
    state.mkdir()
    with closing(sqlite3.connect(state / "store.db")) as other:
        other.execute("CREATE TABLE t (x)")
    (site.folder / "log").write_text("a file where a folder should be")
    code, found = site.ask()
    assert code == 1
    assert found["store"][:2] == (
        "failed",
        f"{state}/store.db: is an SQLite database, but not a store of slurmwatchd",
    )
    assert found["sink jobs"][:2] == ("failed", f"{site.folder}/log is not a folder")


def test_a_folder_that_is_not_ours_to_write(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "slurmwatchd.operations.doctor.machine.os.access", lambda path, mode: "log" not in str(path)
    )
    (site.folder / "log").mkdir()
    code, found = site.ask()
    assert code == 1
    assert found["sink jobs"] == (
        "failed",
        f"{site.folder}/log/jobs.jsonl cannot be written: {site.folder}/log forbids it",
        f"let the user {OWN_NAME} write there, or run this check as the service's user",
    )
    assert found["store"][0] == "ok"


def test_a_missing_folder_is_to_be_made_and_the_one_above_left_to_root(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slurmwatchd.operations.doctor.machine.os.access", lambda path, mode: path != site.folder)
    _, found = site.ask()
    assert found["sink jobs"] == (
        "failed",
        f"{site.folder}/log/jobs.jsonl cannot be written: {site.folder} forbids it",
        f"as root: install -d -o {OWN_NAME} -m 0750 {site.folder}/log; or run this check as the service's user",
    )


def test_a_folder_that_may_not_be_entered_is_a_finding() -> None:
    with tempfile.TemporaryDirectory() as outside:
        Path(outside).chmod(0o755)
        closed = Path(outside) / "closed"
        closed.mkdir(mode=0)
        options = JsonlOptions(type="jsonl", path=closed / "log" / "jobs.jsonl")
        config = Config(store=StoreSection(path=closed / "store.db"), sinks={"jobs": options})
        with somebody_else():
            found = {finding.check: finding for finding in examine(config, lambda: None)}
        closed.chmod(0o700)
    name = OWN_NAME if os.geteuid() else pwd.getpwuid(65534).pw_name
    todo = f"let the user {name} in, or run this check as the service's user"
    for check, file in (("store", "store.db"), ("sink jobs", "log/jobs.jsonl")):
        text = f"{closed}/{file} cannot be checked: no permission to enter {closed}"
        assert found[check] == Finding(Severity.FAILED, check, text, todo)


def test_a_folder_is_no_file_for_a_sink(site: Site) -> None:
    (site.folder / "log" / "jobs.jsonl").mkdir(parents=True)
    code, found = site.ask()
    text = f"{site.folder}/log/jobs.jsonl is a folder"
    assert (code, found["sink jobs"]) == (1, ("failed", text, "set a file in it"))


def test_network_disks_and_full_ones(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("slurmwatchd.operations.doctor.machine.kind_of", lambda folder: "nfs4")
        code, found = site.ask()
        assert (code, found["store"][0], found["sink jobs"][0]) == (1, "failed", "warning")
        assert found["store"][2] == "put it on a local disk"
    room = os.statvfs(site.folder)
    for free, mark in ((10, "failed"), (500 << 20, "warning")):
        left = os.statvfs_result((1, 1, *room[2:4], free, *room[5:]))
        with monkeypatch.context() as patch:
            patch.setattr("slurmwatchd.operations.doctor.machine.os.statvfs", lambda folder, left=left: left)
            assert site.ask()[1]["store"][0] == mark


MOUNTS = r"""22 1 254:0 / / rw - ext4 /dev/vda rw
30 22 0:40 / /data rw shared:1 - nfs4 server:/data rw
31 30 0:41 / /data/with\040space rw - xfs /dev/vdb rw
32 22 0:42 / /data rw - lustre mds:/x rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/var/lib", "ext4"), ("/data/x", "lustre"), ("/data/with space/x", "xfs"), ("/database", "ext4")],
)
def test_the_file_system_of_a_path_is_that_of_the_mount_it_is_below(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_a_port_that_another_program_has(site: Site) -> None:
    with http.server.HTTPServer(("127.0.0.1", site.port), http.server.BaseHTTPRequestHandler) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        try:
            code, found = site.ask()
        finally:
            other.shutdown()
            thread.join()
    assert (code, found["port"]) == (
        1,
        ("failed", f"127.0.0.1:{site.port}: Address already in use", "set another address in web.listen"),
    )


@pytest.mark.heavy
def test_a_port_that_our_own_daemon_has(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.start_ready()
        assert daemon.process is not None
        done = daemon.run("check")
        assert done.returncode == 0, done.stdout
        assert (
            f"port: 127.0.0.1:{daemon.port} is in use by slurmwatchd itself, pid {daemon.process.pid}"
            in done.stdout
        )


@pytest.mark.heavy
def test_a_port_that_a_daemon_with_another_store_has(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with DaemonProcess(other) as daemon:
        daemon.start_ready()
        site.port = daemon.port
        code, found = site.ask()
    assert (code, found["port"]) == (
        1,
        ("failed", f"127.0.0.1:{site.port}: Address already in use", "set another address in web.listen"),
    )


def unit_file(site: Site, *directives: str) -> Path:
    """Write a unit that starts this program with the site's configuration."""
    file = site.folder / "slurmwatchd.service"
    start = f"ExecStart={sys.executable} run --config {site.folder}/slurmwatchd.toml"
    file.write_text("\n".join(["[Service]", f"User={OWN_NAME}", start, *directives, ""]))
    return file


def test_the_service_is_checked_in_its_own_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{site.bin}:{os.environ['PATH']}")
    site.no_bin_dir = True
    code, found = site.ask("--unit", unit_file(site, "Environment=PATH=/nothing/here"))
    assert code == 1
    assert found["service"][0] == "failed"
    assert "on this shell's PATH but not on the service's" in found["service"][1]
    assert found["sacct"][0] == found["slurmdbd"][0] == "failed"
    code, found = site.ask("--unit", unit_file(site, f"Environment=PATH={site.bin}:{os.environ['PATH']}"))
    assert (code, found["service"][0], found["slurmdbd"][0]) == (0, "ok", "ok"), found


def test_the_services_own_variables_and_flags_count_and_not_the_shells(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURMWATCHD_WEB__LISTEN", "")
    port = free_port()
    unit = unit_file(site, f"Environment=SLURMWATCHD_WEB__LISTEN=127.0.0.1:{port}")
    _, found = site.ask("--unit", unit)
    assert found["port"] == ("ok", f"127.0.0.1:{port} is free", "")
    assert found["service"][:2] == (
        "warning",
        "this shell's SLURMWATCHD_WEB__LISTEN is not the service's: the check ignores it",
    )
    text = unit.read_text().replace("slurmwatchd.toml", "slurmwatchd.toml --listen=")
    unit.write_text(text)
    assert site.ask("--unit", unit)[1]["port"][1] == "no web server is configured"


def test_a_unit_that_reads_another_configuration_is_not_compared(site: Site) -> None:
    unit = unit_file(site)
    unit.write_text(unit.read_text().replace("slurmwatchd.toml", "another.toml"))
    code, found = site.ask("--unit", unit)
    theirs, ours = f"{site.folder}/another.toml", f"{site.folder}/slurmwatchd.toml"
    text = f"slurmwatchd.service reads {theirs}, and this check {ours}: not compared"
    todo = f"to check the service: slurmwatchd check --config {theirs}"
    assert (code, found["service"]) == (0, ("warning", text, todo))


def test_a_unit_whose_command_line_is_wrong_and_one_that_is_not_there(site: Site) -> None:
    unit = unit_file(site)
    unit.write_text(unit.read_text().replace("slurmwatchd.toml", "slurmwatchd.toml --nonsense"))
    code, found = site.ask("--unit", unit)
    assert code == 1
    assert "ExecStart's command line is wrong: No such option" in found["service"][1]
    assert site.ask("--unit", "no-such.service")[0] == 1
    assert site.ask("--unit", site.folder / "none.service")[0] == 1
