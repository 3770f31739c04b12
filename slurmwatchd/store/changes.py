"""What is another one in an attempt that was read again, and what only looks so because Slurm was upgraded."""

from collections.abc import Collection, Mapping
from typing import Any

from slurmwatchd.model.records import WHOLE_EXIT_CODES

_EXIT_CODES = ("exit_code", "derived_exit_code")
_TAKEN_FROM_CODES = 128


def changes(
    before: Mapping[str, Any],
    slots_then: str,
    fields: Mapping[str, Any],
    slots: Collection[str],
    revising: Collection[str],
) -> dict[str, list[Any]]:
    """Return field to [old, new] for what differs, among the fields that both readings asked for.

    Args:
        before: The record as it is stored.
        slots_then: The fields that the reading it came from could fill, with spaces between them.
        fields: The record as it is now.
        slots: The fields that this reading could fill.
        revising: The fields whose change is worth reporting, in the order in which they are reported.
    """
    then = frozenset(slots_then.split())
    asked = then & frozenset(slots)
    if before.get("start") is None and fields.get("start") is None:
        # What never started has the processors it asked for up to 22.05, and none since 23.02: an upgrade is no
        # change.
        asked -= {"cpus"}
    if (WHOLE_EXIT_CODES in then) != (WHOLE_EXIT_CODES in slots):
        # One of the two sacct took 128 from codes of 128 and more: the code is the same.
        asked -= {name for name in _EXIT_CODES if _is_128_apart(before.get(name), fields.get(name))}
    return {
        name: [before.get(name), fields.get(name)]
        for name in revising
        if name in asked and before.get(name) != fields.get(name)
    }


def _is_128_apart(before: int | None, after: int | None) -> bool:
    return before is not None and after is not None and abs(after - before) == _TAKEN_FROM_CODES
