"""Setting up the service, on an image in a folder: what is written, what is left alone, what goes again."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from slurmwatchd.errors import InstallError
from slurmwatchd.operations.service_files import ServiceFiles, installed_program, refuse_unless_root, run, shipped

REPOSITORY = Path(__file__).parents[2]
PROGRAM = Path("/opt/slurmwatchd/bin/slurmwatchd")
PLACED = [
    "etc/logrotate.d/slurmwatchd",
    "etc/slurmwatchd/slurmwatchd.toml",
    "etc/systemd/system/slurmwatchd.service",
    "etc/sysusers.d/slurmwatchd.conf",
    "usr/local/bin/slurmwatchd",
    "usr/local/share/bash-completion/completions/slurmwatchd",
    "usr/local/share/fish/vendor_completions.d/slurmwatchd.fish",
    "usr/local/share/man/man1/slurmwatchd.1",
    "usr/local/share/zsh/site-functions/_slurmwatchd",
]


@dataclass
class Machine:
    """An image, and systemd's commands as far as they matter here."""

    root: Path
    calls: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.root / "etc").mkdir(parents=True)
        (self.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")

    def run(self, argv: Sequence[str]) -> None:
        self.calls.append(list(argv))
        if argv[0] == "systemd-sysusers":
            with (self.root / "etc/passwd").open("a") as file:
                file.write(f"slurmwatchd:x:{os.getuid()}:{os.getgid()}::/var/lib/slurmwatchd:/usr/sbin/nologin\n")

    def files(self, program: Path = PROGRAM) -> ServiceFiles:
        return ServiceFiles(program=program, root=self.root, run=self.run)

    def install(self, program: Path = PROGRAM) -> list[str]:
        told = []
        for action in self.files(program).installation():
            told.append(action.text)
            if action.do is not None:
                action.do()
        return told

    def remove(self) -> list[str]:
        told = []
        for action in self.files().removal():
            told.append(action.text)
            if action.do is not None:
                action.do()
        return told

    def placed(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.root))
            for path in self.root.rglob("*")
            if (path.is_symlink() or path.is_file()) and path.name != "passwd"
        )

    def read(self, name: str) -> str:
        return (self.root / name).read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "image")


def test_every_file_of_the_service_is_placed(machine: Machine) -> None:
    told = machine.install()
    assert machine.placed() == PLACED
    assert machine.calls == [["systemd-sysusers", f"--root={machine.root}", "slurmwatchd.conf"]]
    assert {line.partition(": ")[0].removeprefix("/") for line in told} >= set(PLACED)
    assert (machine.root / "usr/local/bin/slurmwatchd").readlink() == PROGRAM
    for name in ("var/lib/slurmwatchd", "var/log/slurmwatchd"):
        assert stat.S_IMODE((machine.root / name).stat().st_mode) == 0o750


def test_the_unit_starts_the_program_where_it_is(machine: Machine) -> None:
    machine.install()
    unit = machine.read("etc/systemd/system/slurmwatchd.service")
    assert "\nExecStart=/opt/slurmwatchd/bin/slurmwatchd run --config /etc/slurmwatchd/slurmwatchd.toml\n" in unit
    assert "\nExecReload=/opt/slurmwatchd/bin/slurmwatchd check --config-only " in unit
    assert "/usr/bin/slurmwatchd" not in unit


def test_telling_changes_nothing(machine: Machine) -> None:
    assert [action.text for action in machine.files().installation()] != []
    assert (machine.placed(), machine.calls) == ([], [])


def test_a_second_time_finds_all_there(machine: Machine) -> None:
    machine.install()
    machine.calls.clear()
    assert all(line.endswith(": is there") for line in machine.install())
    assert machine.calls == []


