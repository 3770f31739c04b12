"""What a page shows: a template and what it needs; or another address to go to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a page shows.

    Attributes:
        elsewhere: Go to this address instead; a path of this server.
        status: HTTP's.
    """

    template: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    elsewhere: str | None = None
    status: int = 200
