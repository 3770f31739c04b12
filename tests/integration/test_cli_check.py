"""`check` looks at Slurm: each thing well and unwell, on a simulated one."""

import io
import json
import os
import pwd
import re
import time
from contextlib import redirect_stderr
from pathlib import Path

import anyio
import pytest

from simslurm.troubles import CONTROL_MACHINE
from slurmwatchd.cli.waiting import AnnouncingRunner
from slurmwatchd.sources.process import SystemProcessRunner, TimedOutError
from tests.integration.asked import run
from tests.integration.check_site import OWN_NAME, Site, ordinary_user
from tests.patience import HANGS_SECONDS
from tests.tokens import token

SLURMDBD_TAKES_IT = "slurmdbd runs, has AuthAltTypes=auth/jwt in slurmdbd.conf, and accepts the token in"


def test_all_is_well(site: Site) -> None:
    code, found = site.ask()
    assert (code, {mark for mark, _, _ in found.values()}) == (0, {"ok"}), found
    assert list(found) == [
        "configuration", "sacct", "scontrol", "sdiag", "sacctmgr", "slurmdbd", "clusters", "privileges", "purge",
        "query range", "clock", "store", "sink jobs", "port", "tokens",
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
        f"{file}: every user of this machine can read it",
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


def test_the_configuration_alone(site: Site) -> None:
    site.cluster.set_slurmdbd_down()
    code, found = site.ask("--config-only")
    assert (code, list(found)) == (0, ["configuration"])
    assert site.cluster.calls() == []
    site.more = "nonsense = 1"
    with pytest.raises(json.JSONDecodeError):
        site.ask("--config-only")
    assert run("check", "--config-only", "--config", site.folder / "slurmwatchd.toml").code == 78


@pytest.mark.heavy
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


@pytest.mark.heavy
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
