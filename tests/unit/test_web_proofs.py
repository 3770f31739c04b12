"""The proof that opens `/-/status`: good for its store and its minute."""

import pytest

from slurmwatchd.daemon.web import proofs

OURS, OTHER = bytes(range(32)), bytes(32)
NOW = 1_795_500_030.0


@pytest.mark.parametrize(
    ("later", "holds"), [(0, True), (29, True), (89, True), (-89, True), (151, False), (-151, False)]
)
def test_a_proof_holds_for_about_a_minute(later: int, *, holds: bool) -> None:
    assert proofs.is_proof(OURS, proofs.proof(OURS, now=NOW), now=NOW + later) is holds


def test_a_proof_is_of_one_store_and_whole() -> None:
    made = proofs.proof(OURS, now=NOW)
    assert made.startswith("Slurmwatchd-Store ")
    assert not proofs.is_proof(OTHER, made, now=NOW)
    for wrong in (
        "",
        "Bearer x",
        made[:-1],
        f"{made}0",
        made.replace("Slurmwatchd-Store", "Basic"),
        "Slurmwatchd-Store \xe9",
    ):
        assert not proofs.is_proof(OURS, wrong, now=NOW), wrong
