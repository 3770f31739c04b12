"""The unit of the service as systemd puts it together: the unit file, its drop-ins, and the environment they make.

Read from the files and not from systemd, so that it is there in a container and for any user; what the manager
itself hands on, such as PATH, is asked of it by whoever can and given to `read`.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_NAME = "slurmwatchd.service"

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What systemd gives a service of the system as PATH, whatever root's shell has."""

_FOLDERS = (
    "etc/systemd/system.control", "run/systemd/system.control", "etc/systemd/system", "run/systemd/system",
    "run/systemd/generator", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system",
)  # fmt: skip
"""Where unit files and drop-ins are, the first wins; systemd.unit(5)."""

_PREFIXES = "@-:+!"
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")
_BRACED = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Unit:
    """A service's unit.

    Attributes:
        name: Such as `slurmwatchd.service`.
        files: The unit file, then its drop-ins, in the order in which they count.
        directives: Of `[Service]`, by name: all that was assigned since the last empty assignment.
        environment: What the service starts with, as far as it is known here.
        unread: Environment files of the unit that this user cannot read.
    """

    name: str
    files: tuple[Path, ...]
    directives: Mapping[str, tuple[str, ...]]
    environment: Mapping[str, str]
    unread: tuple[Path, ...] = ()

    @property
    def user(self) -> str:
        """Whom it runs as."""
        return self.last("User", "root")

    def last(self, name: str, default: str = "") -> str:
        """Return a directive of which the last assignment counts."""
        return self.directives.get(name, (default,))[-1]

    def words(self, name: str) -> list[str]:
        """Return a directive that is a list, such as of paths."""
        return [word for value in self.directives.get(name, ()) for word in _words(value)]

    def commands(self, name: str) -> list[list[str]]:
        """Return the command lines of `ExecStart` and its like, without systemd's marks in front.

        Variables are replaced as systemd does: `$NAME` by words, `${NAME}` by text, an unknown one by nothing;
        `$MAINPID`, which the manager knows, stays.
        """
        lines = [_words(value) for value in self.directives.get(name, ())]
        lines = [[part for word in line for part in self._replaced(word)] for line in lines]
        return [[line[0].lstrip(_PREFIXES), *line[1:]] for line in lines if line]

    def _replaced(self, word: str) -> list[str]:
        have = {"MAINPID": "$MAINPID", **self.environment}
        if alone := _VARIABLE.fullmatch(word):
            return _words(have.get(alone[1], ""))
        return [_BRACED.sub(lambda found: have.get(found[1], ""), word)]


def find(name: str, *, root: Path = Path("/"), manager: Mapping[str, str] | None = None) -> Unit | None:
    """Return a unit of this machine; None where there is none, or it is masked.

    Args:
        name: Of the unit, with or without `.service`; or the path of a unit file, drop-ins in `FILE.d` beside it.
        root: Where the machine's files are.
        manager: What the service manager hands on to every service; None: as systemd does by default.

    Raises:
        OSError: The unit file cannot be read.
    """
    if "/" in name:
        file = Path(name)
        return _made(file.name, [file, *_drop_ins([Path(f"{file}.d")])], root, manager)
    name = name if name.endswith(".service") else f"{name}.service"
    template = re.sub(r"@.*(?=\.service$)", "@", name)
    folders = [root / folder for folder in _FOLDERS]
    for candidate in dict.fromkeys((name, template)):
        for folder in folders:
            file = folder / candidate
            if file.is_symlink() and file.resolve() == Path("/dev/null"):
                return None
            if file.is_file():
                named = dict.fromkeys((f"{name}.d", f"{template}.d", "service.d"))
                drop_ins = _drop_ins([folder / part for part in named for folder in folders])
                return _made(name, [file, *drop_ins], root, manager)
    return None


def _drop_ins(folders: list[Path]) -> list[Path]:
    """Return drop-ins in the order of their names; of two with one name that of the earlier folder counts."""
    found: dict[str, Path] = {}
    for folder in folders:
        for file in folder.glob("*.conf") if folder.is_dir() else ():
            found.setdefault(file.name, file)
    return [found[name] for name in sorted(found)]


def _made(name: str, files: list[Path], root: Path, manager: Mapping[str, str] | None) -> Unit:
    directives: dict[str, tuple[str, ...]] = {}
    for file in files:
        for key, value in _assignments(file.read_text(encoding="utf-8", errors="replace")):
            directives[key] = (*directives.get(key, ()), _expanded(value, name)) if value else ()
    directives = {key: values for key, values in directives.items() if values}
    environment = {"PATH": DEFAULT_PATH, **(manager or {})}
    unit = Unit(name, tuple(files), directives, environment)
    environment |= _pairs(unit.words("Environment"))
    unread = []
    for word in unit.words("EnvironmentFile"):
        file = root / word.removeprefix("-").lstrip("/")
        try:
            environment |= _pairs(_file_words(file.read_text(encoding="utf-8", errors="replace")))
        except FileNotFoundError:
            continue
        except OSError:
            unread.append(file)
    for word in unit.words("UnsetEnvironment"):
        environment.pop(word.partition("=")[0], None)
    return Unit(name, tuple(files), directives, environment, tuple(unread))


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    """Give each `KEY=value` of `[Service]`; a line that ends in a backslash goes on in the next."""
    section, pending = "", ""
    for line in text.splitlines():
        if line.lstrip().startswith(("#", ";")):
            continue
        if line.endswith("\\"):
            pending += f"{line[:-1]} "
            continue
        line, pending = (pending + line).strip(), ""  # noqa: PLW2901 - the whole of it
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line:
            key, _, value = line.partition("=")
            yield key.strip(), value.strip()


def _expanded(value: str, name: str) -> str:
    """Replace the specifiers that stand in paths and names; systemd.unit(5)."""
    stem = name.removesuffix(".service")
    prefix, _, instance = stem.partition("@")
    known = {
        "%": "%", "n": name, "N": stem, "p": prefix, "i": instance, "I": instance, "t": "/run", "S": "/var/lib",
        "C": "/var/cache", "L": "/var/log", "E": "/etc", "T": "/tmp", "V": "/var/tmp",  # noqa: S108 - systemd's own
    }  # fmt: skip
    return re.sub("%(.)", lambda found: known.get(found[1], found[0]), value)


def _words(value: str) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError:
        return value.split()


def _pairs(words: list[str]) -> dict[str, str]:
    pairs = (word.partition("=") for word in words if "=" in word)
    return {name: value for name, _, value in pairs if _NAME.fullmatch(name)}


def _file_words(text: str) -> list[str]:
    """Read an environment file: a variable a line, as a shell would quote it."""
    lines = (line.strip() for line in text.splitlines())
    return [
        "".join(_words(line)) if "'" in line or '"' in line else line for line in lines if line[:1] not in "#;"
    ]
