"""The service as its unit starts it, held against the shell in which `check` runs.

A shell has a PATH, a SLURM_CONF and rights of its own, and no sandbox; so what works in it may not work in the
service. Everything here comes from the unit's directives, and each finding names the drop-in that mends it.
"""

import os
import pwd
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from slurmwatchd.config.settings import PREFIX, Config
from slurmwatchd.operations.doctor import sandbox
from slurmwatchd.operations.doctor.findings import Finding, failed, ok, warning
from slurmwatchd.operations.doctor.sandbox import PathAccess, Sandbox
from slurmwatchd.operations.doctor.unit import Unit
from slurmwatchd.sources.commands import Commands
from slurmwatchd.store.archive import layout

CHECK = "service"

_COMMANDS = ("sacct", "scontrol", "sdiag", "sacctmgr")
_DECISIVE = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SLURM_SACK_SOCKET", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """Where `check` runs.

    Attributes:
        environ: Its environment.
        user: Its user's name.
    """

    environ: Mapping[str, str]
    user: str


def examine(unit: Unit, shell: Shell, config: Config, file: Path | None, commands: Commands) -> Iterator[Finding]:
    """Give what the service cannot do that this shell can.

    Args:
        unit: Of the service.
        shell: Where this runs.
        config: The configuration, as the service reads it.
        file: Where it was read from.
        commands: Slurm's commands, with the service's environment.
    """
    found = [
        *_user(unit, shell),
        *_programs(unit),
        *_environment(unit, shell, config),
        *_path(unit, shell, commands),
        *_paths_missing(unit),
        *_reads(unit, config, file, commands),
        *_writes(unit, config),
    ]
    if not found:
        drop_ins = len(unit.files) - 1
        more = f" and {drop_ins} drop-in{'s' if drop_ins > 1 else ''}" if drop_ins else ""
        found = [ok(CHECK, f"{unit.files[0]}{more}: its sandbox allows all it needs; checked as it will run")]
    yield from found


def edit(unit: Unit, *directives: str) -> str:
    """Return how a drop-in with some directives is made."""
    return f"as root: systemctl edit {unit.name}, and under [Service]: {' and '.join(directives)}"


def _user(unit: Unit, shell: Shell) -> Iterator[Finding]:
    user = unit.user
    try:
        name = pwd.getpwuid(int(user)).pw_name if user.isdigit() else pwd.getpwnam(user).pw_name
    except KeyError:
        text = f"{unit.name} runs as {user}, a user that does not exist: systemd fails with 217"
        yield failed(CHECK, text, "as root: systemd-sysusers, once slurmwatchd.sysusers.conf is installed")
        return
    if name != shell.user:
        text = (
            f"this check runs as {shell.user} and the service as {name}: this does not prove what {name} can read"
        )
        yield warning(CHECK, text, f"runuser -u {name} -- slurmwatchd check")


def _programs(unit: Unit) -> Iterator[Finding]:
    box = Sandbox(unit)
    for directive, judge in (("ExecStart", failed), ("ExecReload", warning)):
        for program in dict.fromkeys(Path(line[0]) for line in unit.commands(directive)):
            if not program.is_absolute():
                continue
            if not _may_be_there(program):
                todo = f"ln -s the program there, or {edit(unit, f'{directive}=', f'{directive}=/its/path ...')}"
                yield judge(CHECK, f"{directive} names {program}, which does not exist", todo)
                continue
            for step in _chain(program):
                if box.rule(step).access is PathAccess.HIDDEN:
                    yield _hidden(unit, box, f"{directive}'s program", step)
                    break


def _environment(unit: Unit, shell: Shell, config: Config) -> Iterator[Finding]:
    for file in unit.unread:
        yield warning(
            CHECK, f"EnvironmentFile={file} cannot be read by {shell.user}", "run this check as root too"
        )
    have = unit.environment
    for name in _DECISIVE:
        here = shell.environ.get(name, "")
        if not here or here == have.get(name, "") or (name == "SLURM_CONF" and config.slurm.conf):
            continue
        there = f"has {name}={have[name]}" if have.get(name) else f"has no {name}"
        # A token is no one's business.
        shown = "..." if name == "SLURM_JWT" else here
        ways = [edit(unit, f"Environment={name}={shown}")]
        if name == "SLURM_CONF":
            ways.insert(0, f'set conf = "{here}" under [slurm]')
        text = f"this shell has {name}={shown}, and the service {there}"
        yield warning(CHECK, text, f"if the service needs it, {'; or '.join(ways)}")
    for name in sorted(name for name in shell.environ if name.startswith(PREFIX)):
        if shell.environ[name] != have.get(name):
            text = f"this shell's {name} is not the service's: the check ignores it"
            yield warning(CHECK, text, edit(unit, f"Environment={name}=..."))


def _path(unit: Unit, shell: Shell, commands: Commands) -> Iterator[Finding]:
    """Find commands that this shell's PATH has and the service's has not."""
    if commands.bin_dir:
        return
    service, own = commands.env["PATH"], shell.environ.get("PATH", "")
    lost = {
        name: Path(here)
        for name in _COMMANDS
        if shutil.which(name, path=service) is None and (here := shutil.which(name, path=own)) is not None
    }
    if not lost:
        return
    folder = next(iter(lost.values())).absolute().parent
    text = f"{', '.join(lost)}: in {folder}, which is on this shell's PATH but not on the service's ({service})"
    todo = f'set bin_dir = "{folder}" under [slurm]; or {edit(unit, f"Environment=PATH={folder}:{service}")}'
    yield (failed if "sacct" in lost else warning)(CHECK, text, todo)


def _paths_missing(unit: Unit) -> Iterator[Finding]:
    for directive, path in sandbox.missing(unit):
        text = f"{directive}={path} does not exist: systemd fails with 226"
        if directive == "ReadWritePaths":
            yield failed(CHECK, text, f"as root: {_make(unit, path)}")
        else:
            yield failed(CHECK, text, f"create it, or write {directive}=-{path}")


def _reads(unit: Unit, config: Config, file: Path | None, commands: Commands) -> Iterator[Finding]:
    """Find what must be read or run and is hidden from the service."""
    box = Sandbox(unit)
    wanted = [("the configuration", file)] if file else []
    conf = config.slurm.conf or unit.environment.get("SLURM_CONF", "")
    wanted += [("slurm.conf", Path(conf))] if conf else []
    wanted += [("slurm.jwt_file", Path(config.slurm.jwt_file))] if config.slurm.jwt_file else []
    if config.web.listen:
        wanted.append(("web.tokens_file", config.web.tokens_file))
        wanted += [("web.web_config", Path(config.web.web_config))] if config.web.web_config else []
    for name in _COMMANDS:
        if (there := shutil.which(name, path=commands.bin_dir or commands.env["PATH"])) is not None:
            wanted.append((name, Path(there)))
    told: set[str] = set()
    for what, path in wanted:
        for step in _chain(path):
            rule = box.rule(step)
            # Four commands in one folder are one finding.
            if rule.access is PathAccess.HIDDEN and f"{step.parent}" not in told:
                told.add(f"{step.parent}")
                yield _hidden(unit, box, what, step)


def _writes(unit: Unit, config: Config) -> Iterator[Finding]:
    """Find what must be written and is closed to the service."""
    box = Sandbox(unit)
    wanted = [("the store", config.store.path)]
    for name, options in config.sinks.items():
        wanted += [(f"sink {name}", Path(file)) for file in getattr(options, "files", tuple)()]
    if config.archive.folder is not None:
        wanted += [("the archive", config.archive.folder), ("the archive", layout.beside(config.archive.folder))]
    told: set[tuple[str, Path]] = set()
    for what, path in wanted:
        if (what, path.absolute().parent) in told:
            continue
        path = path.absolute()  # noqa: PLW2901 - as it is meant
        rule = box.rule(path)
        if rule.access is PathAccess.HIDDEN:
            yield _hidden(unit, box, what, path, write=True)
        elif rule.access is PathAccess.READ:
            text = f"{what}: {rule.text} of {unit.name} forbids the service to write {path}"
            told.add((what, path.parent))
            yield failed(CHECK, text, _opened(unit, path.parent))


def _opened(unit: Unit, folder: Path, *directives: str) -> str:
    todo = edit(unit, *directives, f"ReadWritePaths={folder}")
    return todo if _may_be_there(folder) else f"as root: {_make(unit, folder)}; then {todo}"


def _hidden(unit: Unit, box: Sandbox, what: str, path: Path, *, write: bool = False) -> Finding:
    rule = box.rule(path)
    text = f"{what}: {rule.text} of {unit.name} hides {path} from the service"
    if rule.text.startswith("ProtectHome="):
        opened = "ProtectHome=read-only"
        return failed(CHECK, text, _opened(unit, path.parent, opened) if write else edit(unit, opened))
    if rule.text.startswith("PrivateTmp="):
        return failed(
            CHECK, f"{text}, which has a /tmp of its own", "choose another path; or PrivateTmp=no in a drop-in"
        )
    return failed(CHECK, text, f"choose another path, or take {rule.path} out of {rule.text.partition('=')[0]}=")


def _make(unit: Unit, folder: Path) -> str:
    return f"install -d -o {unit.user} -m 0750 {shlex.quote(str(folder))}"


def _chain(path: Path) -> list[Path]:
    """Return all files on the way to running a program: its links, and what its first line names."""
    steps = [path.absolute()]
    for _ in range(16):
        here = steps[-1]
        try:
            if here.is_symlink():
                steps.append(Path(os.path.normpath(here.parent / here.readlink())))
                continue
            with here.open("rb") as file:
                head = file.readline(512)
        except OSError:
            break
        words = head[2:].split() if head.startswith(b"#!") else []
        if not words or len(steps) > 8:  # noqa: PLR2004 - more than anybody has
            break
        steps.append(Path(os.fsdecode(words[0])))
    return steps + [Path(os.path.realpath(step)) for step in steps]


def _may_be_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        # This user may not look for it.
        return True
