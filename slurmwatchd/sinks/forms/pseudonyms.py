"""Values that say who someone is, replaced by a keyed hash: no one without the key finds out who it was."""

import hmac
from collections.abc import Callable

KEY_BYTES = 16
"""A shorter key could be guessed."""

_NUMBERS = frozenset({"uid", "gid", "cancelled_by_uid"})

HIDEABLE = _NUMBERS | {
    "user", "account", "wckey", "name", "qos", "qos_req", "reservation", "req_reservation", "work_dir",
    "submit_line", "comment", "admin_comment", "system_comment", "extra", "std_in", "std_out", "std_err",
    "container", "mcs_label",
}  # fmt: skip
"""The fields whose values may be hidden: those that people choose, or that people are known by."""

_SAME_AS = {"cancelled_by_uid": "uid", "qos_req": "qos", "req_reservation": "reservation"}
"""Fields with the names of others: who cancelled a job can be found among the users, hidden too."""

_MANY = 50_000
"""So many pseudonyms are remembered: bounds memory, not correctness."""


class Pseudonyms:
    """Pseudonyms under one key. A text becomes sixteen hexadecimal digits, a number another number below 2**48."""

    def __init__(self, key: bytes) -> None:
        """Take the key."""
        self._key = key
        self._known: dict[tuple[str, str | int], str | int] = {}

    def of(self, field: str) -> Callable[[object], object]:
        """Return what hides the values of a field; what is no text or number stays: there is nothing to hide."""
        kind = _SAME_AS.get(field, field)

        def hide(value: object) -> object:
            return self._pseudonym(kind, value) if isinstance(value, str | int) else value

        return hide

    def _pseudonym(self, kind: str, value: str | int) -> str | int:
        known = self._known.get((kind, value))
        if known is None:
            digest = hmac.digest(self._key, f"{kind}\0{value}".encode(), "sha256")
            known = int.from_bytes(digest[:6]) if kind in _NUMBERS else digest[:8].hex()
            if len(self._known) >= _MANY:
                self._known.clear()
            self._known[kind, value] = known
        return known
