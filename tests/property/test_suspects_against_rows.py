"""The search for suspect nodes against one that looks at each attempt by itself, whatever became of the store."""

from __future__ import annotations

import math
import tempfile
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slurmwatchd.model import suspect_search
from slurmwatchd.model.placements import Placements
from slurmwatchd.store import placements
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.placements import unpacked
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.suspects import span
from tests.draws import draws
from tests.suspects_row_by_row import Counted, of_store, ranked, span_of
from tests.unit.attempts import NOW, Reading, batch, completed, reading, rows
from tests.unit.expiry import expire_events

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slurmwatchd.model.suspects import Suspect

FIRST = NOW - 9000
EXPANDED = {f"n{node}": (f"n{node}",) for node in range(6)} | {
    "n[0-2]": ("n0", "n1", "n2"),
    "n[4-5]": ("n4", "n5"),
}
LISTS = (*EXPANDED, "n[7-9]", None)
"""One that is never expanded, and none, among them."""

SEEDS = st.integers(min_value=0, max_value=1 << 32)


@pytest.fixture(autouse=True, scope="module")
def _small_stretches() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placements, "LEAST_ATTEMPTS", 7)
        yield


def assert_same(found: Sequence[Suspect], wanted: Sequence[Suspect]) -> None:
    assert {one.node for one in found} == {one.node for one in wanted}
    right = {one.node: one for one in wanted}
    for one in found:
        for name in ("score", "chance", "attempts", "failures", "expected", "quick_failures", "node_failures"):
            mine, theirs = getattr(one, name), getattr(right[one.node], name)
            assert math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=1e-12), (one.node, name, mine, theirs)
        assert one.users == right[one.node].users


def drawn(chance: Random, count: int) -> list[Counted]:
    """Attempts of users who fail more or less often, on nodes of which some eat what runs there."""
    nodes = [f"n{number}" for number in range(chance.choice((3, 12, 40)))]
    eaten = {node: chance.choice((0, 0, 0, 0.3, 0.8)) for node in nodes}
    users = {f"u{number}": chance.betavariate(1, 6) for number in range(chance.choice((1, 5, 20)))}
    found = []
    for _ in range(count):
        user = chance.choice(list(users))
        where = chance.sample(nodes, chance.choice((1, 1, 1, 2, 3)))
        if chance.random() < 0.05:
            # Slurm may name a node twice.
            where.append(where[0])
        rate = 1 - (1 - users[user]) * math.prod(1 - eaten[node] for node in where)
        failures = sum(chance.random() < rate for _ in range(3))
        quick = sum(chance.random() < 0.5 for _ in range(failures))
        partition, array = chance.choice(("main", "gpu")), chance.choice(("", "7", "12", "012", "4_"))
        lost = chance.random() < 0.01
        failed_node = chance.choice((None, where[0]))
        found.append(Counted(where, partition, user, array, 3, failures, quick, int(lost), failed_node))
    return found


