"""Tokens as Slurm makes them, signed with nothing."""

import base64
import json
from collections.abc import Mapping


def token(claims: Mapping[str, object]) -> str:
    """Return a token with these claims, such as `{"sun": "ann", "exp": 1795500000}`."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}.c2lnbmF0dXJl"
