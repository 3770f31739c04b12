"""Rows read again by today's program: what can be keyed becomes an attempt once, the rest stays with a reason."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import anyio
import pytest
from prometheus_client import generate_latest

from slurmwatchd.daemon.daemon import Daemon
from slurmwatchd.daemon.quarantine_retrier import QuarantineRetrier
from slurmwatchd.errors import NodelistError, SlurmNotFoundError
from slurmwatchd.sources.nodelists import Expanded, Expander, Nodes
from slurmwatchd.store import quarantine
from slurmwatchd.store.database import Database
from slurmwatchd.store.intake import Intake
from slurmwatchd.telemetry.metrics import Metrics
from tests.integration.rig import Rig
from tests.sim_truth import differences
from tests.unit.sacct_rows import FIELDS_22_05, ordered

# An attempt as sacct prints it, in another order of fields than today's layout has.
FIELDS = tuple(reversed(FIELDS_22_05))
ROW = {
    "Cluster": b"sim",
    "JobIDRaw": b"77",
    "Submit": b"1795490000",
    "JobID": b"77",
    "State": b"FAILED",
    "Start": b"1795490010",
    "End": b"1795490070",
    "NodeList": b"n[1-2]",
    "NNodes": b"2",
    "Partition": b"main",
    "JobName": b"an older program could not\nread \xff it",
}


def put(rig: Rig, *rows: dict[str, bytes], fields: tuple[str, ...] = FIELDS) -> None:
    """Quarantine rows as an older program did."""
    with closing(connect(rig.store)) as store, store:
        store.executemany(
            "INSERT INTO quarantine (cluster, observed, reason, fields, row) VALUES ('sim', 1, 'old', ?, ?)",
            [(" ".join(fields), b"\x00".join(ordered(row, fields))) for row in rows],
        )


async def retry(daemon: Daemon) -> list[int]:
    asked = await quarantine.ask(daemon.database, None, now=rig_now(daemon))
    await daemon.errands.look()
    return asked


def rig_now(daemon: Daemon) -> int:
    return int(daemon.outside.clock.now())


async def test_a_row_without_a_key_is_counted_and_told_once_however_often_it_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(30, job_name="no submit", time_submit=0)
        async with rig.daemon() as daemon:
            for _ in range(4):
                await daemon.once()
                rig.move(30)
            scraped = generate_latest(daemon.metrics.registry).decode()
        assert 'slurmwatchd_quarantined_rows_total{slurm_cluster="sim"} 1.0\n' in scraped
        assert rig.ask_store("SELECT count(*) FROM quarantine") == [(1,)]
        told = [line for line in (r.getMessage() for r in caplog.records) if "rows quarantined" in line]
        assert len(told) == 1
        assert "Submit is b'Unknown', not a time" in told[0]


class PruningExpander(Expander):
    """Tries to prune node lists at the moment in which some are to be expanded."""

    def __init__(self, database: Database) -> None:
        super().__init__(Nobody())
        self._database = database
        self.pruned: list[bool] = []

    async def expand(self, nodelists: Iterable[str], counts: Mapping[str, int | None] | None = None) -> Expanded:
        with anyio.move_on_after(0.05) as scope:
            async with self._database.using_lists.exclusive():
                pass
        self.pruned.append(not scope.cancelled_caught)
        return await super().expand(nodelists, counts or {})


class Nobody:
    """A scontrol that is not there."""

    def batches(self, nodelists: Sequence[str]) -> list[list[str]]:
        return [list(nodelists)]

    async def expand(self, nodelists: Sequence[str]) -> dict[str, Nodes | NodelistError]:
        raise SlurmNotFoundError(f"no scontrol for {nodelists}")


async def test_no_node_list_is_pruned_between_being_looked_up_and_being_stored_with_its_attempt(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path) as rig:
        await rig.once()
        put(rig, ROW)
        async with rig.daemon() as daemon:
            retrier = QuarantineRetrier(
                database=daemon.database,
                intake=await Intake.load(daemon.database),
                expander=(expander := PruningExpander(daemon.database)),
                clock=rig.clock,
                metrics=Metrics(),
            )
            await quarantine.ask(daemon.database, None, now=rig.now)
            assert (await retrier.retry()).new == 1
        assert expander.pruned == [False]
        assert rig.ask_store("SELECT nodes FROM nodelists") == [(b'["n1","n2"]',)]


async def test_a_row_that_can_be_keyed_now_is_an_event_and_out_of_the_quarantine(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        # Somebody whose attempt sacct goes on showing: else it would be suspected of hiding the other.
        rig.ended(30, job_name="seen", user="seen", id_user=4711)
        await rig.once()
        put(rig, ROW)
        async with rig.daemon() as daemon:
            assert await retry(daemon) == [1]
            await daemon.once()
        (record,) = [record for record in rig.records() if record["name"] != "seen"]
        assert (record["event"], record["job_id"], record["state"], record["found_by"]) == (
            "job_ended", "77", "FAILED", "reread",
        )  # fmt: skip
        assert (record["name"], record["nodes"]) == ("an older program could not\nread \\xff it", ["n1", "n2"])
        assert (record["start"], record["end"]) == ("2026-11-24T03:13:30Z", "2026-11-24T03:14:30Z")
        assert rig.ask_store("SELECT count(*) FROM quarantine") == [(0,)]


async def test_a_row_that_still_has_no_key_stays_with_todays_reason_and_nobody_waits_for_it(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path) as rig:
        await rig.once()
        put(rig, {**ROW, "Submit": b"Unknown"}, ROW)
        put(rig, {"Cluster": b"sim", "State": b"FAILED"}, fields=("Cluster", "State"))
        put(rig, {"Cluster": b"a\x00b"}, fields=("Cluster",))
        async with rig.daemon() as daemon:
            assert await retry(daemon) == [1, 2, 3, 4]
            assert await quarantine.left(daemon.database, [1, 2, 3, 4]) == 3
        assert rig.ask_store("SELECT id, reason, asked FROM quarantine") == [
            (1, "Submit is b'Unknown', not a time", None),
            (3, "this sacct does not print JobIDRaw, Submit, JobID", None),
            (4, "2 values for 1 fields", None),
        ]
        assert len(rig.ask_store("SELECT 1 FROM events")) == 1


async def test_an_attempt_the_store_has_meanwhile_is_not_set_back_to_what_the_old_row_said(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(60, id_job=77, time_submit=1795490000, job_name="known since", state="COMPLETED")
        await rig.once()
        put(rig, ROW)
        async with rig.daemon() as daemon:
            await retry(daemon)
            await daemon.once()
        assert [record["event"] for record in rig.records()] == ["job_ended"]
        assert differences(rig.cluster, rig.records()) == []
        assert rig.ask_store("SELECT count(*) FROM quarantine") == [(0,)]


async def test_only_the_rows_asked_for_are_read_again(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await rig.once()
        put(rig, ROW, {**ROW, "JobIDRaw": b"78", "JobID": b"78"})
        async with rig.daemon() as daemon:
            assert await quarantine.ask(daemon.database, [2, 99], now=1) == [2]
            await daemon.errands.look()
        assert rig.ask_store("SELECT id FROM quarantine") == [(1,)]
        assert rig.ask_store("SELECT job_id FROM jobs") == [("78",)]


@pytest.mark.heavy
async def test_many_rows_are_read_again_some_hundreds_at_a_time(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await rig.once()
        put(rig, *({**ROW, "JobIDRaw": b"%d" % n, "JobID": b"%d" % n} for n in range(1000, 2201)))
        async with rig.daemon() as daemon:
            await retry(daemon)
        assert rig.ask_store("SELECT count(*), max(seq) FROM events") == [(1201, 1201)]
        assert rig.ask_store("SELECT count(*) FROM quarantine") == [(0,)]
