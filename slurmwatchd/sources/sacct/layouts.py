"""Which fields the sacct at hand prints: asked once for each version of it, and remembered.

Up to 24.11 `sacct --helpformat` needs slurmdbd, `sacct -V` never does; so what one version printed is kept,
and a daemon that starts while slurmdbd is down still knows what to ask for.
"""

import re
from collections.abc import Collection
from typing import Protocol

import orjson

from slurmwatchd.errors import CommandError, SacctOutputError
from slurmwatchd.model.records import REVISING
from slurmwatchd.sources.sacct.client import Sacct
from slurmwatchd.sources.sacct.fields import EVERYWHERE, Layout

_RELEASE = re.compile(r"(\d+)\.(\d+)")


class MetaStore(Protocol):
    """Somewhere to keep text under a key, over restarts."""

    async def get(self, key: str) -> str | None:
        """Return what was kept, or None."""
        ...

    async def put(self, key: str, value: str) -> None:
        """Keep it."""
        ...


class Layouts:
    """The layout for the sacct that is installed now."""

    def __init__(self, sacct: Sacct, memory: MetaStore) -> None:
        """Prepare; nothing is run."""
        self._sacct = sacct
        self._memory = memory
        self._version = ""
        self._layout: Layout | None = None
        self._doubted = False
        self.revising: Collection[str] = REVISING
        """The fields of `JobRecord` whose later change is worth telling; set by `revise`."""

    def revise(self, fields: Collection[str]) -> None:
        """Let a later change of these fields, and of no others, be worth telling from the next layout on."""
        if set(fields) != set(self.revising):
            self.revising = fields
            self._layout = None

    @property
    def version(self) -> str:
        """What `sacct -V` said last; empty before the first call."""
        return self._version

    async def current(self, *, check: bool) -> Layout:
        """Return the layout to ask with.

        Args:
            check: Whether to look if another version was installed meanwhile (`sacct -V`, milliseconds).

        Raises:
            SacctError: Sacct does not tell its version or fields.
        """
        if self._layout is not None and not check:
            return self._layout
        version = await self._sacct.version()
        if self._layout is None or version != self._version:
            self._layout = await self._negotiate(version)
            self._version = version
        return self._layout

    def doubt(self, error: CommandError) -> None:
        """Forget the layout after an error that says it is wrong: the next call negotiates anew."""
        if isinstance(error, SacctOutputError) or "Invalid field" in error.stderr:
            self._layout = None
            self._doubted = True

    async def _negotiate(self, version: str) -> Layout:
        key = f"sacct fields: {version}"
        kept = None if self._doubted else await self._memory.get(key)
        whole = _prints_whole_exit_codes(version)
        if kept is not None and EVERYWHERE.issubset(names := orjson.loads(kept)):
            return Layout(names, self.revising, whole_exit_codes=whole)
        names = await self._sacct.available_fields()
        layout = Layout(names, self.revising, whole_exit_codes=whole)
        await self._memory.put(key, orjson.dumps(names).decode())
        self._doubted = False
        return layout


def _prints_whole_exit_codes(version: str) -> bool:
    """Tell whether this sacct prints exit codes of 128 and more as they are (25.11.0rc1: "Don't subtract 128")."""
    release = _RELEASE.search(version)
    return release is not None and (int(release[1]), int(release[2])) >= (25, 11)