def test_an_upgrade_replaces_what_nobody_changed_and_leaves_what_somebody_did(machine: Machine) -> None:
    machine.install(Path("/opt/old/bin/slurmwatchd"))
    rule = machine.root / "etc/logrotate.d/slurmwatchd"
    rule.write_text(rule.read_text().replace("rotate 30", "rotate 7"))
    configuration = machine.root / "etc/slurmwatchd/slurmwatchd.toml"
    configuration.write_text('[poll]\ninterval = "10s"\n')
    told = machine.install()
    assert "/etc/systemd/system/slurmwatchd.service: replace by this version's" in told
    assert "/opt/slurmwatchd/bin/slurmwatchd run" in machine.read("etc/systemd/system/slurmwatchd.service")
    assert [line.partition(":")[0] for line in told if "left as it is: it was not written by" in line] == [
        "/etc/logrotate.d/slurmwatchd"
    ]
    assert "rotate 7" in rule.read_text()
    assert configuration.read_text() == '[poll]\ninterval = "10s"\n'


def test_removing_takes_its_own_files_and_keeps_what_was_made_with_them(machine: Machine) -> None:
    machine.install()
    rule = machine.root / "etc/logrotate.d/slurmwatchd"
    rule.write_text(rule.read_text() + "# ours\n")
    events = machine.root / "var/log/slurmwatchd/jobs.jsonl"
    events.write_text("{}\n")
    machine.calls.clear()
    told = machine.remove()
    assert machine.placed() == [
        "etc/logrotate.d/slurmwatchd",
        "etc/slurmwatchd/slurmwatchd.toml",
        "var/log/slurmwatchd/jobs.jsonl",
    ]
    assert machine.calls == [["systemctl", f"--root={machine.root}", "disable", "slurmwatchd.service"]]
    assert "/var/lib/slurmwatchd: kept; remove it when you no longer need it: rm -r /var/lib/slurmwatchd" in told
    machine.calls.clear()
    assert machine.remove()[0] == "/etc/sysusers.d/slurmwatchd.conf: is not there"
    assert machine.calls == []


def test_what_a_package_installed_is_left_to_the_package(machine: Machine) -> None:
    unit = machine.root / "usr/lib/systemd/system/slurmwatchd.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    with pytest.raises(
        InstallError,
        match=r"^/usr/lib/systemd/system/slurmwatchd.service: a package has installed the service already",
    ):
        machine.install()


@pytest.mark.parametrize(
    ("program", "directive"),
    [("/home/ada/venv/bin/slurmwatchd", "ProtectHome="), ("/tmp/venv/bin/slurmwatchd", "PrivateTmp=")],
)
def test_a_program_that_the_sandbox_hides_is_refused(machine: Machine, program: str, directive: str) -> None:
    with pytest.raises(InstallError, match=f"^{program}: the service cannot start a program below .*{directive}"):
        machine.install(Path(program))
    assert machine.placed() == []


def test_a_file_in_the_place_of_the_link_is_left(machine: Machine) -> None:
    link = machine.root / "usr/local/bin/slurmwatchd"
    link.parent.mkdir(parents=True)
    link.write_text("#!/bin/sh\n")
    assert (
        "/usr/local/bin/slurmwatchd: left as it is: it is not a link to /opt/slurmwatchd/bin/slurmwatchd"
        in machine.install()
    )
    assert machine.read("usr/local/bin/slurmwatchd") == "#!/bin/sh\n"


def test_only_root_does_it() -> None:
    refuse_unless_root(0)
    with pytest.raises(InstallError, match=r"^install-service --yes: only root can do this$"):
        refuse_unless_root(1000)


def test_a_command_that_fails_is_named_with_what_it_said() -> None:
    with pytest.raises(InstallError, match=r"sh -c echo no room >&2; exit 3: exit status 3: no room"):
        run(["sh", "-c", "echo no room >&2; exit 3"])
    with pytest.raises(
        InstallError, match=r"^no-such-systemctl: No such file or directory: .* a machine with systemd"
    ):
        run(["no-such-systemctl"])


def test_the_wheel_brings_what_packaging_has() -> None:
    assert shipped("share/slurmwatchd/slurmwatchd.toml").name == "slurmwatchd.toml"
    assert installed_program().name == "slurmwatchd"
    with pytest.raises(InstallError, match=r"^share/slurmwatchd/none: this installation did not bring it"):
        shipped("share/slurmwatchd/none")
