"""The daemon as seen from outside: what it says of itself over HTTP."""

import ipaddress
import ssl
import urllib.request
from contextlib import suppress
from typing import Any

import orjson

from slurmwatchd.config.settings import WebSection
from slurmwatchd.config.units import split_address
from slurmwatchd.daemon.web import proofs

_TIMEOUT_SECONDS = 3.0
_ANSWER_BYTES = 1 << 22


def ask(web: WebSection, secret: bytes | None) -> tuple[str | None, dict[str, Any] | None]:
    """Return where the daemon of this machine was asked, and what it says of itself.

    Where `web.yml` may ask for TLS or a login, the address is only returned if it answered: this command has no
    client certificate.

    Args:
        web: Where it listens.
        secret: The store's own, which opens what a login guards; None: not known.
    """
    url = loopback_url(web.listen)
    if url is None or not web.web_config:
        return url, None if url is None else told_by(url)
    for address in (url.replace("http://", "https://", 1), url):
        if (told := told_by(address, secret)) is not None:
            return address, told
    return None, None


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


def told_by(url: str, secret: bytes | None = None) -> dict[str, Any] | None:
    """Return what the daemon at an address says of itself; None where there is none, or it is not ours."""
    # The certificate is for another name than the loopback's, and what is sent is good for this answer alone.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # No proxy: the environment's is not meant for this machine.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    headers = {} if secret is None else {"Authorization": proofs.proof(secret)}
    request = urllib.request.Request(f"{url}{proofs.PATH}", headers=headers)  # noqa: S310 - ours
    with suppress(OSError, ValueError), opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
        value = orjson.loads(answer.read(_ANSWER_BYTES))
        if isinstance(value, dict) and value.get("program") == "slurmwatchd":
            return value
    return None
