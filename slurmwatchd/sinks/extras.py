"""Libraries that only some sinks need: said to be missing when the configuration is read, imported when used."""

from collections.abc import Callable
from importlib.util import find_spec


def require(module: str, package: str, extra: str, *, find: Callable[[str], object] = find_spec) -> None:
    """Look whether a library is installed, without importing it.

    Args:
        module: What is imported.
        package: What the index calls it.
        extra: What of slurmwatchd brings it; the type of the sink has the same name.
        find: Finds modules.

    Raises:
        ValueError: It is not; the text says what to install.
    """
    if find(module) is None:
        raise ValueError(f"{extra!r} needs {package}, which is not installed: install slurmwatchd[{extra}]")
