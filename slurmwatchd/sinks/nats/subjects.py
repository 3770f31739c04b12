"""The subject of an event: a template whose fields become tokens that nothing in a job's name can break out of."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import orjson

FIELDS = ("cluster", "event", "partition", "account", "user", "qos", "state")
"""What a template may name: short, and the same for many events."""

TOKEN_BYTES = 200
"""A longer token is cut: a server refuses subjects of more than some thousand bytes."""

_PLACE = re.compile(r"\{([^{}]*)\}")
_TOKEN = re.compile(r"(?:[A-Za-z0-9_-]|\{\w+\})+")


class Subjects:
    """Makes subjects from a template such as `slurm.{cluster}.{event}`."""

    def __init__(self, template: str) -> None:
        """Take a template.

        Raises:
            ValueError: It names a field there is not, or is no subject.
        """
        if unknown := [name for name in _PLACE.findall(template) if name not in FIELDS]:
            raise ValueError(f"{{{unknown[0]}}}: a subject can have {', '.join(FIELDS)}")
        if wrong := [token for token in template.split(".") if not _TOKEN.fullmatch(token)]:
            raise ValueError(
                f"{wrong[0]!r} in {template!r}: a token is letters, digits, - and _, or a field in braces"
            )
        self._template = template
        self.fields = tuple(dict.fromkeys(_PLACE.findall(template)))
        """The fields that it names."""
        self.of_tokens = lru_cache(maxsize=4096)(self._of_tokens)
        """Returns an event's subject from those fields as JSON, empty for none; remembers the last ones."""
        self.filter = ".".join("*" if "{" in token else token for token in template.split("."))
        """The subject with a wildcard for every token that differs: what the stream must take."""

    def of(self, fields: Mapping[str, Any]) -> str:
        """Return an event's subject, from its flat fields."""
        return _PLACE.sub(lambda match: _token(fields.get(match[1])), self._template)

    def _of_tokens(self, tokens: tuple[bytes, ...]) -> str:
        values = (orjson.loads(token) if token else None for token in tokens)
        return self.of(dict(zip(self.fields, values, strict=True)))


@lru_cache(maxsize=4096)
def _token(value: str | int | None) -> str:
    """Write a value so that it is one token: no dot, no wildcard, no space."""
    if value is None or value == "":
        return "_"
    # Letters, digits, `_`, `-` and `~` stay.
    text = quote(str(value), safe="").replace(".", "%2E")
    return text if len(text) <= TOKEN_BYTES else re.sub(r"%[0-9A-F]?$", "", text[:TOKEN_BYTES])
