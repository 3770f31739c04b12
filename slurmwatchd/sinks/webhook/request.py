"""A request: some events as one body, what names it, and what proves who sent it."""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from slurmwatchd.sinks.forms.form import WrittenEvent
from slurmwatchd.sinks.webhook.options import HttpOptions

_SECRET_PREFIX = b"whsec_"


@dataclass(frozen=True, slots=True)
class Request:
    """What is posted.

    Attributes:
        key: The same for the same events: what a receiver may know a repetition by.
    """

    key: str
    body: bytes
    headers: Mapping[str, str]


def request_of(written: Sequence[WrittenEvent], options: HttpOptions) -> Request:
    """Put events into one body, one a line or as an array."""
    lines = [event.line for event in written]
    if options.batch == "ndjson":
        body, content = b"".join(lines), "application/x-ndjson"
    else:
        body = b"[" + b",".join(line[:-1] for line in lines) + b"]"
        is_cloud = options.format == "cloudevents"
        content = "application/cloudevents-batch+json" if is_cloud else "application/json"
    return named(written, body, content)


def named(written: Sequence[WrittenEvent], body: bytes, content_type: str) -> Request:
    """Return a body as a request that goes by the ids of its events."""
    identities = [event.id for event in written]
    key = identities[0] if len(identities) == 1 else hashlib.sha256("\n".join(identities).encode()).hexdigest()
    return Request(key, body, {"Content-Type": content_type, "Idempotency-Key": key})


def pieces(written: Sequence[WrittenEvent], *, events: int, size: int) -> Iterator[Sequence[WrittenEvent]]:
    """Cut events into requests of so many, and so many bytes, at most."""
    begin, length = 0, 2
    for end, event in enumerate(written):
        more = len(event.line) + 1
        if end > begin and (end - begin >= events or length + more > size):
            yield written[begin:end]
            begin, length = end, 2
        length += more
    if written:
        yield written[begin:]


def signature(key: bytes, request: Request, timestamp: int) -> dict[str, str]:
    """Return the headers that prove who sent a request, and when, as Standard Webhooks has them.

    Args:
        key: The secret; `whsec_` and base64, or its bytes.
        request: What is signed.
        timestamp: Epoch seconds.
    """
    if key.startswith(_SECRET_PREFIX):
        key = base64.b64decode(key[len(_SECRET_PREFIX) :])
    signed = f"{request.key}.{timestamp}.".encode() + request.body
    digest = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return {
        "webhook-id": request.key,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{digest}",
    }
