"""The daemon as seen from outside: what it says of itself over HTTP."""

import ipaddress
import urllib.request
from contextlib import suppress
from typing import Any

import orjson

from slurmwatchd.config.settings import WebSection
from slurmwatchd.config.units import split_address

_TIMEOUT_SECONDS = 3.0
_ANSWER_BYTES = 1 << 22


def url_of(web: WebSection) -> str | None:
    """Return where the daemon is asked; None where it is not on the loopback, or asks for a login or TLS."""
    return None if web.web_config else loopback_url(web.listen)


def loopback_url(listen: str) -> str | None:
    """Return where a daemon of this machine that listens on an address is asked; None where it does not listen.

    Only this machine is asked: an address of another interface is not a loopback, but `0.0.0.0` has one.
    """
    if not listen:
        return None
    host, port = split_address(listen)
    if host == "localhost":
        host = "127.0.0.1"
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("::1" if address.version == 6 else "127.0.0.1")  # noqa: PLR2004 - a version
    if not address.is_loopback or not port:
        return None
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"  # noqa: PLR2004


def told_by(url: str) -> dict[str, Any] | None:
    """Return what the daemon at an address says of itself; None where there is none, or it is not ours."""
    # No proxy: the environment's is not meant for this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with suppress(OSError, ValueError), opener.open(f"{url}/-/status", timeout=_TIMEOUT_SECONDS) as answer:
        value = orjson.loads(answer.read(_ANSWER_BYTES))
        if isinstance(value, dict) and value.get("program") == "slurmwatchd":
            return value
    return None
