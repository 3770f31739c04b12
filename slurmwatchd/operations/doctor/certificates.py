"""Certificates that end soon, or have ended: the web server's own, and those that sinks name."""

from collections.abc import Iterator
from pathlib import Path

from slurmwatchd.config.certificates import Validity, validities
from slurmwatchd.config.settings import Config
from slurmwatchd.config.units import spoken_duration
from slurmwatchd.config.web_config import TlsConfig
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.operations.doctor.findings import Finding, failed, ok, warning
from slurmwatchd.sinks.credentials import TlsFiles, credential_path
from slurmwatchd.sinks.registry import sinks_of

_WEB = "renew it; the daemon takes the new file by itself"
_SINK = "renew it; the sink takes the new file when it connects again"


def of_web(tls: TlsConfig, now: float) -> Iterator[Finding]:
    """Look at what `web.yml` names.

    Args:
        tls: Its `tls_server_config`.
        now: Epoch seconds.
    """
    yield from _own("certificate", tls.certificate, now, _WEB)
    if tls.client_ca is not None:
        yield from _trusted("certificate", tls.client_ca, now, _WEB)


def of_sinks(config: Config, now: float) -> Iterator[Finding]:
    """Look at what sinks name.

    A name without a folder stands for one of systemd's credentials, which only the service has.
    """
    for name, options in sinks_of(config).items():
        if isinstance(options, TlsFiles):
            for text, look in ((options.tls_certificate_file, _own), (options.tls_ca_file, _trusted)):
                path = credential_path(text)
                if text and (path.is_absolute() or path.is_file()):
                    yield from look(f"sink {name}", path, now, _SINK)


def _own(check: str, path: Path, now: float, todo: str) -> Iterator[Finding]:
    """Look at a certificate and those between it and its authority: the first to end ends it."""
    try:
        found = validities(path)
    except (OSError, ValueError) as error:
        yield _unreadable(check, path, error)
        return
    yield _judged(check, path, min(found), now, todo)
    if (begin := max(validity.begin for validity in found)) > now:
        yield failed(
            check, f"{path}: is not valid before {rfc3339(begin)}", "set the clock, or use another certificate"
        )


def _trusted(check: str, path: Path, now: float, todo: str) -> Iterator[Finding]:
    """Look at a file of authorities, of which one that is good is enough: such files keep old ones."""
    try:
        last = max(validities(path))
    except (OSError, ValueError) as error:
        yield _unreadable(check, path, error)
        return
    if last.ends_soon(now):
        yield _judged(check, path, last, now, todo)


def _judged(check: str, path: Path, validity: Validity, now: float, todo: str) -> Finding:
    left = validity.end - now
    if left <= 0:
        return failed(check, f"{path}: expired {spoken_duration(-left)} ago, at {rfc3339(validity.end)}", todo)
    text = f"{path}: expires in {spoken_duration(left)}, at {rfc3339(validity.end)}"
    return warning(check, text, todo) if validity.ends_soon(now) else ok(check, text)


def _unreadable(check: str, path: Path, error: OSError | ValueError) -> Finding:
    said = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
    return failed(check, f"{path}: {said}", "name another file, or run this check as the service's user")
