"""`check` asks what sinks send to whether it is there: nothing is sent, and secrets are looked at first."""

from pathlib import Path

import pytest

from tests.acceptance.process import free_port
from tests.integration.check_site import Site
from tests.unit.http_server import says, serving

pytest.importorskip("httpx")


def hook(url: str, **options: str) -> str:
    lines = [f'{name} = "{value}"' for name, value in {"type": "http", "url": url, **options}.items()]
    return "\n".join(["[sinks.hook]", *lines])


def service(site: Site, *directives: str) -> Path:
    unit = site.folder / "slurmwatchd.service"
    start = f"ExecStart=/opt/slurmwatchd/bin/slurmwatchd run --config {site.folder}/slurmwatchd.toml"
    unit.write_text("\n".join(["[Service]", start, *directives, ""]))
    return unit


def test_a_receiver_that_answers_is_sent_nothing(site: Site) -> None:
    with serving(says(204)) as (url, posted):
        site.more = hook(url)
        _, found = site.ask()
    address = url.removeprefix("http://").removesuffix("/slurm")
    # The server knows no OPTIONS: it is there all the same.
    assert found["sink hook"] == ("ok", f"{address} answers (HTTP 501 to OPTIONS)", "")
    assert posted == []


def test_a_receiver_that_is_away_is_named_without_the_rest_of_its_url(site: Site) -> None:
    port = free_port()
    site.more = hook(f"http://127.0.0.1:{port}/services/secret")
    code, found = site.ask()
    mark, text, todo = found["sink hook"]
    assert (code, mark) == (1, "failed")
    assert todo == "start the receiver, or correct the sink; events wait in the store meanwhile"
    assert text.startswith(f"127.0.0.1:{port}: ")
    assert "secret" not in text


def test_a_secret_that_cannot_be_read_is_found_before_anything_is_sent(site: Site) -> None:
    key = site.folder / "hook.key"
    key.write_text("short")
    with serving(says(204)) as (url, _):
        site.more = hook(url, signing_key_file=str(key))
        _, found = site.ask()
        assert found["sink hook"][:2] == (
            "failed",
            f"signing_key_file: {key}: holds 5 bytes; at least 16 are needed",
        )
        site.more = hook(url, pseudonym_key_file=str(key)) + '\npseudonymise = ["user"]'
        _, found = site.ask()
        assert found["sink hook"][:2] == (
            "failed",
            f"pseudonym_key_file: {key}: holds 5 bytes; at least 16 are needed",
        )


def test_a_credential_is_the_units(site: Site) -> None:
    with serving(says(204)) as (url, _):
        site.more = hook(url, signing_key_file="hook.key")
        _, found = site.ask("--unit", service(site, "LoadCredential=other.key:/etc/other.key"))
        assert found["sink hook"] == (
            "failed",
            "signing_key_file: slurmwatchd.service has no credential hook.key",
            "add LoadCredential=hook.key:/etc/slurmwatchd/hook.key to it, or set an absolute path",
        )
        _, found = site.ask("--unit", service(site, "LoadCredential=hook.key:/etc/slurmwatchd/hook.key"))
        assert found["sink hook"] == (
            "ok",
            "its receiver was not asked: only the running service has the credential hook.key",
            "",
        )
