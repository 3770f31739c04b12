"""pyarrow without numpy and pandas, for processes that are ours alone: nothing in them needs these.

Where numpy is installed, pyarrow imports it, and pandas with the first column that it makes: that takes more of a
CPU than the columns of twenty thousand attempts, and half of the memory. Without numpy it looks for pandas only
where it has to find out by itself what a column is of, so name the type of each.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

_OPTIONAL_SINCE = 18
"""The first pyarrow that works without numpy."""


def import_pyarrow_alone() -> None:
    """Import pyarrow without numpy, where it works without.

    Call it only where the process is a command: whoever imports pyarrow later gets this one, without `to_numpy`
    and `to_pandas`. It does nothing where pyarrow or numpy is imported already, or where there is no pyarrow.
    """
    if "pyarrow" in sys.modules or "numpy" in sys.modules or not works_alone():
        return
    refusal = _Refusal()
    sys.meta_path.insert(0, refusal)
    try:
        from pyarrow import parquet  # noqa: F401, PLC0415
    finally:
        sys.meta_path.remove(refusal)


class _Refusal(MetaPathFinder):
    """Says that there is no numpy."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        """Refuse numpy; leave everything else to those who find it."""
        if fullname == "numpy":
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


def works_alone() -> bool:
    """Return whether the pyarrow that is installed needs no numpy; to ask `importlib.metadata` takes longer."""
    found = find_spec("pyarrow")
    if found is None or found.origin is None:
        return False
    about = Path(found.origin).parent.parent.glob("pyarrow-*.dist-info")
    majors = [folder.name.removeprefix("pyarrow-").partition(".")[0] for folder in about]
    return bool(majors) and all(major.isdigit() and int(major) >= _OPTIONAL_SINCE for major in majors)
