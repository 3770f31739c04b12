"""`check` on the file of tokens, `web.yml`, and the people who are to log in."""

import os
import time
from pathlib import Path

import bcrypt
import pytest

from slurmwatchd.config.api_tokens import TokenScope, add_token
from slurmwatchd.config.settings import WebSection
from slurmwatchd.operations.doctor.web import examine
from tests.integration.asked import run

HASH = bcrypt.hashpw(b"s3cret", bcrypt.gensalt(4)).decode()


def found(folder: Path, **settings: object) -> list[tuple[str, str, str]]:
    section = WebSection.model_validate({"tokens_file": folder / "tokens", **settings})
    return [(str(finding.mark), finding.check, finding.text) for finding in examine(section, now=time.time())]


def written(folder: Path, text: str) -> str:
    (folder / "web.yml").write_text(text)
    return str(folder / "web.yml")


def token(folder: Path, name: str, scope: str) -> None:
    add_token(folder / "tokens", name, TokenScope.parse(scope), added="2026-11-29T00:00:00Z", state_folder=folder)


def test_tokens_are_named_with_what_they_show(tmp_path: Path) -> None:
    none = f"{tmp_path}/tokens: there are none, so the API and the pages take no token"
    assert found(tmp_path) == [("ok", "tokens", none)]
    token(tmp_path, "portal", "all")
    token(tmp_path, "ada", "user:ada")
    assert found(tmp_path) == [("ok", "tokens", f"{tmp_path}/tokens: portal (all), ada (user:ada)")]
    assert found(tmp_path, listen="") == []


def test_a_file_of_tokens_that_the_daemon_would_refuse_fails(tmp_path: Path) -> None:
    token(tmp_path, "portal", "all")
    (tmp_path / "tokens").chmod(0o644)
    (mark, check, text), *_ = found(tmp_path)
    assert (mark, check) == ("failed", "tokens")
    assert "mode 0644 lets other users read or change it" in text
    (tmp_path / "tokens").write_text("portal all nonsense 2026\n")
    (tmp_path / "tokens").chmod(0o640)
    assert "line 1: is not: name, scope, hash, moment" in found(tmp_path)[0][2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("basic_auth_users:\n  ann: plain\n", "basic_auth_users.ann: is not a bcrypt hash"),
        ("tls_server_config:\n  cert_file: no.pem\n  key_file: no.key\n", "no.pem: cannot be read"),
        ("basic_auth_user: {}\n", "basic_auth_user: unknown key"),
        ("a: [\n", "is not valid YAML"),
    ],
)
def test_a_wrong_web_yml_fails_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    _, (mark, check, what) = found(tmp_path, web_config=written(tmp_path, text))
    assert (mark, check) == ("failed", "web.yml")
    assert said in what
    assert f"{tmp_path}/web.yml" in what


def test_a_good_web_yml_says_what_it_gives(tmp_path: Path) -> None:
    path = written(tmp_path, f"basic_auth_users:\n  ann: {HASH}\n  bob: {HASH}\n")
    people = {"ann": "all", "*": "own"}
    assert found(tmp_path, web_config=path, people=people)[1:] == [
        ("ok", "web.yml", f"{path}: no TLS; passwords: 2")
    ]


def test_people_who_cannot_log_in_are_named(tmp_path: Path) -> None:
    assert found(tmp_path, people={"ann": "own"})[1:] == [
        ("warning", "people", "web.people is set, but no user can log in by name")
    ]
    path = written(tmp_path, f"basic_auth_users:\n  ann: {HASH}\n")
    assert found(tmp_path, web_config=path, people={"ann": "all", "eve": "own", "*": "own"})[2:] == [
        ("warning", "people", "web.people names eve, who is not in basic_auth_users of web.yml")
    ]
    assert found(tmp_path, people={"ann": "own"}, trusted_proxies=["192.0.2.7"])[1:] == []


@pytest.mark.parametrize("proxy", ["127.0.0.1", "127.0.0.0/8", "0.0.0.0/0", "::1"])
def test_a_proxy_on_the_loopback_is_warned_of(tmp_path: Path, proxy: str) -> None:
    text = "web.trusted_proxies has the loopback: each user of this machine can send X-Remote-User"
    assert found(tmp_path, people={"*": "own"}, trusted_proxies=[proxy])[1:] == [("warning", "people", text)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_fails(tmp_path: Path) -> None:
    token(tmp_path, "portal", "all")
    (tmp_path / "tokens").chmod(0)
    assert found(tmp_path)[0][0] == "failed"


def test_the_command_shows_them(tmp_path: Path) -> None:
    token(tmp_path, "portal", "all")
    file = tmp_path / "slurmwatchd.toml"
    file.write_text(
        f'[slurm]\nbin_dir = "{tmp_path}"\n[store]\npath = "{tmp_path}/store.db"\n'
        f'[web]\nlisten = "127.0.0.1:0"\ntokens_file = "{tmp_path}/tokens"\n'
    )
    ran = run("check", "--config", file, "--unit", "")
    assert f"ok       tokens: {tmp_path}/tokens: portal (all)" in ran.out
