"""`slurmwatchd token`: what it prints, what it leaves behind, and what it refuses."""

import json
import re
from pathlib import Path

import pytest

from slurmwatchd.config.api_tokens import find, read_tokens
from tests.integration.asked import run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "slurmwatchd.toml"
    path.write_text(
        f'[web]\ntokens_file = "{tmp_path}/tokens"\n[store]\npath = "{tmp_path}/store.db"\n', encoding="utf-8"
    )
    return path


def test_a_token_is_printed_once_alone_on_its_line(config: Path, tmp_path: Path) -> None:
    ran = run("token", "add", "portal", "--scope", "user:ada", "--config", config)
    assert ran.code == 0
    assert re.fullmatch(r"swd_[\w-]{43}\n", ran.out)
    path = tmp_path / "tokens"
    assert ran.err == f"slurmwatchd: token portal (user:ada) added to {path}; it is not shown again\n"
    found = find(read_tokens(path), ran.out.strip())
    assert found is not None
    assert found.name == "portal"
    listed = run("token", "list", "--config", config)
    assert listed.out.splitlines()[0] == "NAME\tSCOPE\tADDED"
    assert listed.out.splitlines()[1].startswith("portal\tuser:ada\t")
    assert ran.out.strip() not in listed.out


def test_tokens_are_listed_as_json_and_revoked(config: Path) -> None:
    assert run("token", "list", "--config", config, "--json").out == "[]\n"
    run("token", "add", "a", "--scope", "all", "--config", config)
    run("token", "add", "b", "--scope", "metrics", "--config", config)
    rows = json.loads(run("token", "list", "--config", config, "--json").out)
    assert [(row["name"], row["scope"]) for row in rows] == [("a", "all"), ("b", "metrics")]
    assert run("token", "revoke", "a", "--config", config).err == "slurmwatchd: token a revoked\n"
    rows = json.loads(run("token", "list", "--config", config, "--json").out)
    assert [row["name"] for row in rows] == ["b"]


def test_mistakes_are_one_line(config: Path, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    run("token", "add", "a", "--scope", "all", "--config", config)
    refused = [
        (("add", "a", "--scope", "all"), 1, f"{path}: there is a token 'a' already; "),
        (
            ("add", "b", "--scope", "every"),
            2,
            "Invalid value for '--scope': 'every' is not a scope: all, metrics, ",
        ),
        (("add", "b"), 2, "Missing option '--scope'"),
        (("add", "b c", "--scope", "all"), 2, "Invalid value for 'NAME': 'b c' is not a token's name: "),
        (("revoke", "x"), 1, f"{path}: has no token 'x'"),
    ]
    for arguments, code, message in refused:
        ran = run("token", *arguments, "--config", config)
        assert (ran.code, ran.out) == (code, ""), arguments
        assert ran.err.startswith(f"slurmwatchd: {message}"), ran.err
        assert ran.err.count("\n") == 1
    path.chmod(0o644)
    ran = run("token", "list", "--config", config)
    assert (ran.code, ran.err.count("\n")) == (78, 1)
    assert "mode 0644 lets other users read or change it: chmod 0640" in ran.err
    ran = run("token", "add", "a", "--scope", "all", "--file", tmp_path / "none" / "tokens")
    assert (ran.code, ran.err) == (
        78,
        f"slurmwatchd: {tmp_path}/none/tokens: cannot be written: No such file or directory\n",
    )
