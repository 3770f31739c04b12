"""`check`: each thing it looks at, well and unwell, on a simulated Slurm."""

import http.server
import io
import json
import os
import pwd
import re
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr
from pathlib import Path

import anyio
import pytest

from simslurm import SimCluster, install_commands
from simslurm.troubles import CONTROL_MACHINE
from slurmwatchd.cli.waiting import AnnouncingRunner
from slurmwatchd.config.file_systems import file_system
from slurmwatchd.config.settings import Config, StoreSection
from slurmwatchd.operations.doctor.findings import Finding, Severity
from slurmwatchd.operations.doctor.machine import examine
from slurmwatchd.sinks.jsonl import JsonlOptions
from slurmwatchd.sources.process import SystemProcessRunner, TimedOutError
from tests.acceptance.process import DaemonProcess, free_port
from tests.integration.asked import run
from tests.patience import HANGS_SECONDS
from tests.tokens import token

SLURMDBD_TAKES_IT = "slurmdbd runs, has AuthAltTypes=auth/jwt in slurmdbd.conf, and accepts the token in"
OWN_NAME = pwd.getpwuid(os.geteuid()).pw_name


class Site:
    """A simulated Slurm, a configuration, and what `check` says of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = SimCluster.create(folder / "slurm.db", version="24.11.5")
        self.bin = folder / "bin"
        install_commands(self.bin, self.cluster.path)
        self.port = free_port()
        self.more = ""
        self.no_bin_dir = False

    def ask(self, *arguments: object) -> tuple[int, dict[str, tuple[str, str, str]]]:
        """Return the exit code, and of each check its mark, text and what to do."""
        file = self.folder / "slurmwatchd.toml"
        file.write_text(
            f'[slurm]\nbin_dir = "{"" if self.no_bin_dir else self.bin}"\n{self.more}\n'
            f'[store]\npath = "{self.folder}/state/store.db"\n'
            f'[sinks.jobs]\ntype = "jsonl"\npath = "{self.folder}/log/jobs.jsonl"\n'
            f'[web]\nlisten = "127.0.0.1:{self.port}"\n'
        )
        # A service that is installed on the machine of the tests is none of theirs.
        ran = run("check", "--config", file, "--json", *(arguments or ("--unit", "")))
        told = json.loads(ran.out)
        assert told["ok"] is (ran.code == 0)
        return ran.code, {row["check"]: (row["mark"], row["text"], row["todo"]) for row in told["findings"]}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.cluster.close()


@contextmanager
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be nobody special, as far as the program can tell."""
    with monkeypatch.context() as patch:
        patch.setattr("slurmwatchd.sources.sacctmgr.os.geteuid", lambda: 65534)
        yield


