"""Exporter-toolkit's `web.yml`: what is taken from it, and what is refused by the name of its key."""

import re
from pathlib import Path

import pytest

from slurmwatchd.config.loader import load
from slurmwatchd.config.settings import WebSection
from slurmwatchd.config.web_config import TlsConfig, read_web_config
from slurmwatchd.daemon.web.tls import _openssl_name
from slurmwatchd.errors import ConfigError

# The example of exporter-toolkit's own page, but for what only Go has.
WHOLE = """
tls_server_config:
  cert_file: tls/server.crt
  key_file: /etc/ssl/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus.example.org]
  min_version: TLS13
  max_version: TLS13
  cipher_suites:
    - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
  prefer_server_cipher_suites: true
  curve_preferences: [CurveP256]
http_server_config:
  http2: true
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Frame-Options:
basic_auth_users:
  alice: $2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze
rate_limit:
  interval: 1s
  burst: 20
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "web.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_file_is_taken(tmp_path: Path) -> None:
    config = read_web_config(written(tmp_path, WHOLE))
    assert config.tls == TlsConfig(
        certificate=tmp_path / "tls" / "server.crt",
        key=Path("/etc/ssl/server.key"),
        client_ca=tmp_path / "ca.pem",
        client_auth="required",
        client_names=("prometheus.example.org",),
        minimum="TLS13",
        maximum="TLS13",
        ciphers=("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",),
    )
    assert config.users == {"alice": b"$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"}
    assert config.headers == {"Strict-Transport-Security": "max-age=31536000"}
    assert config.not_used == (
        "tls_server_config.curve_preferences",
        "tls_server_config.prefer_server_cipher_suites",
        "rate_limit",
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "tls_server_config:\n", "basic_auth_users: {}\n"])
def test_an_empty_file_asks_for_nothing(tmp_path: Path, text: str) -> None:
    config = read_web_config(written(tmp_path, text))
    assert (config.tls, config.users, config.headers, config.not_used) == (None, {}, {}, ())


PAIR = "tls_server_config:\n  cert_file: a\n  key_file: b\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("tls_server: {}", "tls_server: unknown key"),
        ("- a", "the file: must be a table"),
        ("a: [", "is not valid YAML: "),
        ("tls_server_config: {cert: x}", "tls_server_config.cert: name a file: cert_file"),
        ("tls_server_config: {key_file: x}", "tls_server_config.cert_file: must name a file"),
        (PAIR + "  sni: x", "tls_server_config.sni: unknown key"),
        (
            PAIR + "  min_version: SSL3",
            "tls_server_config.min_version: 'SSL3' cannot be used here; one of TLS10, ",
        ),
        (
            PAIR + "  client_auth_type: RequireAnyClientCert\n  client_ca_file: x",
            "tls_server_config.client_auth_type",
        ),
        (PAIR + "  client_ca_file: x", "tls_server_config: client_ca_file and client_auth_type go together"),
        (
            PAIR + "  client_auth_type: RequireAndVerifyClientCert",
            "tls_server_config: client_ca_file and client_auth",
        ),
        (PAIR + "  client_allowed_sans: [x]", "tls_server_config.client_allowed_sans: needs client_auth_type"),
        (PAIR + "  cipher_suites: x", "tls_server_config.cipher_suites: must be a list of texts"),
        ("basic_auth_users: {ann: secret}", "basic_auth_users.ann: is not a bcrypt hash"),
        ("basic_auth_users: [ann]", "basic_auth_users: must be a table of names and bcrypt hashes"),
        ("http_server_config: {headers: {X-Other: y}}", "http_server_config.headers.X-Other: unknown key"),
    ],
)
def test_a_mistake_is_named_by_its_key(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path}/web.yml: {fault}")):
        read_web_config(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"web.yml: cannot be read: No such file or directory"):
        read_web_config(tmp_path / "web.yml")


@pytest.mark.parametrize(
    ("suite", "name"),
    [
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"),
        ("TLS_RSA_WITH_AES_128_CBC_SHA256", "AES128-SHA256"),
        ("TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
    ],
)
def test_suites_have_the_names_that_openssl_has_for_them(suite: str, name: str) -> None:
    assert _openssl_name(suite) == name


@pytest.mark.parametrize(
    ("listen", "more", "refused"),
    [
        ("127.0.0.1:1", {}, False),
        ("127.8.8.8:1", {}, False),
        ("[::1]:1", {}, False),
        ("localhost:1", {}, False),
        ("", {}, False),
        ("0.0.0.0:1", {}, True),
        ("10.1.2.3:1", {}, True),
        ("[::]:1", {}, True),
        ("10.1.2.3:1", {"insecure": True}, False),
        ("10.1.2.3:1", {"web_config": "/etc/web.yml"}, False),
    ],
)
def test_an_address_of_the_network_needs_tls_or_says_that_it_has_none(
    listen: str, more: dict[str, object], *, refused: bool
) -> None:
    flags = {"web": {"listen": listen, **more}}
    if not refused:
        assert WebSection.model_validate(flags["web"]).listen == listen
        return
    with pytest.raises(ConfigError, match=r"command line: web: listen .* is not the loopback: it needs TLS"):
        load(None, sink_options={}, environ={}, flags=flags)
