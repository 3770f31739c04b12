"""Whose rights count: with a token in SLURM_JWT those of the user it names, whoever runs the process.

A token is read here and not verified: Slurm does that, and says no more than "Protocol authentication error" of
one that expired (measured on 22.05.8, 24.11.5 and 26.05.5).
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slurmwatchd.errors import TokenError

VARIABLE = "SLURM_JWT"

_PARTS = 3


@dataclass(frozen=True, slots=True)
class SlurmToken:
    """What a token says.

    Attributes:
        user: Whose rights it gives (`sun`); empty where that cannot be read from it.
        expires: Until when, epoch seconds (`exp`); None where it does not say.
    """

    user: str = ""
    expires: float | None = None


def text_in(file: Path) -> str:
    """Return the token in a file; what `scontrol token` prints, `SLURM_JWT=TOKEN`, will do as well.

    Raises:
        TokenError: It cannot be read or holds none. With an empty SLURM_JWT every command fails, munge or not.
    """
    try:
        text = file.read_text(encoding="ascii")
    except OSError as error:
        raise TokenError(f"slurm.jwt_file: {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TokenError(f"slurm.jwt_file: {file}: this is no token") from None
    token = text.strip().removeprefix(f"{VARIABLE}=").strip()
    if not token or len(token.split()) > 1:
        raise TokenError(f"slurm.jwt_file: {file}: {'it is empty' if not token else 'this is no token'}")
    return token


def token_in(env: Mapping[str, str]) -> SlurmToken | None:
    """Return the token in an environment; None where there is none."""
    text = env.get(VARIABLE, "")
    return read_token(text) if text else None


def read_token(text: str) -> SlurmToken:
    """Read a token, `HEADER.CLAIMS.SIGNATURE`, each in base64url; one that is none says nothing."""
    parts = text.strip().split(".")
    if len(parts) != _PARTS:
        return SlurmToken()
    try:
        claims = json.loads(base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        return SlurmToken()
    if not isinstance(claims, dict):
        return SlurmToken()
    return SlurmToken(_text(claims.get("sun")), _moment(claims.get("exp")))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _moment(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
