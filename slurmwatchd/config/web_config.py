"""Exporter-toolkit's `web.yml`, read as it is: TLS, client certificates, basic auth, headers.

Its form: https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md. Paths in it are
relative to its own folder. What it says and this server cannot do is refused where leaving it out would let in
someone who should stay out, and named as not used where it would not.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from slurmwatchd.config.ownership import reason
from slurmwatchd.errors import ConfigError

EXTRA = "web"
"""The extra that brings what reads the file and compares passwords."""

CLIENT_AUTH = {
    "NoClientCert": "none",
    # Asked for and not looked at: what no one looks at need not be asked for.
    "RequestClientCert": "none",
    "VerifyClientCertIfGiven": "optional",
    "RequireAndVerifyClientCert": "required",
}
VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")
HEADERS = (
    "Content-Security-Policy", "Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options",
    "X-XSS-Protection",
)  # fmt: skip

_TLS = (
    "cert_file", "key_file", "cert", "key", "client_ca_file", "client_ca", "client_auth_type",
    "client_allowed_sans", "min_version", "max_version", "cipher_suites", "prefer_server_cipher_suites",
    "curve_preferences",
)  # fmt: skip
_NOT_USED = ("curve_preferences", "prefer_server_cipher_suites")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """How the server proves who it is, and what it asks of clients.

    Attributes:
        client_auth: `none`, `optional` or `required`.
        client_names: Names of which a client's certificate must have one; empty: any.
        minimum: `TLS12`, as `maximum`.
        ciphers: For TLS 1.2, as the file has them; empty: the library's own.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None
    client_auth: str = "none"
    client_names: tuple[str, ...] = ()
    minimum: str = "TLS12"
    maximum: str = "TLS13"
    ciphers: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """What it is read from."""
        return (self.certificate, self.key, *([self.client_ca] if self.client_ca else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """The file.

    Attributes:
        users: Name to bcrypt hash.
        headers: To be sent with each answer.
        not_used: Keys that this server does not follow.
    """

    tls: TlsConfig | None = None
    users: Mapping[str, bytes] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    not_used: tuple[str, ...] = ()


def read_web_config(path: Path) -> WebConfig:
    """Read the file.

    Raises:
        ConfigError: It cannot be read, is not YAML, or says what cannot be done; the key is named.
    """
    try:
        # An extra; see `require`.
        import yaml  # noqa: PLC0415
    except ImportError:
        raise ConfigError([missing(path, "PyYAML")]) from None
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {reason(path, error, shared=True)}"]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: is not valid YAML: {' '.join(str(error).split())}"]) from error
    try:
        config = _read({} if document is None else document, path.parent)
    except ValueError as error:
        raise ConfigError([f"{path}: {error}"]) from None
    if config.users and find_spec("bcrypt") is None:
        raise ConfigError([missing(path, "bcrypt")])
    return config


def missing(path: Path, package: str) -> str:
    """Say that a library is not installed."""
    return f"{path}: needs {package}, which is not installed: install slurmwatchd[{EXTRA}]"


def _read(document: Any, folder: Path) -> WebConfig:  # noqa: ANN401 - whatever stands in the file
    top = _table(document, "", ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"))
    tls = _table(top.get("tls_server_config") or {}, "tls_server_config.", _TLS)
    http = _table(top.get("http_server_config") or {}, "http_server_config.", ("http2", "headers"))
    headers = _table(http.get("headers") or {}, "http_server_config.headers.", HEADERS)
    users = top.get("basic_auth_users") or {}
    if not isinstance(users, Mapping) or not all(isinstance(name, str) for name in users):
        raise ValueError("basic_auth_users: must be a table of names and bcrypt hashes")
    for name, digest in users.items():
        if not isinstance(digest, str) or not digest.startswith(("$2a$", "$2b$", "$2y$")):
            raise ValueError(f"basic_auth_users.{name}: is not a bcrypt hash, such as `htpasswd -nB` writes")
    not_used = [f"tls_server_config.{name}" for name in _NOT_USED if tls.get(name)]
    not_used += ["rate_limit"] if top.get("rate_limit") else []
    return WebConfig(
        tls=_tls(tls, folder) if tls else None,
        users={name: digest.encode() for name, digest in users.items()},
        headers={name: str(value) for name, value in headers.items() if value},
        not_used=tuple(not_used),
    )


def _tls(tls: Mapping[str, Any], folder: Path) -> TlsConfig:
    for name in ("cert", "key", "client_ca"):
        if tls.get(name):
            raise ValueError(f"tls_server_config.{name}: name a file: {name}_file")
    kind = _one_of(tls, "client_auth_type", "NoClientCert", CLIENT_AUTH)
    ca, names = tls.get("client_ca_file") or "", _texts(tls, "client_allowed_sans")
    if bool(ca) != (CLIENT_AUTH[kind] != "none"):
        raise ValueError("tls_server_config: client_ca_file and client_auth_type go together")
    if names and CLIENT_AUTH[kind] != "required":
        raise ValueError(
            "tls_server_config.client_allowed_sans: needs client_auth_type RequireAndVerifyClientCert"
        )
    return TlsConfig(
        certificate=_file(tls, "cert_file", folder),
        key=_file(tls, "key_file", folder),
        client_ca=_file(tls, "client_ca_file", folder) if ca else None,
        client_auth=CLIENT_AUTH[kind],
        client_names=names,
        minimum=_one_of(tls, "min_version", "TLS12", VERSIONS),
        maximum=_one_of(tls, "max_version", "TLS13", VERSIONS),
        ciphers=_texts(tls, "cipher_suites"),
    )


def _file(tls: Mapping[str, Any], name: str, folder: Path) -> Path:
    if not isinstance(tls.get(name), str) or not tls[name]:
        raise ValueError(f"tls_server_config.{name}: must name a file")
    return folder / str(tls[name])


def _one_of(tls: Mapping[str, Any], name: str, default: str, known: Collection[str]) -> str:
    value = tls.get(name) or default
    if value not in known:
        raise ValueError(f"tls_server_config.{name}: {value!r} cannot be used here; one of {', '.join(known)}")
    return str(value)


def _texts(tls: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = tls.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"tls_server_config.{name}: must be a list of texts")
    return tuple(values)


def _table(value: Any, prefix: str, known: tuple[str, ...]) -> Mapping[str, Any]:  # noqa: ANN401 - as above
    if not isinstance(value, Mapping):
        raise ValueError(f"{prefix.rstrip('.') or 'the file'}: must be a table")  # noqa: TRY004 - the file's fault
    if unknown := [str(name) for name in value if name not in known]:
        raise ValueError(f"{prefix}{unknown[0]}: unknown key")
    return value