@settings(max_examples=draws(200), deadline=None)
@given(SEEDS)
def test_every_node_is_judged_as_row_by_row(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - drawn by hypothesis
    attempts = drawn(chance, chance.choice((1, 30, 400)))
    wanted = ranked(attempts)
    ran = span_of(attempts, block=chance.choice((5, 100, 10_000)))
    assert_same(ran.ranked(), wanted)
    # Of the suspects none is passed over.
    suspects = [one for one in wanted if one.is_suspect]
    assert_same(ran.suspects(), suspects)
    assert [one.node for one in ran.suspects()] == [one.node for one in suspects]


@settings(max_examples=draws(200), deadline=None)
@given(SEEDS)
def test_no_limit_passes_over_a_node_that_is_beyond_it(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - drawn by hypothesis
    attempts = drawn(chance, chance.choice((10, 30, 100)))
    ran = span_of(attempts)
    for one in ranked(attempts):
        if one.node_failures or one.chance == 1:
            continue
        with pytest.MonkeyPatch.context() as patch:
            # As if this very node were just beyond.
            patch.setattr(suspect_search, "CHANCE", one.chance * 1.000_001)
            assert one.node in ran._conspicuous(), one


@settings(max_examples=draws(100), deadline=None)
@given(st.lists(st.tuples(
    st.sampled_from((0, 1, 2)), st.sampled_from(("", "main", "gpu,main")), st.text(max_size=3),
    st.sampled_from(("", "1", "01", "0", "-3", "9" * 30, str(1 << 62), "²")), st.integers(1, 1 << 40),
)), st.lists(st.integers(1, 1 << 62)))  # fmt: skip
def test_columns_hold_what_was_put_in(attempts: list[tuple[int, str, str, str, int]], lost: list[int]) -> None:
    block = Placements.from_bytes(Placements.of(attempts, lost).to_bytes())
    families = list(block.families())
    families = [families[place] for some in block.counts for place in range(len(some)) for _ in range(some[place])]
    results = [result for result in range(3) for _ in range(sum(block.counts[result]))]
    back = [
        (result, *family, nodelist)
        for result, family, nodelist in zip(results, families, block.nodelists, strict=True)
    ]
    assert sorted(back) == sorted(attempts)
    assert block.lost == lost
    kept = block.without({one[4] for one in attempts[::2]})
    assert len(kept) == sum(one[4] not in {other[4] for other in attempts[::2]} for one in attempts)


def stored(chance: Random, number: int, digest: int) -> Reading:
    """An attempt that ended, or ended otherwise than was thought."""
    outcome = chance.choices(
        ("completed", "failed", "time_limit", "node_failure", "cancelled_before_start"), (6, 3, 1, 1, 1)
    )[0]
    end, seconds = chance.randrange(FIRST, NOW), chance.choice((5, 59, 60, 400))
    never = outcome == "cancelled_before_start"
    state = {"completed": "COMPLETED", "time_limit": "TIMEOUT", "node_failure": "NODE_FAIL"}.get(outcome, "FAILED")
    return reading(
        number,
        digest,
        job_id=f"{number % 3}{number % 4}_{number}" if number % 2 else str(number),
        user=chance.choice(("ann", "bob", None)),
        partition=chance.choice(("main", "gpu", None)),
        node_list=None if never else chance.choice(LISTS),
        outcome=outcome,
        state="CANCELLED" if never else state,
        submit=FIRST - 5000,
        start=None if never else end - seconds,
        end=end,
        elapsed_seconds=0 if never else seconds,
        failed_node=chance.choice(("n1", None)) if outcome == "node_failure" else None,
    )


async def put(intake: Intake, some: list[Reading]) -> None:
    lists = {record.node_list for record, _ in some}
    expanded = {text: nodes for text, nodes in EXPANDED.items() if text in lists}
    await intake.commit(batch(*some, expanded=expanded))


async def lived(path: Path, chance: Random) -> int:
    """Have a store live through whatever may come; return how many copies it has in the end."""
    async with open_database(path) as database:
        intake = await Intake.load(database)
        known, most = 0, chance.choice((20, 60))
        await intake.commit(batch(expanded={}), completed(start=FIRST))
        for _ in range(chance.randrange(2, 7)):
            happens = chance.choice(("new", "new", "revised", "pruned"))
            if happens == "new":
                some = [stored(chance, known + one, 1) for one in range(1, most)]
                known += len(some)
                await put(intake, some)
            elif happens == "revised" and known:
                numbers = chance.sample(range(1, known + 1), min(known, 3))
                await put(intake, [stored(chance, one, known + 2) for one in numbers])
            elif happens == "pruned":
                up_to = chance.randrange(1, intake.last_seq + 2)
                await expire_events(database, before=NOW + 1, up_to=up_to)
            if chance.random() < 0.7:
                await pack_all(database)
            await assert_exact(database)
        return len(await rows(database, "SELECT 1 FROM placements"))


async def pack_all(database: Database) -> None:
    while await placements.pack(database):
        pass


async def assert_exact(database: Database) -> None:
    """Copies do not overlap, and have as many attempts as SQL counts in their stretch."""
    copies = await rows(database, "SELECT start, stop, packed FROM placements ORDER BY start")
    assert all(before[1] <= after[0] for before, after in pairwise(copies))
    for start, stop, packed in copies:
        block = unpacked(packed)
        assert block is not None
        counted = await rows(
            database,
            "SELECT count(*) FILTER (WHERE outcome <> 'node_failure' AND start NOT NULL AND nodelist NOT NULL), "
            'count(*) FILTER (WHERE outcome = \'node_failure\') FROM jobs WHERE "end" >= ? AND "end" < ?',
            (start, stop),
        )
        assert counted == [(len(block), len(block.lost))]


@settings(max_examples=draws(100), deadline=None)
@given(SEEDS)
def test_a_store_names_the_same_whatever_became_of_it(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - drawn by hypothesis
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        anyio.run(lived, path, chance)
        with StoreReader(path) as store:
            for since, until in ((FIRST, NOW), sorted(chance.sample(range(FIRST, NOW), 2))):
                wanted = ranked(of_store(store, "sim", since, until))
                assert_same(span(store, "sim", since, until).ranked(), wanted)
