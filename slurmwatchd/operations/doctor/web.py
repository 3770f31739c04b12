"""Who may ask over HTTP: are the file of tokens and `web.yml` fit for use, and can the people log in?"""

import ipaddress
from collections.abc import Iterator

from slurmwatchd.config.api_tokens import read_tokens
from slurmwatchd.config.settings import WebSection
from slurmwatchd.daemon.web.logins import ANYBODY
from slurmwatchd.daemon.web.tls import WebConfigFile, web_config_file
from slurmwatchd.errors import ConfigError
from slurmwatchd.operations.doctor import certificates
from slurmwatchd.operations.doctor.findings import Finding, failed, ok, warning

_LOOPBACKS = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
_AS_SERVICE = "correct it, or run this check as the service's user"


def examine(web: WebSection, *, now: float) -> Iterator[Finding]:
    """Look at the files as the daemon reads them; nothing where no web server is configured.

    Args:
        web: Where they are.
        now: Epoch seconds.
    """
    if not web.listen:
        return
    yield _tokens(web)
    try:
        file = web_config_file(web)
    except ConfigError as error:
        yield failed("web.yml", str(error), _AS_SERVICE)
        return
    if file is not None:
        yield _web_config(file)
        if file.config.tls is not None:
            yield from certificates.of_web(file.config.tls, now)
    yield from _people(web, set() if file is None else set(file.config.users))
    yield from _proxies(web)


def _tokens(web: WebSection) -> Finding:
    try:
        tokens = read_tokens(web.tokens_file)
    except ConfigError as error:
        return failed("tokens", str(error), f"{_AS_SERVICE}; until then no token is accepted")
    if not tokens:
        return ok("tokens", f"{web.tokens_file}: there are none, so the API and the pages take no token")
    return ok("tokens", f"{web.tokens_file}: {', '.join(f'{token.name} ({token.scope})' for token in tokens)}")


def _web_config(file: WebConfigFile) -> Finding:
    tls = file.config.tls
    text = "no TLS" if tls is None else f"TLS with {tls.certificate}"
    if tls is not None and tls.client_auth != "none":
        text += f", client certificates {tls.client_auth}"
    return ok("web.yml", f"{file.path}: {text}; passwords: {len(file.config.users)}")


def _people(web: WebSection, users: set[str]) -> Iterator[Finding]:
    """Find people who are to see something and cannot log in."""
    if web.trusted_proxies:
        return
    if not users and web.people:
        text = "web.people is set, but no user can log in by name"
        yield warning("people", text, "add basic_auth_users to web.yml, or set web.trusted_proxies")
        return
    missing = sorted(set(web.people) - users - {ANYBODY})
    if missing:
        text = f"web.people names {', '.join(missing)}, who is not in basic_auth_users of web.yml"
        yield warning("people", text, "add the name to web.yml, or take it out of web.people")


def _proxies(web: WebSection) -> Iterator[Finding]:
    """Find that each user of this machine could be anybody."""
    networks = [ipaddress.ip_network(text, strict=False) for text in web.trusted_proxies]
    if any(address in network for address in _LOOPBACKS for network in networks):
        text = f"web.trusted_proxies has the loopback: each user of this machine can send {web.user_header}"
        yield warning("people", text, "keep users off this machine, or have the proxy on another")
