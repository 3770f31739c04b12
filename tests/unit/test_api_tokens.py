"""The file of the API's tokens: what stands in it, who may read it, and that a change counts at once."""

import hashlib
import os
import re
import stat
from pathlib import Path

import pytest

from slurmwatchd.config.api_tokens import (
    ScopeKind,
    TokenFile,
    TokenScope,
    add_token,
    find,
    read_tokens,
    revoke_token,
)
from slurmwatchd.errors import ConfigError

MOMENT = "2026-11-29T01:00:00Z"


def add(path: Path, name: str, scope: str) -> str:
    return add_token(path, name, TokenScope.parse(scope), added=MOMENT, state_folder=path.parent)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("all", ScopeKind.ALL, ""),
        ("metrics", ScopeKind.METRICS, ""),
        ("user:ada", ScopeKind.USER, "ada"),
        ("account:physics", ScopeKind.ACCOUNT, "physics"),
        ("user:ada@example.org:x", ScopeKind.USER, "ada@example.org:x"),
    ],
)
def test_scopes(text: str, kind: ScopeKind, name: str) -> None:
    scope = TokenScope.parse(text)
    assert (scope.kind, scope.name, str(scope)) == (kind, name, text)


@pytest.mark.parametrize(
    "text", ["", "user", "user:", "all:x", "metrics:", "users:ada", "ALL", "user:a b", "user:\n"]
)
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"scope|blank"):
        TokenScope.parse(text)


def test_a_file_has_the_hash_and_not_the_token(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    token = add(path, "grafana", "all")
    assert re.fullmatch(r"swd_[\w-]{43}", token)
    text = path.read_text()
    assert token not in text
    assert f"grafana all sha256:{hashlib.sha256(token.encode()).hexdigest()} {MOMENT}\n" in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [file.name for file in tmp_path.iterdir()] == ["tokens"]


def test_a_token_is_found_by_itself_only(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    one, other = add(path, "one", "user:ada"), add(path, "other", "metrics")
    tokens = read_tokens(path)
    assert [token.name for token in tokens] == ["one", "other"]
    found = find(tokens, one)
    assert found is not None
    assert (found.name, str(found.scope)) == ("one", "user:ada")
    assert find(tokens, other) is tokens[1]
    for wrong in ("", one[:-1], one + "x", one.upper(), "one", tokens[0].digest.hex(), "\udcff"):
        assert find(tokens, wrong) is None


def test_every_digest_is_compared_whichever_token_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tokens"
    first = add(path, "a", "all")
    for name in "bcd":
        add(path, name, "all")
    tokens = read_tokens(path)
    compared: list[bytes] = []

    def counting(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr("slurmwatchd.config.api_tokens.hmac.compare_digest", counting)
    for presented in (first, "wrong"):
        compared.clear()
        find(tokens, presented)
        assert compared == [token.digest for token in tokens]


def test_a_name_is_given_once_and_revoked_once(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    add(path, "one", "all")
    with pytest.raises(ValueError, match=r"there is a token 'one' already"):
        add(path, "one", "all")
    with pytest.raises(ValueError, match=r"'a b' is not a token's name"):
        add(path, "a b", "all")
    revoke_token(path, "one", state_folder=tmp_path)
    assert read_tokens(path) == ()
    with pytest.raises(ValueError, match=r"has no token 'one'"):
        revoke_token(path, "one", state_folder=tmp_path)


def test_a_changed_file_counts_at_once(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    file = TokenFile(path)
    assert file.tokens() == ()
    add(path, "one", "all")
    assert [token.name for token in file.tokens()] == ["one"]
    add(path, "two", "all")
    revoke_token(path, "one", state_folder=tmp_path)
    assert [token.name for token in file.tokens()] == ["two"]
    path.unlink()
    assert file.tokens() == ()


def test_no_token_is_valid_while_the_file_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    add(path, "one", "all")
    file = TokenFile(path)
    assert file.tokens()
    good = path.read_text()
    path.write_text(good + "two all sha256:12 x\n")
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"tokens: line 3: is not: name, scope, hash, moment"):
            file.tokens()
    path.write_text(good)
    assert [token.name for token in file.tokens()] == ["one"]


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604, 0o666, 0o602])
def test_a_file_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "tokens"
    add(path, "one", "all")
    path.chmod(mode)
    with pytest.raises(ConfigError, match=rf"mode {mode:04o} lets other users read or change it: chmod 0640"):
        read_tokens(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_refused_and_one_of_the_service_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    add(path, "one", "all")
    os.chown(path, 12345, 12346)
    with pytest.raises(ConfigError, match="belongs to the user 12345, and neither to root nor to this user"):
        read_tokens(path)
    os.chown(tmp_path, 12345, -1)
    add(path, "two", "all")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_makes_the_services_group_may_read(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 12345, 12346)
    add_token(tmp_path / "tokens", "one", TokenScope.parse("all"), added=MOMENT, state_folder=state)
    made = (tmp_path / "tokens").stat()
    assert (made.st_uid, made.st_gid, stat.S_IMODE(made.st_mode)) == (0, 12346, 0o640)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("one all", "line 1: is not: name, scope, hash, moment"),
        (f"one all md5:aa {MOMENT}", "line 1: is not: name, scope, hash, moment"),
        (f"one none sha256:{'a' * 64} {MOMENT}", "line 1: 'none' is not a scope"),
        (f"one all sha256:{'a' * 64} {MOMENT}\none all sha256:{'b' * 64} {MOMENT}", "line 2: there is a token"),
    ],
)
def test_a_line_that_is_no_token_is_named(tmp_path: Path, line: str, fault: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(line + "\n")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=re.escape(fault)):
        read_tokens(path)
