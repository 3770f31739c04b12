"""The TLS context of sinks: made once, and again when a certificate was renewed."""

import shutil
from pathlib import Path

from slurmwatchd.sinks.tls import client_context
from slurmwatchd.sinks.webhook.options import HttpOptions
from tests.brokers.victims import certify


def _options(certificate: Path | str, key: Path | str) -> HttpOptions:
    return HttpOptions.model_validate(
        {
            "type": "http", "url": "https://hook.example.org/", "tls_ca_file": str(certificate),
            "tls_certificate_file": str(certificate), "tls_key_file": str(key),
        }
    )  # fmt: skip


def test_a_context_is_made_again_only_when_a_file_has_changed(tmp_path: Path) -> None:
    certificate, key = certify(tmp_path)
    first = client_context(_options(certificate, key))
    assert client_context(_options(certificate, key)) is first
    assert len(first.get_ca_certs()) == 1
    issued = first.get_ca_certs()[0]["serialNumber"]
    certify(tmp_path)
    renewed = client_context(_options(certificate, key))
    assert renewed is not first
    assert renewed.get_ca_certs()[0]["serialNumber"] != issued


def test_a_certificate_that_another_file_took_the_place_of_is_read(tmp_path: Path) -> None:
    certificate, key = certify(tmp_path)
    first = client_context(_options(certificate, key))
    shutil.copy2(certificate, tmp_path / "new.pem")
    (tmp_path / "new.pem").replace(certificate)
    assert client_context(_options(certificate, key)) is not first


def test_the_authorities_of_the_system_are_read_once() -> None:
    assert client_context(_options("", "")) is client_context(_options("", ""))
