"""What a unit forbids or lacks that a shell has: each with the drop-in that mends it, and gone with it."""

import os
import pwd
from pathlib import Path

import pytest

from slurmwatchd.config.settings import ArchiveSection, Config, SlurmSection, StoreSection
from slurmwatchd.operations.doctor.findings import Severity
from slurmwatchd.operations.doctor.sandbox import PathAccess, Sandbox
from slurmwatchd.operations.doctor.service import Shell, examine
from slurmwatchd.operations.doctor.unit import Unit, find
from slurmwatchd.sinks.jsonl import JsonlOptions
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.process import SystemProcessRunner

ME = pwd.getpwuid(os.geteuid()).pw_name


class Site:
    """A unit below a folder, which stands for the whole machine, and a configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "slurm" / "bin"
        for name in ("sacct", "scontrol", "sdiag", "sacctmgr"):
            self.program(self.bin / name)
        self.program(folder / "bin" / "slurmwatchd")
        self.file = folder / "unit" / "slurmwatchd.service"
        self.file.parent.mkdir()
        self.file.write_text(
            f"[Service]\nUser={ME}\nExecStart={folder}/bin/slurmwatchd run\n"
            "ProtectSystem=strict\nProtectHome=yes\n"
        )
        for name in ("state", "log", "events"):
            (folder / name).mkdir()
        self.allow("state.conf", f"ReadWritePaths={folder}/state {folder}/log")
        self.allow("path.conf", f"Environment=PATH={self.bin}:/usr/bin")
        self.environ: dict[str, str] = {"PATH": f"{self.bin}:/usr/bin"}
        self.slurm = SlurmSection()
        self.sink = folder / "log" / "jobs.jsonl"
        self.archive = ""

    @staticmethod
    def program(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)

    def allow(self, name: str, *directives: str) -> None:
        """Add a drop-in."""
        file = self.folder / "unit" / "slurmwatchd.service.d" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join(["[Service]", *directives, ""]))

    def found(self) -> list[tuple[Severity, str, str]]:
        unit = find(str(self.file))
        assert unit is not None
        config = Config(
            slurm=self.slurm,
            store=StoreSection(path=self.folder / "state" / "store.db"),
            archive=ArchiveSection(path=self.archive),
            sinks={"jobs": JsonlOptions(type="jsonl", path=self.sink)},
        )
        commands = Commands.of(
            SystemProcessRunner(),
            bin_dir=self.slurm.bin_dir,
            conf=self.slurm.conf,
            environ=unit.environment,
        )
        shell = Shell(environ=self.environ, user=ME)
        return [(each.mark, each.text, each.todo) for each in examine(unit, shell, config, None, commands)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


EDIT = "as root: systemctl edit slurmwatchd.service, and under [Service]: "


def test_a_service_that_may_do_what_it_must(site: Site) -> None:
    ((mark, text, todo),) = site.found()
    assert (mark, todo) == (Severity.OK, "")
    assert text == f"{site.file} and 2 drop-ins: its sandbox allows all it needs; checked as it will run"


def test_slurm_on_the_shells_path_only(site: Site) -> None:
    site.allow("path.conf", "Environment=PATH=/nothing/here")
    ((mark, text, todo),) = site.found()
    assert mark is Severity.FAILED
    assert text == (
        f"sacct, scontrol, sdiag, sacctmgr: in {site.bin}, which is on this shell's PATH but not on the service's "
        "(/nothing/here)"
    )
    assert todo == (
        f'set bin_dir = "{site.bin}" under [slurm]; or {EDIT}Environment=PATH={site.bin}:/nothing/here'
    )
    site.allow("path.conf", f"Environment=PATH={site.bin}:/nothing/here")
    assert [mark for mark, _, _ in site.found()] == [Severity.OK]
    site.allow("path.conf", "Environment=PATH=/nothing/here")
    site.slurm = SlurmSection(bin_dir=str(site.bin))
    assert [mark for mark, _, _ in site.found()] == [Severity.OK]


def test_a_variable_of_the_shells_that_the_service_has_not(site: Site) -> None:
    conf = site.environ["SLURM_CONF"] = "/opt/slurm.conf"
    assert site.found() == [
        (
            Severity.WARNING,
            "this shell has SLURM_CONF=/opt/slurm.conf, and the service has no SLURM_CONF",
            f'if the service needs it, set conf = "{conf}" under [slurm]; or {EDIT}Environment=SLURM_CONF={conf}',
        )
    ]
    site.allow("conf.conf", "Environment=SLURM_CONF=/opt/slurm.conf")
    assert [mark for mark, _, _ in site.found()] == [Severity.OK]
    site.environ["SLURM_CONF"] = "/elsewhere"
    assert "and the service has SLURM_CONF=/opt/slurm.conf" in site.found()[0][1]
    site.slurm = SlurmSection(conf="/opt/slurm.conf")
    assert [mark for mark, _, _ in site.found()] == [Severity.OK]


def test_a_token_is_not_shown(site: Site) -> None:
    site.environ["SLURM_JWT"] = "secret"
    site.environ["SLURMWATCHD_POLL__INTERVAL"] = "5s"
    found = site.found()
    assert [mark for mark, _, _ in found] == [Severity.WARNING] * 2
    assert "secret" not in str(found)
    assert found[1][1] == ("this shell's SLURMWATCHD_POLL__INTERVAL is not the service's: the check ignores it")


def test_an_archive_needs_the_folder_above_it(site: Site) -> None:
    above = site.folder / "events"
    site.archive = str(above / "archive")
    forbidden = f"the archive: ProtectSystem=strict of slurmwatchd.service forbids the service to write {above}"
    todo = f"{EDIT}ReadWritePaths={above}"
    assert site.found() == [(Severity.FAILED, f"{forbidden}/archive", todo)]
    # The dataset alone would be a mount of its own: nothing could be moved to it from beside.
    (above / "archive").mkdir()
    site.allow("archive.conf", f"ReadWritePaths={above}/archive")
    assert site.found() == [(Severity.FAILED, f"{forbidden}/archive.tmp", todo)]
    site.allow("archive.conf", f"ReadWritePaths={above}")
    assert [mark for mark, _, _ in site.found()] == [Severity.OK]


def test_a_sink_where_the_unit_forbids_writing(site: Site) -> None:
    site.sink = site.folder / "events" / "jobs.jsonl"
    folder = site.folder / "events"
    assert site.found() == [
        (
            Severity.FAILED,
            f"sink jobs: ProtectSystem=strict of slurmwatchd.service forbids the service to write {site.sink}",
            f"{EDIT}ReadWritePaths={folder}",
        )
    ]
    site.allow("sink.conf", f"ReadWritePaths={folder}")
    assert [mark for mark, _, _ in site.found()] == [Severity.OK]


def test_a_folder_that_is_to_be_made_first(site: Site) -> None:
    site.sink = site.folder / "new" / "jobs.jsonl"
    folder = site.folder / "new"
    ((mark, _, todo),) = site.found()
    make = f"install -d -o {ME} -m 0750 {folder}"
    assert (mark, todo) == (Severity.FAILED, f"as root: {make}; then {EDIT}ReadWritePaths={folder}")
    site.allow("sink.conf", f"ReadWritePaths={folder}")
    assert site.found() == [
        (
            Severity.FAILED,
            f"ReadWritePaths={folder} does not exist: systemd fails with 226",
            f"as root: {make}",
        )
    ]
    site.allow("sink.conf", f"ReadWritePaths=-{folder}")
    assert [mark for mark, _, _ in site.found()] == [Severity.OK]


def test_slurm_below_home(site: Site) -> None:
    unit = unit_of("ProtectHome=yes")
    assert Sandbox(unit).rule(Path("/home/slurm/bin/sacct")).access is PathAccess.HIDDEN
    link = site.folder / "links" / "sacct"
    link.parent.mkdir()
    link.symlink_to("/home/slurm/bin/sacct")
    site.slurm = SlurmSection(conf="/home/slurm/etc/slurm.conf")
    assert site.found() == [
        (
            Severity.FAILED,
            "slurm.conf: ProtectHome=yes of slurmwatchd.service hides /home/slurm/etc/slurm.conf from the service",
            f"{EDIT}ProtectHome=read-only",
        )
    ]
    site.allow("home.conf", "ProtectHome=read-only")
    assert [mark for mark, _, _ in site.found()] == [Severity.OK]
    site.sink = Path("/home/slurm/events/jobs.jsonl")
    ((_, _, todo),) = site.found()
    assert todo.endswith(f"{EDIT}ReadWritePaths=/home/slurm/events")
    site.allow("home.conf", "ProtectHome=yes")
    (todo,) = [todo for _, text, todo in site.found() if "sink jobs" in text]
    make = f"install -d -o {ME} -m 0750 /home/slurm/events"
    assert todo == f"as root: {make}; then {EDIT}ProtectHome=read-only and ReadWritePaths=/home/slurm/events"


def test_a_program_that_is_a_script_of_an_interpreter_below_home(site: Site) -> None:
    (site.folder / "bin" / "slurmwatchd").write_text("#!/home/ada/venv/bin/python3\n")
    ((mark, text, todo),) = site.found()
    assert mark is Severity.FAILED
    assert text.startswith("ExecStart's program: ProtectHome=yes of slurmwatchd.service hides /home/ada/venv/")
    assert todo == f"{EDIT}ProtectHome=read-only"


def test_a_program_or_a_user_that_is_not_there(site: Site) -> None:
    (site.folder / "bin" / "slurmwatchd").unlink()
    site.allow("user.conf", "User=nobody-of-that-name")
    found = site.found()
    assert [mark for mark, _, _ in found] == [Severity.FAILED] * 2
    assert found[0][1] == (
        "slurmwatchd.service runs as nobody-of-that-name, a user that does not exist: systemd fails with 217"
    )
    assert found[1][1] == f"ExecStart names {site.folder}/bin/slurmwatchd, which does not exist"


def test_another_user_than_the_services(site: Site) -> None:
    other = "daemon" if ME != "daemon" else "bin"
    site.allow("user.conf", f"User={other}")
    assert site.found() == [
        (
            Severity.WARNING,
            f"this check runs as {ME} and the service as {other}: this does not prove what {other} can read",
            f"runuser -u {other} -- slurmwatchd check",
        )
    ]


def unit_of(*directives: str) -> Unit:
    made: dict[str, tuple[str, ...]] = {}
    for directive in directives:
        name, _, value = directive.partition("=")
        made[name] = (*made.get(name, ()), value)
    return Unit("w.service", (Path("/w.service"),), made, {})


@pytest.mark.parametrize(
    ("directives", "path", "access"),
    [
        (["ProtectSystem=strict"], "/data/x", PathAccess.READ),
        (["ProtectSystem=strict", "StateDirectory=w"], "/var/lib/w/store.db", PathAccess.WRITE),
        (["ProtectSystem=strict", "LogsDirectory=w:log w/more"], "/var/log/w/more/x", PathAccess.WRITE),
        (["ProtectSystem=strict", "ConfigurationDirectory=w"], "/etc/w/x", PathAccess.WRITE),
        (["ProtectSystem=strict", "ConfigurationDirectory=w"], "/etc/x", PathAccess.READ),
        (["ProtectSystem=strict", "ReadWritePaths=-/data"], "/data/x", PathAccess.WRITE),
        (["ProtectSystem=strict", "ReadWritePaths=/data", "ReadOnlyPaths=/data/x"], "/data/x/y", PathAccess.READ),
        (["ProtectSystem=full"], "/etc/x", PathAccess.READ),
        (["ProtectSystem=full"], "/var/x", PathAccess.WRITE),
        (["ProtectSystem=true"], "/usr/x", PathAccess.READ),
        (["ProtectHome=yes", "ReadWritePaths=/home/x"], "/home/x/y", PathAccess.HIDDEN),
        (["ProtectHome=tmpfs"], "/root/x", PathAccess.HIDDEN),
        (["ProtectHome=read-only", "ReadWritePaths=/home/x"], "/home/x/y", PathAccess.WRITE),
        (["ProtectHome=no"], "/home/x", PathAccess.WRITE),
        (["PrivateTmp=yes"], "/var/tmp/x", PathAccess.HIDDEN),
        (["InaccessiblePaths=-/data"], "/data/x", PathAccess.HIDDEN),
        (["ReadOnlyPaths=/data", "ReadWritePaths=/data"], "/data/x", PathAccess.READ),
        ([], "/data/x", PathAccess.WRITE),
    ],
)
def test_what_a_sandbox_lets_a_path_be(directives: list[str], path: str, access: PathAccess) -> None:
    assert Sandbox(unit_of(*directives)).rule(Path(path)).access is access
