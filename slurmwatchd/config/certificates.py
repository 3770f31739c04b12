"""From when and until when certificates are good, read from PEM files.

Python's `ssl` shows that of a peer's certificate only. What is needed of DER (ITU-T X.690) and of a certificate
(RFC 5280, section 4.1) is little: each value says its kind and length, and the dates stand in a fixed place.
"""

import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from slurmwatchd.config.units import DAY

SOON_SECONDS = 14 * DAY
"""A certificate that ends sooner should have been renewed: what renews them does so a month before."""

SOON_PART = 4
"""One that is good for days only is renewed later: when less than a quarter of its time is left."""

_BLOCK = re.compile(b"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _VERSION, _UTC_TIME, _LONG_TIME = 0x30, 0xA0, 0x17, 0x18
_FORMS = {_UTC_TIME: "%y%m%d%H%M%SZ", _LONG_TIME: "%Y%m%d%H%M%SZ"}
_LONG_LENGTH = 0x80


@dataclass(frozen=True, slots=True, order=True)
class Validity:
    """When a certificate is good, in epoch seconds.

    Attributes:
        end: It is good until then.
        begin: And not before.
    """

    end: int
    begin: int

    def ends_soon(self, now: float) -> bool:
        """Return whether it should have been renewed by now, or is over."""
        return self.end - now < min(SOON_SECONDS, (self.end - self.begin) / SOON_PART)


def validities(path: Path) -> tuple[Validity, ...]:
    """Return the validity of each certificate in a PEM file, in the file's order.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds no certificate, or one that is none.
    """
    blocks = _BLOCK.findall(path.read_bytes())
    found = tuple(_validity(ssl.PEM_cert_to_DER_cert(block.decode("ascii"))) for block in blocks)
    if not found:
        raise ValueError("holds no certificate")
    return found


def _validity(der: bytes) -> Validity:
    try:
        certificate = _Values(_Values(der).take(_SEQUENCE))
        signed = _Values(certificate.take(_SEQUENCE))
        if signed.kind() == _VERSION:
            signed.take()
        for _ in ("serial number", "signature's algorithm", "issuer"):
            signed.take()
        dates = _Values(signed.take(_SEQUENCE))
        begin, end = dates.moment(), dates.moment()
    except (IndexError, UnicodeDecodeError, ValueError):
        raise ValueError("holds a certificate that cannot be read") from None
    return Validity(end, begin)


class _Values:
    """Values of DER, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def kind(self) -> int:
        """Return the kind of the next."""
        return self._data[self._at]

    def take(self, kind: int | None = None) -> bytes:
        """Return what the next holds.

        Raises:
            ValueError: It is of another kind, or cut off.
            IndexError: There is none.
        """
        if kind is not None and self.kind() != kind:
            raise ValueError("another kind")
        length, begin = self._data[self._at + 1], self._at + 2
        if length & _LONG_LENGTH:
            digits = length & ~_LONG_LENGTH
            length, begin = int.from_bytes(self._data[begin : begin + digits]), begin + digits
        self._at = begin + length
        if self._at > len(self._data):
            raise ValueError("cut off")
        return self._data[begin : self._at]

    def moment(self) -> int:
        """Return the next, which is a time."""
        form = _FORMS[kind] if (kind := self.kind()) in _FORMS else ""
        return int(datetime.strptime(self.take().decode("ascii"), form).replace(tzinfo=UTC).timestamp())
