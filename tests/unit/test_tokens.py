"""What a token says of its user and its end."""

from pathlib import Path

import pytest

from slurmwatchd.errors import TokenError
from slurmwatchd.sources.tokens import SlurmToken, read_token, text_in, token_in
from tests.tokens import token


def test_a_token_of_slurms_own_is_read() -> None:
    """As `scontrol token username=root` prints one: no padding."""
    text = (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
        "eyJleHAiOjE3OTU5MDAwMDAsImlhdCI6MTc5NTgwMDAwMCwic3VuIjoicm9vdCJ9.c2ln"
    )
    assert read_token(text) == SlurmToken("root", 1_795_900_000.0)
    assert read_token(f" {text}\n") == SlurmToken("root", 1_795_900_000.0)


def test_claims_in_the_alphabet_of_base64url_are_read() -> None:
    made = token({"sun": "\u00fc\u00ff\u00bf>>>???", "exp": 5})
    assert read_token(made) == SlurmToken("\u00fc\u00ff\u00bf>>>???", 5.0)


@pytest.mark.parametrize(
    "text",
    ["daemon", "a.b", "a.b.c.d", "a.!!!.c", "..", "a.bm90IGpzb24.c", "a.W10.c", "a.e30.c", "a.MQ.c", "a.\u00e9.c"],
)
def test_what_is_no_token_says_nothing(text: str) -> None:
    assert read_token(text) == SlurmToken("", None)


@pytest.mark.parametrize("expires", ["1795900000", True, None, [1], float("inf"), float("nan")])
def test_an_end_that_is_no_number_is_none(expires: object) -> None:
    assert read_token(token({"sun": "ann", "exp": expires})) == SlurmToken("ann", None)


@pytest.mark.parametrize("user", [0, None, ["ann"]])
def test_a_user_that_is_no_text_is_none(user: object) -> None:
    assert read_token(token({"sun": user, "exp": 5})) == SlurmToken("", 5.0)


def test_an_environment_without_a_token_has_none() -> None:
    assert token_in({}) is None
    assert token_in({"SLURM_JWT": ""}) is None
    assert token_in({"SLURM_JWT": token({"sun": "ann"})}) == SlurmToken("ann", None)


@pytest.mark.parametrize("written", ["a.b.c", "a.b.c\n", "  a.b.c \n\n", "SLURM_JWT=a.b.c\n", "SLURM_JWT= a.b.c"])
def test_a_file_may_hold_what_scontrol_token_prints(tmp_path: Path, written: str) -> None:
    (tmp_path / "token").write_text(written)
    assert text_in(tmp_path / "token") == "a.b.c"


@pytest.mark.parametrize(
    ("written", "why"),
    [(b"", "it is empty"), (b" \n", "it is empty"), (b"SLURM_JWT=\n", "it is empty"), (b"a b", "this is no token"),
     (b"\xff\xfe", "this is no token")],
)  # fmt: skip
def test_a_file_without_a_token_is_named_with_the_key(tmp_path: Path, written: bytes, why: str) -> None:
    (tmp_path / "token").write_bytes(written)
    with pytest.raises(TokenError) as caught:
        text_in(tmp_path / "token")
    assert str(caught.value) == f"slurm.jwt_file: {tmp_path}/token: {why}"


def test_a_file_that_is_not_there_is_named_with_the_key(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match=rf"^slurm.jwt_file: {tmp_path}/token: No such file or directory$"):
        text_in(tmp_path / "token")
