"""Errors as RFC 9457 problem documents."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"

TITLES = {
    400: "The request is wrong",
    401: "A token is needed",
    403: "The token is not for this",
    404: "There is no such thing",
    405: "Only reading is possible",
    406: "There is no such form of the answer",
    413: "The request is too large",
    429: "Too many failed logins",
    500: "The daemon made a mistake",
    503: "The daemon cannot answer now",
}


class ProblemError(Exception):
    """A request that gets an error instead of its answer.

    Attributes:
        status: HTTP's.
        detail: What is wrong, for a person.
        parameter: The one to be changed, as it stands in the address.
        headers: To be sent with it.
    """

    def __init__(
        self, status: int, detail: str, *, parameter: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Keep what there is to say."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.parameter = parameter
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return the document."""
        value: dict[str, Any] = {"title": TITLES[self.status], "status": self.status, "detail": self.detail}
        if self.parameter is not None:
            value["parameter"] = self.parameter
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **self.headers}
        return Response(orjson.dumps(value), status_code=self.status, headers=headers, media_type=MEDIA_TYPE)