@contextmanager
def somebody_else() -> Iterator[None]:
    """Be nobody to the kernel too, where tests run as root, whom no folder stops."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_all_is_well(site: Site) -> None:
    code, found = site.ask()
    assert (code, {mark for mark, _, _ in found.values()}) == (0, {"ok"}), found
    assert list(found) == [
        "configuration", "sacct", "scontrol", "sdiag", "sacctmgr", "slurmdbd", "clusters", "privileges", "purge",
        "query range", "clock", "store", "sink jobs", "port",
    ]  # fmt: skip
    assert found["sacct"][1] == f"slurm 24.11.5, {site.bin}/sacct"
    assert found["clusters"][1] == "slurmdbd knows sim"
    assert not (site.folder / "state").exists()


def test_a_line_a_finding_with_what_to_do(site: Site) -> None:
    site.cluster.set_slurmdbd_down()
    site.ask()
    ran = run("check", "--config", site.folder / "slurmwatchd.toml", "--unit", "")
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert lines[0] == "ok       configuration: valid; sinks: jobs, prometheus"
    failed = [line for line in lines if line.startswith("failed   slurmdbd: ")]
    assert len(failed) == 1
    assert failed[0].endswith(" -> check that slurmdbd and munge run, and run sacct by hand")


@pytest.mark.parametrize(
    ("stderr", "remedy"),
    [
        (
            "Slurm accounting storage is disabled",
            "AccountingStorageType=accounting_storage/slurmdbd in slurm.conf",
        ),
        ("sacct: error: Unspecified error", "check that slurmdbd and munge run, and run sacct by hand"),
    ],
)
def test_a_cluster_without_accounting_is_not_blamed_on_munge(site: Site, stderr: str, remedy: str) -> None:
    site.cluster.add_fault("sacct", "exit", count=None, match="-X", code=1, stderr=f"{stderr}\n", bytes=0)
    code, found = site.ask()
    assert code == 1
    mark, text, todo = found["slurmdbd"]
    assert (mark, stderr in text) == ("failed", True)
    assert remedy in todo
    assert ("munge" in todo) is ("munge" in remedy)


def test_missing_commands(site: Site) -> None:
    for name in ("scontrol", "sdiag"):
        (site.bin / name).unlink()
    code, found = site.ask()
    assert code == 0
    assert found["scontrol"][:2] == (
        "warning",
        f"scontrol is not in slurm.bin_dir ({site.bin}): ClusterShell expands node lists instead",
    )
    assert found["sdiag"][0] == found["clock"][0] == "warning"
    (site.bin / "sacct").unlink()
    code, found = site.ask()
    assert (code, found["sacct"]) == (
        1,
        (
            "failed",
            f"sacct is not in slurm.bin_dir ({site.bin})",
            "install Slurm's commands, or set slurm.bin_dir",
        ),
    )


def test_an_old_release_and_mixed_ones(site: Site) -> None:
    fake = site.bin / "sdiag"
    fake.unlink()
    fake.write_text("#!/bin/sh\necho slurm 19.05.8\n")
    fake.chmod(0o755)
    code, found = site.ask()
    assert code == 0
    assert found["sdiag"][:2] == ("warning", f"slurm 19.05.8, {fake}: older than 20.11")
    assert found["versions"][0] == "warning"


def test_a_cluster_that_slurmdbd_does_not_know(site: Site) -> None:
    site.more = 'clusters = ["sim", "simm"]'
    code, found = site.ask()
    assert (code, found["clusters"]) == (
        1,
        ("failed", "slurmdbd does not know simm; it knows sim", "correct slurm.clusters"),
    )


def test_private_data_hides_jobs_from_who_is_no_operator(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.cluster.set_private_data("jobs", "usage")
    code, found = site.ask()
    assert (code, found["privileges"][0]) == (0, "ok")
    nobody = pwd.getpwuid(65534).pw_name
    with ordinary_user(monkeypatch):
        code, found = site.ask()
        assert (code, found["privileges"]) == (
            1,
            (
                "failed",
                f"PrivateData has jobs: sacct shows {nobody} no jobs, and reports no error",
                f"sacctmgr add user {nobody} account=root adminlevel=Operator",
            ),
        )
        site.cluster.add_user(nobody, 65534, admin_level="Operator")
        code, found = site.ask()
        assert (code, found["privileges"][:2]) == (0, ("ok", f"PrivateData has jobs, and {nobody} sees them all"))


def test_a_complaint_about_slurm_conf_is_a_warning_and_blames_nobody(site: Site) -> None:
    site.cluster.set_complaints("loading slurm for you", CONTROL_MACHINE)
    code, found = site.ask()
    assert (code, found["slurmdbd"][0]) == (0, "ok")
    assert found["complaints"] == (
        "warning",
        "error: Ignoring ControlMachine since SlurmctldHost is set. (sacct, scontrol, sdiag, sacctmgr)",
        "fix slurm.conf; the daemon accepts the answers anyway",
    )
    assert {check for check, (mark, _, _) in found.items() if mark != "ok"} == {"complaints"}


def test_a_scontrol_that_expands_no_list(site: Site) -> None:
    site.cluster.add_fault("scontrol", "cut", count=None, match="hostnames", bytes=3)
    code, found = site.ask()
    why = "1 lists came back as 0 parts and a rest (exit status 0)"
    assert (code, found["node lists"]) == (
        0,
        (
            "warning",
            f"{why}: ClusterShell expands node lists instead",
            "run: scontrol show hostnames 'n[1-2]'",
        ),
    )


def test_with_a_token_the_rights_that_count_are_those_of_the_user_it_names(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.cluster.set_private_data("jobs")
    site.cluster.add_user("watch", 4711, admin_level="None")
    monkeypatch.setenv("SLURM_JWT", token({"sun": "watch", "exp": time.time() + 2 * 86_400}))
    code, found = site.ask()
    assert (code, found["privileges"]) == (
        1,
        (
            "failed",
            "PrivateData has jobs: sacct shows watch no jobs, and reports no error",
            "sacctmgr add user watch account=root adminlevel=Operator",
        ),
    )
    assert found["token"][0] == "ok"
    assert found["token"][1].startswith("the rights are those of watch, see SLURM_JWT; the token expires in ")
    # The other way round: whoever runs the process, root's token sees everything.
    monkeypatch.setenv("SLURM_JWT", token({"sun": "root"}))
    with ordinary_user(monkeypatch):
        code, found = site.ask()
    assert (code, found["privileges"][:2]) == (0, ("ok", "PrivateData has jobs, and root sees them all"))
    assert found["token"][1] == "the rights are those of root, see SLURM_JWT; the token does not expire"


def test_a_token_that_expired_soon_will_or_names_nobody(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.cluster.set_private_data("jobs")
    monkeypatch.setenv("SLURM_JWT", token({"sun": "root", "exp": time.time() - 90}))
    code, found = site.ask()
    assert (code, found["token"][0]) == (1, "failed")
    assert re.fullmatch("the token of root expired 1m3[0-9]s ago", found["token"][1])
    assert found["token"][2] == "get another: scontrol token username=root lifespan=SECONDS"
    monkeypatch.setenv("SLURM_JWT", token({"sun": "root", "exp": time.time() + 3600}))
    code, found = site.ask()
    assert (code, found["token"][0]) == (0, "warning")
    monkeypatch.setenv("SLURM_JWT", token({"usr": "root"}))
    code, found = site.ask()
    assert found["token"][:2] == (
        "warning",
        "SLURM_JWT has no token that names a user (sun): it is unknown whose rights apply",
    )
    assert found["privileges"][:2] == (
        "warning",
        "PrivateData has jobs; it is unknown whether the token's user sees them",
    )
    monkeypatch.setenv("SLURM_JWT", "")
    assert "token" not in site.ask()[1]


def test_a_token_file_is_examined_and_what_is_wrong_with_it_is_about_tokens_not_munge(site: Site) -> None:
    file = site.folder / "token"
    site.more = f'jwt_file = "{file}"'
    code, found = site.ask()
    assert (code, found["token"][:2]) == (1, ("failed", f"slurm.jwt_file: {file}: No such file or directory"))
    file.touch(0o644)
    assert site.ask()[1]["token file"] == (
        "warning",
        f"{file}: everybody on this machine can read it",
        f"chmod o-r {file}",
    )
    file.chmod(0o640)
    assert "token file" not in site.ask()[1]
    file.write_text(token({"sun": "root", "exp": time.time() - 90}))
    code, found = site.ask()
    assert (code, found["slurmdbd"][2]) == (
        1,
        f"check that {SLURMDBD_TAKES_IT} slurm.jwt_file ({file}), and run sacct by hand",
    )
    assert re.fullmatch("the token of root expired 1m3[0-9]s ago", found["token"][1])
    file.write_text(token({"sun": "root", "exp": time.time() + 5 * 86_400}))
    code, found = site.ask()
    assert code == 0
    assert found["token"][1].startswith(
        f"the rights are those of root, see slurm.jwt_file ({file}); the token expires in "
    )


def test_a_slurmdbd_that_does_not_tell_private_data_is_believed_of_an_operator_only(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.cluster.set_version("26.05.5")
    code, found = site.ask()
    private = "slurmdbd does not show whether PrivateData has jobs"
    assert (code, found["privileges"][:2]) == (0, ("ok", f"{private}, and {OWN_NAME} sees them all"))
    nobody = pwd.getpwuid(65534).pw_name
    with ordinary_user(monkeypatch):
        code, found = site.ask()
    assert (code, found["privileges"]) == (
        0,
        (
            "warning",
            f"{private}; it is unknown whether {nobody} sees them",
            f"sacctmgr add user {nobody} account=root adminlevel=Operator",
        ),
    )


def test_limits_against_the_configuration(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.cluster.set_purge_job_after("36 hours")
    code, found = site.ask()
    assert (code, found["purge"][:2]) == (0, ("warning", "poll.reread reaches beyond PurgeJobAfter (1d12h)"))
    with ordinary_user(monkeypatch):
        for seconds, mark in ((200, "failed"), (3600, "warning"), (86_400, "ok")):
            site.cluster.set_max_query_time_range(seconds)
            code, found = site.ask()
            assert (code, found["query range"][0]) == (int(mark == "failed"), mark)
    assert site.ask()[1]["query range"][1] == "no limit for this user"


@pytest.mark.parametrize(
    ("seconds", "mark", "text"),
    [
        (30, "warning", "slurmctld's clock is 30s ahead of this machine's"),
        (-600, "failed", "slurmctld's clock is 10m00s behind this machine's, more than poll.overlap"),
    ],
)
def test_clocks_that_differ(site: Site, seconds: int, mark: str, text: str) -> None:
    fake = site.bin / "sdiag"
    fake.unlink()
    fake.write_text(
        '#!/bin/sh\n[ "$1" = -V ] && echo slurm 24.11.5 && exit\n'
        f'echo "sdiag output at X ($(($(date +%s) + {seconds})))"\n'
    )
    fake.chmod(0o755)
    _, found = site.ask()
    assert found["clock"][0] == mark
    spoken = found["clock"][1]
    assert spoken.startswith("slurmctld's clock is ")
    assert (" ahead of " in spoken) is (seconds > 0)
    assert ("more than poll.overlap" in spoken) is ("more than poll.overlap" in text)


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


def test_the_configuration_alone(site: Site) -> None:
    site.cluster.set_slurmdbd_down()
    code, found = site.ask("--config-only")
    assert (code, list(found)) == (0, ["configuration"])
    assert site.cluster.calls() == []
    site.more = "nonsense = 1"
    with pytest.raises(json.JSONDecodeError):
        site.ask("--config-only")
    assert run("check", "--config-only", "--config", site.folder / "slurmwatchd.toml").code == 78


def test_who_lets_a_command_wait_is_named(tmp_path: Path) -> None:
    for name in ("sacct", "sdiag"):
        fake = tmp_path / name
        fake.write_text("#!/bin/sh\nsleep 1\n")
        fake.chmod(0o755)
    slow = AnnouncingRunner(SystemProcessRunner(), first_seconds=0.05, again_seconds=HANGS_SECONDS)
    err = io.StringIO()

    async def ask() -> None:
        for argv in (["sacct", "-X", "--delimiter=\x1f"], ["sdiag"], ["sacct", "-V"]):
            await slow.run([f"{tmp_path}/{argv[0]}", *argv[1:]], env=dict(os.environ), timeout_seconds=60)

    with redirect_stderr(err):
        anyio.run(ask)
    # A busy machine is late to say it.
    assert re.sub(r"\d+s so far", "0s so far", err.getvalue()).splitlines() == [
        "waiting for slurmdbd to answer sacct, 0s so far, at most 1m00s",
        "waiting for slurmctld to answer sdiag, 0s so far, at most 1m00s",
        "waiting for `sacct -V`, 0s so far, at most 1m00s",
    ]


def test_a_command_that_takes_long_is_named(site: Site) -> None:
    slow = AnnouncingRunner(SystemProcessRunner(), first_seconds=0.05, again_seconds=0.05)
    environ = {"PATH": os.environ["PATH"]}
    err = io.StringIO()

    async def ask() -> None:
        await slow.run(["sh", "-c", "sleep 2"], env=environ, timeout_seconds=90)
        with pytest.raises(TimedOutError):
            await slow.run(["sleep", "30"], env=environ, timeout_seconds=2)

    with redirect_stderr(err):
        anyio.run(ask)
    lines = re.sub(r"\d+s so far", "0s so far", err.getvalue()).splitlines()
    assert lines[0] == "waiting for `sh -c sleep 2`, 0s so far, at most 1m30s"
    assert lines.count(lines[0]) > 1
    assert "waiting for `sleep 30`, 0s so far, at most 2s" in lines
