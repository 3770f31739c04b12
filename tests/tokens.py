"""Tokens as Slurm makes them: HS256, signed with a cluster's key or with nothing that counts."""

import base64
import hmac
import json
from collections.abc import Mapping


def token(claims: Mapping[str, object], key: bytes = b"") -> str:
    """Return a token with these claims, such as `{"sun": "ann", "exp": 1795500000}`, signed with a key."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).decode().rstrip("=")

    text = ".".join(part(json.dumps(value).encode()) for value in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{text}.{part(hmac.digest(key, text.encode(), 'sha256'))}"
