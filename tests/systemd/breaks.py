"""What the cases guard against, to be put into the product once, to see that they notice.

    SYSTEMD_WITHOUT=watchdog,purge make test-systemd-trixie

breaks the package, the page or the image before they are tried; README.md has what each case then said. A text
that has changed since is an error, so this table cannot go stale unnoticed.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

VARIABLE = "SYSTEMD_WITHOUT"
_REPOSITORY = Path(__file__).parents[2]
_UNIT = "packaging/systemd/slurmwatchd.service"
_NOTIFIER = "slurmwatchd/daemon/sd_notify.py"
_IN_PACKAGE = {
    _UNIT: "usr/lib/systemd/system/slurmwatchd.service",
    "packaging/deb/postinst": "DEBIAN/postinst",
    "packaging/deb/postrm": "DEBIAN/postrm",
}
_MODULES = ("usr/lib/python3/dist-packages", "usr/lib/slurmwatchd/lib/python3.11/site-packages")


class Edit(NamedTuple):
    """What is replaced in one file of the repository."""

    file: str
    old: str
    new: str


class Break(NamedTuple):
    """What is broken, and which case fails then."""

    case: str
    what: str
    edits: tuple[Edit, ...]


BREAKS = {
    "disabled": Break(
        "test_an_installed_package_enables_and_starts_nothing",
        "postinst enables the unit",
        (
            Edit(
                "packaging/deb/postinst",
                "    systemd-sysusers slurmwatchd.conf\n",
                "    systemd-sysusers slurmwatchd.conf\n    systemctl enable slurmwatchd.service\n",
            ),
        ),
    ),
    "ready": Break(
        "test_it_becomes_ready_once_enabled",
        "the daemon never sends READY=1 (and systemd waits 15 s for it)",
        (
            Edit(_NOTIFIER, 'self._send("READY=1", status=status)', "self._send(status=status)"),
            Edit(_UNIT, "TimeoutStartSec=6min\n", "TimeoutStartSec=15s\n"),
        ),
    ),
    "modules": Break(
        "test_every_command_starts_with_the_modules_of_this_suite",
        "`nodes` imports a module that the package does not require",
        (Edit("slurmwatchd/cli/commands/nodes.py", "import time\n", "import time\nimport pandas\n"),),
    ),
    "hardening": Break(
        "test_the_unit_that_runs_is_hardened",
        "the unit without SystemCallFilter= and CapabilityBoundingSet=",
        (
            Edit(_UNIT, "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n", ""),
            Edit(_UNIT, "CapabilityBoundingSet=\n", ""),
        ),
    ),
    "status": Break(
        "test_the_status_line_says_how_far_it_has_read",
        "the daemon sends no STATUS=",
        (
            Edit(
                _NOTIFIER,
                "        if status:\n            lines.append(",
                "        if False:\n            lines.append(",
            ),
        ),
    ),
    "priorities": Break(
        "test_the_journal_has_priorities_and_names_the_program",
        "log lines without their priority",
        (
            Edit(
                "slurmwatchd/telemetry/log.py",
                'return f"<{_journal_priority(record.levelno)}>{line}" if self._in_journal else line',
                "return line",
            ),
        ),
    ),
    "reload": Break(
        "test_a_reload_takes_the_new_configuration_and_refuses_a_wrong_one",
        "the unit without the second ExecReload=",
        (
            Edit(
                _UNIT,
                "ExecReload=/usr/bin/slurmwatchd check --config-only --config /etc/slurmwatchd/slurmwatchd.toml\n",
                "",
            ),
        ),
    ),
    "rotation": Break(
        "test_ten_rotations_while_jobs_end",
        "the sink does not look whether its file was renamed",
        (
            Edit(
                "slurmwatchd/sinks/jsonl.py",
                "if self._descriptor >= 0 and file_identity(self._path) != file_identity(self._descriptor):\n",
                "if False:\n",
            ),
            Edit(
                "slurmwatchd/sinks/jsonl.py",
                "        if self._mark is not None and not self._mark.is_at(self._path):\n            due, mark",
                "        if False:\n            due, mark",
            ),
        ),
    ),
    "watchdog": Break(
        "test_the_watchdog_is_fed_for_two_periods",
        "the daemon sends no WATCHDOG=1",
        (Edit(_NOTIFIER, 'return self._send(extra="WATCHDOG=1")', "return True"),),
    ),
    "drain": Break(
        "test_a_stop_hands_on_what_is_in_the_store",
        "the daemon ends on SIGTERM without the drain",
        (
            Edit(
                "slurmwatchd/daemon/daemon.py",
                "            await self._drain(deadline)\n",
                "            for delivery in self.deliveries:\n                await delivery.close()\n",
            ),
        ),
    ),
    "killed": Break(
        "test_it_comes_back_when_it_is_killed",
        "Restart=on-watchdog",
        (Edit(_UNIT, "Restart=on-failure\n", "Restart=on-watchdog\n"),),
    ),
    "frozen": Break(
        "test_it_comes_back_when_it_stands_still",
        "Restart=on-abort",
        (Edit(_UNIT, "Restart=on-failure\n", "Restart=on-abort\n"),),
    ),
    "78": Break(
        "test_a_configuration_that_cannot_be_used_ends_with_78_and_is_not_tried_again",
        "the unit without RestartPreventExitStatus=",
        (Edit(_UNIT, "RestartPreventExitStatus=2 78\n", ""),),
    ),
    "disk": Break(
        "test_a_full_disk_is_told_and_outlived",
        "the sink takes a full disk for any other error",
        (Edit("slurmwatchd/sinks/jsonl.py", "            if is_full_error(error):\n", "            if False:\n"),),
    ),
    "upgrade": Break(
        "test_an_upgrade_starts_it_again_with_events_on_their_way",
        "postinst does not restart the service",
        (Edit("packaging/deb/postinst", "deb-systemd-invoke restart slurmwatchd.service ||", "true ||"),),
    ),
    "boot": Break(
        "test_the_machine_comes_up_while_slurmdbd_is_down",
        "the daemon is ready only once slurmdbd has answered",
        (
            Edit(
                "slurmwatchd/daemon/daemon.py",
                "(health.started() or now - began >= READY_SECONDS)",
                "not health.not_ready()",
            ),
        ),
    ),
    "delivery": Break(
        "test_nothing_is_missing_twice_or_wrong",
        "each fiftieth event is passed over",
        (
            Edit(
                "slurmwatchd/daemon/delivery.py",
                "wanted = await self._selection.among(events)\n",
                "wanted = [event for event in await self._selection.among(events) if event.seq % 50]\n",
            ),
        ),
    ),
    "purge": Break(
        "test_removing_keeps_the_store_and_the_events_and_purging_takes_them",
        "postrm leaves the folders of the daemon as they are",
        (Edit("packaging/deb/postrm", 'find "$folder" -xdev -mindepth 1 -delete 2>/dev/null || true', "true"),),
    ),
    "sandbox": Break(
        "test_one_install_one_line_of_configuration_one_start_and_a_job_is_in_the_file",
        "an over-hard sandbox: InaccessiblePaths=/run/munge",
        (Edit(_UNIT, "PrivateMounts=yes\n", "PrivateMounts=yes\nInaccessiblePaths=/run/munge\n"),),
    ),
    "token": Break(
        "test_with_a_token_and_no_munge",
        "the token is not handed on to Slurm's commands",
        (Edit("slurmwatchd/sources/commands.py", "{**self.env, tokens.VARIABLE: text}", "self.env"),),
    ),
    "munge": Break(
        "test_with_munge",
        "the page puts munge's key where munged does not look",
        (Edit("docs/install.md", "munge.key /etc/munge/munge.key", "munge.key /etc/munge/key"),),
    ),
    "configless": Break(
        "test_configless_without_sackd",
        "conf_server is not handed on to Slurm's commands",
        (Edit("slurmwatchd/sources/process.py", 'env["SLURM_CONF_SERVER"] = conf_server', "pass"),),
    ),
    "sackd": Break(
        "test_with_sackd_configless",
        "an over-hard sandbox: InaccessiblePaths=-/run/slurm",
        (Edit(_UNIT, "PrivateMounts=yes\n", "PrivateMounts=yes\nInaccessiblePaths=-/run/slurm\n"),),
    ),
    "page": Break(
        "test_a_clone_installed_step_by_step_delivers",
        "the page does not link the program into the PATH",
        (Edit("docs/install.md", "    ln -s /opt/slurmwatchd/bin/slurmwatchd /usr/bin/slurmwatchd\n", ""),),
    ),
    "image": Break(
        "test_the_image_is_made_of",
        "the Containerfile installs no slurm-client",
        (Edit("packaging/container/Containerfile", "slurm-client systemd-standalone", "systemd-standalone"),),
    ),
}
"""By the name that `SYSTEMD_WITHOUT` takes."""


def read(file: str) -> str:
    """Return a file of the repository, as it is or as it is to be broken.

    Raises:
        ValueError: The file has changed there, so nothing would be broken.
    """
    return _broken((_REPOSITORY / file).read_text(encoding="utf-8"), file, _wanted())


def package(built: Path, scratch: Path) -> Path:
    """Return a Debian package as it was built, or a copy of the same name that is broken.

    Raises:
        ValueError: What it has inside has changed there, so nothing would be broken.
    """
    files = {edit.file: _inside(edit.file) for edit in _wanted() if _inside(edit.file)}
    if not files:
        return built
    tree = scratch / "broken"
    subprocess.run(["/usr/bin/dpkg-deb", "--raw-extract", built, tree], check=True)
    for file, places in files.items():
        (path,) = [tree / place for place in places if (tree / place).exists()]
        path.write_text(_broken(path.read_text(encoding="utf-8"), file, _wanted()), encoding="utf-8")
    copy = scratch / built.name
    subprocess.run(["/usr/bin/dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, copy], check=True)
    return copy


def broken(name: str) -> dict[str, str]:
    """Return the files of the repository as one break leaves them.

    Raises:
        ValueError: See `read`.
    """
    edits = BREAKS[name].edits
    files = {edit.file for edit in edits}
    return {file: _broken((_REPOSITORY / file).read_text(encoding="utf-8"), file, edits) for file in files}


def _wanted() -> tuple[Edit, ...]:
    names = os.environ.get(VARIABLE, "")
    return tuple(edit for name in names.split(",") if name for edit in BREAKS[name].edits)


def _inside(file: str) -> tuple[str, ...]:
    """Return where a file of the repository may be in a package; nowhere, if it is in none."""
    if file.startswith("slurmwatchd/"):
        return tuple(f"{folder}/{file}" for folder in _MODULES)
    return (_IN_PACKAGE[file],) if file in _IN_PACKAGE else ()


def _broken(text: str, file: str, edits: tuple[Edit, ...]) -> str:
    for edit in edits:
        if edit.file == file:
            if text.count(edit.old) != 1:
                raise ValueError(f"{file} has changed: {edit.old!r} stands there {text.count(edit.old)} times")
            text = text.replace(edit.old, edit.new)
    return text
