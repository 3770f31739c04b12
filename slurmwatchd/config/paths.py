"""Where the configuration and the store are, found without reading all of the configuration.

Validating a whole configuration takes longer than most questions to the store do, so what only needs the store
asks here. `settings.py` reads the same file by the same rules.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slurmwatchd.config.ownership import reason
from slurmwatchd.errors import ConfigError

DEFAULT_CONFIG = Path("/etc/slurmwatchd/slurmwatchd.toml")
DEFAULT_STORE = Path("/var/lib/slurmwatchd/slurmwatchd.db")
CONFIG_VARIABLE = "SLURMWATCHD_CONFIG"
DEFAULT_TOKENS = Path("/etc/slurmwatchd/tokens")
STORE_VARIABLE = "SLURMWATCHD_STORE__PATH"
ARCHIVE_VARIABLE = "SLURMWATCHD_ARCHIVE__PATH"
TOKENS_VARIABLE = "SLURMWATCHD_WEB__TOKENS_FILE"


def config_path(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the configuration file where none is named: the variable's, or the default one if it is there."""
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    # A file that may not be looked for is not taken for one that is not there: reading it says what is wrong.
    return DEFAULT_CONFIG if not is_missing(DEFAULT_CONFIG) else None


def real_path(store: Path) -> Path:
    """Return a store's own name, whatever links lead to it."""
    return Path(os.path.realpath(store))


def lock_path(store: Path) -> Path:
    """Return the file beside a store that says who has it; the same for every name of the store."""
    path = real_path(store)
    return path.with_name(f"{path.name}.lock")


def nudge_path(store: Path) -> Path:
    """Return the socket beside a store on which its daemon takes nudges; the same for every name of the store."""
    path = real_path(store)
    return path.with_name(f"{path.name}.nudge")


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Give an address for a Unix socket's path, of which the kernel takes 107 bytes only.

    Raises:
        OSError: Its folder cannot be opened.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def is_there(path: Path) -> bool:
    """Return whether there is such a file.

    Raises:
        OSError: That may not be known, or its name is none.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def is_missing(path: Path) -> bool:
    """Return whether there is no such file; one that may not be looked for counts as there."""
    try:
        return not is_there(path)
    except OSError:
        return False


def read_config(path: Path) -> dict[str, Any]:
    """Read a configuration file, unchecked.

    Raises:
        ConfigError: It cannot be read, or is not TOML.
    """
    # Nobody waits for the parser where there is no file.
    import tomllib  # noqa: PLC0415

    try:
        # Some editors begin a file with a byte order mark.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {reason(path, error, shared=True)}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: is not valid TOML: {error}"]) from error


def store_path(config: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the store is: the variable's `store.path`, the file's, or the default.

    Args:
        config: The configuration file; None: as `config_path` finds it.
        environ: Where the variables are.

    Raises:
        ConfigError: The file cannot be read, or its `store.path` is no path.
    """
    return Path(environ.get(STORE_VARIABLE) or _path("store", "path", config, environ) or DEFAULT_STORE)


def archive_path(config: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return where the archive is: the variable's `archive.path` or the file's; None: there is none.

    Args:
        config: The configuration file; None: as `config_path` finds it.
        environ: Where the variables are.

    Raises:
        ConfigError: The file cannot be read, or its `archive.path` is no path.
    """
    path = environ.get(ARCHIVE_VARIABLE) or _path("archive", "path", config, environ)
    return Path(path) if path else None


def tokens_path(config: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the API's tokens are: the variable's `web.tokens_file`, the file's, or the default.

    Args:
        config: The configuration file; None: as `config_path` finds it.
        environ: Where the variables are.

    Raises:
        ConfigError: The file cannot be read, or its `web.tokens_file` is no path.
    """
    return Path(environ.get(TOKENS_VARIABLE) or _path("web", "tokens_file", config, environ) or DEFAULT_TOKENS)


def _path(section: str, key: str, config: Path | None, environ: Mapping[str, str]) -> str:
    """Return a path of the file's, empty where it has none.

    Raises:
        ConfigError: The file cannot be read, or the path is none.
    """
    path = _section(config, section, environ).get(key, "")
    if not isinstance(path, str):
        raise ConfigError([f"{config or config_path(environ)}: {section}.{key}: must be a text, not {path!r}"])
    return path


def slurm_section(config: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return `bin_dir` and `conf` of `[slurm]`, as far as the variables or the file have them.

    Args:
        config: The configuration file; None: as `config_path` finds it.
        environ: Where the variables are.

    Raises:
        ConfigError: The file cannot be read, or one is no text.
    """
    section = _section(config, "slurm", environ)
    result = {}
    for key in ("bin_dir", "conf"):
        value = environ.get(f"SLURMWATCHD_SLURM__{key.upper()}", section.get(key, ""))
        if not isinstance(value, str):
            raise ConfigError([f"{config or config_path(environ)}: slurm.{key}: must be a text, not {value!r}"])
        result[key] = value
    return result


def _section(config: Path | None, name: str, environ: Mapping[str, str]) -> Mapping[str, Any]:
    """Return a table of the configuration file; an empty one where there is no file or no such table."""
    file = config or config_path(environ)
    section = read_config(file).get(name, {}) if file else {}
    if not isinstance(section, Mapping):
        raise ConfigError([f"{file}: {name}: must be a table"])
    return section
