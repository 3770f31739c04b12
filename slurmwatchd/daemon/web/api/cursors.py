"""Cursors: places in an answer or in the stream of events, sealed.

A place is a position or a row id of the store, and from two of them anybody could count what came between. So a
cursor shows nothing: its place is encrypted, and what was changed is refused (a synthetic initialisation vector
made of a keyed hash, which also is the seed of the key stream).
"""

import base64
import binascii
import hashlib
import hmac
import math
import secrets
import struct

from slurmwatchd.store.read.pages import Place

KEY_BYTES = 32

_CHANCE_BYTES = 8
_PLACE = struct.Struct(f">cdq{_CHANCE_BYTES}s")
_TAG_BYTES = 16
_MAX_EXACT = 1 << 53


class Sealer:
    """Seals places with the store's key, and opens them again."""

    def __init__(self, key: bytes) -> None:
        """Derive what each use needs."""
        self._for_tag = hmac.digest(key, b"cursor tag", "sha256")
        self._for_stream = hmac.digest(key, b"cursor stream", "sha256")

    def seal(self, kind: bytes, place: Place, *, unlike: bool = False) -> str:
        """Return a cursor.

        Args:
            kind: One byte that says of what it is a place: a cursor is good for its own kind only.
            place: What it stands for.
            unlike: Whether the same place gives another cursor each time, so that nobody sees whether it moved.
        """
        key, row = place
        chance = secrets.token_bytes(_CHANCE_BYTES) if unlike else bytes(_CHANCE_BYTES)
        plain = _PLACE.pack(kind, math.nan if key is None else key, row, chance)
        tag = self._tag(plain)
        return base64.urlsafe_b64encode(tag + self._mixed(plain, tag)).rstrip(b"=").decode()

    def open(self, kind: bytes, cursor: str) -> Place:
        """Return the place.

        Raises:
            ValueError: It was not made here, or is of another kind.
        """
        try:
            data = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            data = b""
        tag = data[:_TAG_BYTES]
        plain = self._mixed(data[_TAG_BYTES:][: _PLACE.size + 1], tag)
        if len(plain) != _PLACE.size or not hmac.compare_digest(tag, self._tag(plain)):
            raise ValueError("is not a cursor of this daemon")
        found, key, row, _ = _PLACE.unpack(plain)
        if found != kind:
            raise ValueError("is a cursor of another question")
        if math.isnan(key):
            return None, row
        return (int(key) if key.is_integer() and abs(key) < _MAX_EXACT else key), row

    def _tag(self, plain: bytes) -> bytes:
        return hashlib.blake2b(plain, key=self._for_tag, digest_size=_TAG_BYTES).digest()

    def _mixed(self, data: bytes, tag: bytes) -> bytes:
        stream = hashlib.blake2b(tag, key=self._for_stream, digest_size=_PLACE.size).digest()[: len(data)]
        return (int.from_bytes(data) ^ int.from_bytes(stream)).to_bytes(len(data))
