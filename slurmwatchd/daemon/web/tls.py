"""The server's TLS, from exporter-toolkit's `web.yml`, and again when that or a certificate has changed."""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path

from slurmwatchd.config.file_stamps import stamp
from slurmwatchd.config.ownership import reason
from slurmwatchd.config.settings import WebSection
from slurmwatchd.config.units import is_loopback
from slurmwatchd.config.web_config import TlsConfig, WebConfig, read_web_config
from slurmwatchd.errors import ConfigError
from slurmwatchd.telemetry.log import get_logger

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_CLIENT_AUTH = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}

_log = get_logger(__name__)


class ServerContext(ssl.SSLContext):
    """A server's context that knows which clients may come.

    Attributes:
        client_names: Of these names a client's certificate must have one; empty: any.
    """

    client_names: tuple[str, ...] = ()


def is_named(transport: asyncio.BaseTransport) -> bool:
    """Tell whether a client's certificate has a name that may come; without TLS anybody may."""
    connection = transport.get_extra_info("ssl_object")
    allowed = connection.context.client_names if connection is not None else ()
    if not allowed:
        return True
    certificate = connection.getpeercert() or {}
    return any(name in allowed for _, name in certificate.get("subjectAltName", ()))


def context_of(tls: TlsConfig, path: Path) -> ServerContext:
    """Return a context for a server.

    Raises:
        ConfigError: A file cannot be read or is none of its kind, or OpenSSL has no such cipher.
    """
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.client_names = tls.client_names
    context.minimum_version, context.maximum_version = _VERSIONS[tls.minimum], _VERSIONS[tls.maximum]
    file = tls.certificate
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.client_ca is not None:
            file = tls.client_ca
            context.load_verify_locations(tls.client_ca)
    except ssl.SSLError as error:
        raise ConfigError([f"{path}: {file}: is no certificate with its key: {error.reason}"]) from error
    except OSError as error:
        broken = next((one for one in tls.files if not one.is_file()), file)
        raise ConfigError([f"{path}: {broken}: cannot be read: {reason(broken, error, shared=True)}"]) from error
    context.verify_mode = _CLIENT_AUTH[tls.client_auth]
    # Those of TLS 1.3 are not for anybody to choose.
    names = [_openssl_name(suite) for suite in tls.ciphers if "_WITH_" in suite]
    for suite, name in zip((suite for suite in tls.ciphers if "_WITH_" in suite), names, strict=True):
        try:
            context.set_ciphers(name)
        except ssl.SSLError:
            raise ConfigError([f"{path}: tls_server_config.cipher_suites: OpenSSL has no {suite}"]) from None
    if names:
        context.set_ciphers(":".join(names))
    return context


def _openssl_name(suite: str) -> str:
    """Return OpenSSL's name of a suite that Go calls `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`."""
    name = suite.removeprefix("TLS_").removeprefix("RSA_WITH_").replace("_WITH_", "_")
    name = name.replace("AES_128", "AES128").replace("AES_256", "AES256").replace("_CBC_SHA", "_SHA")
    return name.replace("POLY1305_SHA256", "POLY1305").replace("_", "-")


class WebConfigFile:
    """The file as the server follows it.

    Attributes:
        config: What is in force.
        context: Its TLS; None where it has none.
    """

    def __init__(self, path: Path) -> None:
        """Read it.

        Raises:
            ConfigError: It cannot be used.
        """
        self.path = path
        self.config, self.context = self._load()
        self._seen = self._look()
        self._fault = ""

    @property
    def certificate(self) -> Path | None:
        """The server's certificate in force; None without TLS."""
        return None if self.config.tls is None else self.config.tls.certificate

    def refresh(self) -> bool:
        """Read it again where it, or a file it names, has changed; tell whether something else is in force now.

        What cannot be used changes nothing and is logged once.
        """
        seen = self._look()
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            config, context = self._load()
        except ConfigError as error:
            return self._refuse(str(error))
        if self.context is not None and context is None:
            return self._refuse(f"{self.path}: has no tls_server_config any more; only a restart ends TLS")
        self.config, self.context, self._fault = config, context, ""
        self._seen = self._look()
        _log.info("web.yml reloaded", path=str(self.path))
        return True

    def _refuse(self, fault: str) -> bool:
        if fault != self._fault:
            self._fault = fault
            _log.error("web.yml not reloaded, the old one stays in force", error=fault)
        return False

    def _load(self) -> tuple[WebConfig, ServerContext | None]:
        config = read_web_config(self.path)
        if config.not_used:
            _log.warning(
                "web.yml has keys that are not used", path=str(self.path), keys=", ".join(config.not_used)
            )
        return config, None if config.tls is None else context_of(config.tls, self.path)

    def _look(self) -> Mapping[Path, object]:
        files = (self.path, *(self.config.tls.files if self.config.tls else ()))
        return {file: stamp(file) for file in files}


def web_config_file(web: WebSection) -> WebConfigFile | None:
    """Return the file that the configuration names, read; None where it names none.

    Raises:
        ConfigError: It cannot be used, or has no TLS for an address that needs it.
    """
    if not web.listen or not web.web_config:
        return None
    file = WebConfigFile(Path(web.web_config))
    if file.context is None and not web.insecure and not is_loopback(web.listen):
        fault = f"has no tls_server_config, and web.listen {web.listen} is not the loopback"
        raise ConfigError([f"{file.path}: {fault}: add TLS, or set web.insecure = true"])
    return file
