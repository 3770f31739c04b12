"""What a token says of its user and its end."""

import pytest

from slurmwatchd.sources.tokens import Token, read_token, token_in
from tests.tokens import token


def test_a_token_of_slurms_own_is_read() -> None:
    """As `scontrol token username=root` prints one: no padding."""
    text = (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
        "eyJleHAiOjE3OTU5MDAwMDAsImlhdCI6MTc5NTgwMDAwMCwic3VuIjoicm9vdCJ9.c2ln"
    )
    assert read_token(text) == Token("root", 1_795_900_000.0)
    assert read_token(f" {text}\n") == Token("root", 1_795_900_000.0)


def test_claims_in_the_alphabet_of_base64url_are_read() -> None:
    made = token({"sun": "\u00fc\u00ff\u00bf>>>???", "exp": 5})
    assert read_token(made) == Token("\u00fc\u00ff\u00bf>>>???", 5.0)


@pytest.mark.parametrize(
    "text",
    ["daemon", "a.b", "a.b.c.d", "a.!!!.c", "..", "a.bm90IGpzb24.c", "a.W10.c", "a.e30.c", "a.MQ.c", "a.\u00e9.c"],
)
def test_what_is_no_token_says_nothing(text: str) -> None:
    assert read_token(text) == Token("", None)


@pytest.mark.parametrize("expires", ["1795900000", True, None, [1], float("inf"), float("nan")])
def test_an_end_that_is_no_number_is_none(expires: object) -> None:
    assert read_token(token({"sun": "ann", "exp": expires})) == Token("ann", None)


@pytest.mark.parametrize("user", [0, None, ["ann"]])
def test_a_user_that_is_no_text_is_none(user: object) -> None:
    assert read_token(token({"sun": user, "exp": 5})) == Token("", 5.0)


def test_an_environment_without_a_token_has_none() -> None:
    assert token_in({}) is None
    assert token_in({"SLURM_JWT": ""}) is None
    assert token_in({"SLURM_JWT": token({"sun": "ann"})}) == Token("ann", None)
