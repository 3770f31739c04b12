"""Bad nodes: found among a thousand, and no other accused, whatever users do."""

import math

import pytest

from slurmwatchd.model.suspects import Suspect, poisson_tail
from tests.bench.bench_suspects import month
from tests.suspects_row_by_row import Counted, span_of


def one(node: str, user: str, *, failed: bool, quick: bool = False, array: str = "", nodes: int = 1) -> Counted:
    names = [node, *(f"{node}-{number}" for number in range(1, nodes))]
    return Counted(names, "main", user, array, 1, int(failed), int(quick))


def accused(rows: list[Counted]) -> list[str]:
    return [suspect.node for suspect in span_of(rows).suspects()]


def ranked(rows: list[Counted]) -> list[Suspect]:
    return span_of(rows).ranked()


@pytest.mark.parametrize("seed", [1, 2])
def test_three_bad_nodes_of_a_thousand_are_found_and_at_most_one_other_accused(seed: int) -> None:
    rows, bad = month(seed)
    found = accused(rows)
    assert set(found[:3]) == bad
    assert len(found) <= 4


def test_a_broken_array_on_many_nodes_accuses_none() -> None:
    rows = [one(f"n{n}", f"u{n % 7}", failed=(n + i) % 20 == 0) for n in range(200) for i in range(10)]
    rows += [one(f"n{n}", "ann", failed=True, quick=True, array="77") for n in range(200) for _ in range(3)]
    assert accused(rows) == []


def test_nodes_where_many_users_broken_arrays_meet_are_not_accused() -> None:
    rows = [one(f"n{n}", f"u{n % 7}", failed=(n + i) % 20 == 0) for n in range(200) for i in range(10)]
    for user in range(8):
        rows += [one(f"n{n}", f"v{user}", failed=True, quick=True, array=str(user)) for n in range(30)] * 3
    assert accused(rows) == []


def test_one_user_alone_accuses_no_node() -> None:
    rows = [one(f"n{n}", f"u{n % 7}", failed=(n + i) % 25 == 0) for n in range(200) for i in range(10)]
    rows += [one("n5", "ann", failed=True, quick=True, array=str(array)) for array in range(20) for _ in range(20)]
    assert accused(rows) == []


def test_a_black_hole_that_eats_a_third_of_all_jobs_is_named_first() -> None:
    rows = [one(f"n{n}", f"u{i % 9}", failed=(n + i) % 25 == 0) for n in range(50) for i in range(10)]
    rows += [one("n7", f"u{i % 9}", failed=True, quick=True) for i in range(250)]
    first = ranked(rows)[0]
    assert (first.node, first.is_suspect, first.users) == ("n7", True, 9)
    assert first.quick_failures >= 250


def test_a_failure_on_many_nodes_is_shared_out() -> None:
    rows = [one("a", f"u{number}", failed=True, nodes=100) for number in range(10)]
    (first, *_) = ranked(rows)
    assert first.failures == pytest.approx(0.1)
    assert not any(suspect.is_suspect for suspect in ranked(rows))


def test_a_node_that_slurm_calls_failed_is_accused_in_full() -> None:
    rows = [one(f"n{n}", f"u{n % 7}", failed=(n + i) % 25 == 0) for n in range(500) for i in range(5)]
    fails = Counted([f"n{n}" for n in range(64)], "main", "ann", "", 0, 0, 0, 1, "n3")
    assert accused([*rows, fails]) == []
    assert accused([*rows, fails, fails]) == ["n3"]
    assert next(suspect for suspect in ranked([*rows, fails]) if suspect.node == "n3").node_failures == 1
    # Where Slurm does not say which, it is any of them.
    assert accused([*rows, *[fails._replace(failed_node=None)] * 2]) == []


def test_nothing_that_ran_is_no_suspect() -> None:
    assert ranked([]) == []
    assert ranked([one("a", "ann", failed=False)]) == []


@pytest.mark.parametrize("expected", [0.01, 0.7, 3.0, 40.0])
def test_the_tail_is_that_of_poisson(expected: float) -> None:
    for seen in (1, 2, 5, 50, 90):
        below = sum(math.exp(-expected + k * math.log(expected) - math.lgamma(k + 1)) for k in range(seen))
        if seen > expected:
            assert poisson_tail(seen, expected) == pytest.approx(1 - below, rel=1e-6, abs=1e-13)
    assert poisson_tail(2.5, 40.0) == 1.0


def test_a_score_is_the_power_of_ten_of_chance() -> None:
    suspect = Suspect(
        node="n", score=3.0, chance=0.001, attempts=9, failures=8, expected=1, quick_failures=0, node_failures=0,
        users=3,
    )  # fmt: skip
    assert suspect.is_suspect
