"""Whether slurmdbd could read its lists of names: without them it blanks a column, exits 0 and says nothing.

An attempt that started has AllocTRES. If slurmdbd cannot read its table of TRES, every row lacks it; if it cannot
read its table of QOS, every QOS is `Unknown` (measured on 22.05.8, 24.11.5 and 26.05.5: exit 0, silent stderr).
Where all rows of an answer look so, sacctmgr is asked for the list itself: that must show `cpu`, and any QOS.
"""

import math
from collections.abc import Iterator

from slurmwatchd.errors import SilenceError
from slurmwatchd.model.attempts import AttemptBatch
from slurmwatchd.model.clock import Clock
from slurmwatchd.sources.sacctmgr import Sacctmgr

NAMES = "names"
NAMES_TEXT = (
    "slurmdbd cannot read its list of TRES or QOS, so sacct leaves their columns blank: see slurmdbd's log"
)

TRUST_SECONDS = 300.0
"""How long a list that sacctmgr showed vouches for rows without its names."""

_TRES, _QOS, _UNKNOWN_QOS = b'"alloc_tres":', b'"qos":', b'"qos":"Unknown"'


def _all(judged: Iterator[bool]) -> bool:
    """Return whether there is something, and all of it is so."""
    return next(judged, False) and all(judged)


class NameLists:
    """The lists of names behind one cluster's answers."""

    def __init__(self, sacctmgr: Sacctmgr, clock: Clock) -> None:
        """Begin without a look at them."""
        self._sacctmgr = sacctmgr
        self._clock = clock
        self._trusted_until = {"tres": -math.inf, "qos": -math.inf}

    async def examine(self, readings: AttemptBatch, slots: frozenset[str]) -> None:
        """Hold rows to have their names, before they are stored.

        Args:
            readings: Some rows of an answer.
            slots: The record's fields that were asked for.

        Raises:
            SilenceError: A list is gone: what the rows lack is not what they have.
        """
        # A row with its names ends each search, which in nearly all answers is the first.
        pairs = zip(readings.bodies, readings.columns["start"], strict=True)
        started = (body for body, start in pairs if start is not None)
        if "alloc_tres" in slots and _all(_TRES not in body for body in started):
            await self._ask("tres", "format=type", "cpu")
        named = (body for body in readings.bodies if _QOS in body)
        if "qos" in slots and _all(_UNKNOWN_QOS in body for body in named):
            await self._ask("qos", "format=name", None)

    async def _ask(self, entity: str, form: str, expected: str | None) -> None:
        if self._clock.monotonic() < self._trusted_until[entity]:
            return
        rows = await self._sacctmgr.show(entity, form)
        if rows is None and self._sacctmgr.is_missing:
            # No one can be asked; rows without names are rare, and lists that are gone are rarer.
            return
        if not any(expected in (None, row[0]) for row in rows or ()):
            raise SilenceError(NAMES_TEXT, reason=NAMES)
        self._trusted_until[entity] = self._clock.monotonic() + TRUST_SECONDS
