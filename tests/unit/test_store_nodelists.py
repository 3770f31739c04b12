"""Node lists in the store: each once, its nodes when they are known, and an index from a node to its lists."""

from pathlib import Path

from slurmwatchd.store import nodelists, outbox, retention
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.read.reader import StoreReader
from tests.unit.attempts import NOW, batch, reading, rows
from tests.unit.expiry import expire_events

RAN_ON = """
SELECT jobs.job_id_raw FROM nodes
JOIN nodelist_nodes ON nodelist_nodes.node = nodes.id JOIN jobs ON jobs.nodelist = nodelist_nodes.nodelist
WHERE nodes.name = ? ORDER BY 1
"""


async def _ran_on(database: Database, node: str) -> list[int]:
    return [job for (job,) in await rows(database, RAN_ON, (node,))]


async def test_index_tells_which_jobs_ran_on_a_node(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(
            batch(
                reading(1, node_list="n[1-3]"),
                reading(2, node_list="n[3-4]"),
                reading(3, node_list="n3"),
                reading(4, node_list=None),
                expanded={"n[1-3]": ("n1", "n2", "n3"), "n[3-4]": ("n3", "n4"), "n3": ("n3",)},
            )
        )
        await intake.commit(batch(reading(5, node_list="n[3-4]"), expanded={}))
        assert await _ran_on(database, "n3") == [1, 2, 3, 5]
        assert await _ran_on(database, "n4") == [2, 5]
        assert await _ran_on(database, "n9") == []
        assert await rows(database, "SELECT expression, node_count FROM nodelists ORDER BY expression") == [
            ("n3", 1),
            ("n[1-3]", 3),
            ("n[3-4]", 2),
        ]


async def test_list_that_could_not_be_expanded_is_filled_when_it_is_met_again(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(reading(1, node_list="n[1-"), expanded={}))
        assert await nodelists.known(database, ["n[1-", "n1"]) == set()
        (event,) = await outbox.after(database, 0, 10)
        assert event.nodes is None
        await intake.commit(batch(reading(2, node_list="n[1-"), expanded={"n[1-": ("n1",)}))
        assert await nodelists.known(database, ["n[1-", "n1"]) == {"n[1-"}
        assert await _ran_on(database, "n1") == [1, 2]


async def test_node_that_stands_twice_in_a_list_stands_there_once_in_the_index(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(reading(1, node_list="n[1,1]"), expanded={"n[1,1]": ("n1", "n1")}))
        assert await _ran_on(database, "n1") == [1]
        (event,) = await outbox.after(database, 0, 10)
        assert event.nodes == b'["n1","n1"]'


async def test_list_of_ten_thousand_nodes_is_kept_whole(tmp_path: Path) -> None:
    nodes = tuple(f"node{number:05}" for number in range(10_000))
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(
            batch(reading(1, node_list="node[00000-09999]"), expanded={"node[00000-09999]": nodes})
        )
        assert await rows(database, "SELECT count(*) FROM nodelist_nodes") == [(10_000,)]
        assert await _ran_on(database, "node09999") == [1]


async def test_lists_with_quotes_and_newlines_are_data(tmp_path: Path) -> None:
    hostile = 'n1","x\n\'; DROP TABLE jobs; --'
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(batch(reading(1, node_list=hostile), expanded={hostile: (hostile,)}))
        assert await nodelists.known(database, [hostile]) == {hostile}
        assert await _ran_on(database, hostile) == [1]


async def test_a_reader_that_stays_open_gives_no_attempt_the_nodes_of_a_list_that_was_pruned(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.db"
    async with open_database(path) as database:
        intake = await Intake.load(database)

        async def ran_on(job: int, node: str) -> None:
            await intake.commit(batch(reading(job, node_list=node), expanded={node: (node,)}))

        await ran_on(1, "n1")
        await ran_on(2, "n2")
        await ran_on(3, "n1")
        with StoreReader(path) as reader:
            assert reader.fetch([2], nodes=True)[0]["nodes"] == ["n2"]
            await expire_events(database, before=NOW + 1, up_to=2)
            await ran_on(4, "n1")
            await expire_events(database, before=NOW + 1, up_to=3)
            await retention.prune_nodelists(database)
            await ran_on(5, "n5")
            assert reader.fetch([5], nodes=True)[0]["nodes"] == ["n5"]
            # With a newer one there the list goes.
            assert (await retention.prune_nodelists(database)).rows == {"nodelists": 1}
            assert await rows(database, "SELECT expression FROM nodelists ORDER BY id") == [("n1",), ("n5",)]
            assert not await retention.prune_nodelists(database)
