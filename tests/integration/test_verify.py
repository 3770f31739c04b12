"""The store held to sacct, and a sink's files to the store: every kind of difference is found and named."""

import gzip
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest

from slurmwatchd.errors import SacctError, SilenceError, VerifyError
from slurmwatchd.model.ledger import Ledger
from slurmwatchd.model.policy import ReadPolicy
from slurmwatchd.operations.read_only import ReadOnlyStore, onlooker
from slurmwatchd.operations.verify import deleted
from slurmwatchd.operations.verify.against_files import FileDifference, FilesRead, SinkFiles
from slurmwatchd.operations.verify.against_sacct import AccountingDifference, ComparedRows, Comparison
from slurmwatchd.operations.verify.scope import scope_of
from slurmwatchd.sinks.jsonl import JsonlOptions
from slurmwatchd.store.known_attempts import KnownAttempt
from tests.integration.rig import START, WINDOW, Rig

DAY = 86400


@dataclass
class Verdict:
    differences: list[tuple[str, str, Any, Any]]
    tally: ComparedRows


@asynccontextmanager
async def looking(rig: Rig) -> AsyncIterator[ReadOnlyStore]:
    async with onlooker(rig.config) as view:
        yield view


def told(found: AccountingDifference) -> tuple[str, str, Any, Any]:
    return found.job_id, str(found.what), found.store, found.sacct


async def accounting(rig: Rig, *, slice_seconds: int = 3600, overlap: int = 0) -> Verdict:
    """Compare the last day."""
    async with looking(rig) as view:
        comparison = Comparison(view.reader, rig.clock)
        await comparison.begin()
        ledger = await view.ledger("sim")
        scope = scope_of(ledger, rig.now - DAY, rig.now, overlap=overlap, old=0)
        tally = await comparison.compare(
            "sim",
            view.sacct["sim"],
            scope.compared,
            ledger=ledger or Ledger(rig.now - DAY),
            policy=ReadPolicy(interval=30, overlap=overlap, slice_seconds=slice_seconds),
            timeout_seconds=60,
            seen=lambda _window, _tally: None,
        )
        found = [told(difference) async for difference in comparison.differences(100)]
        assert await comparison.count() == len(found)
        return Verdict(found, tally)


async def files(
    rig: Rig, *, since: int = START - DAY, sink: str = "jobs"
) -> tuple[FilesRead, list[FileDifference]]:
    async with looking(rig) as view:
        options = rig.config.sinks[sink]
        assert isinstance(options, JsonlOptions)
        compared = SinkFiles(view.reader, sink, options.path, selection=options.selection())
        read = await compared.compare(since, rig.now + DAY, seen=lambda _: None)
        found = [finding async for finding in compared.findings(100)]
        assert await compared.count() == len(found)
        return read, found


def change_store(rig: Rig, *statements: str) -> None:
    with closing(connect(rig.store)) as store, store:
        for sql in statements:
            store.execute(sql)


async def watched(rig: Rig, *, jobs: int = 5) -> None:
    """Some jobs end, minutes apart, and are read."""
    for number in range(jobs):
        rig.ended(600 + 300 * number, job_name=f"job {number}")
    await rig.once()
    rig.move(30)
    await rig.once()


async def test_a_store_that_has_all_that_sacct_shows_has_no_difference(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        key = rig.ended(500, job_name="requeued", state="REQUEUED")
        rig.ended(400, id_job=key.id_job, job_name="again")
        rig.ended(300, state="CANCELLED", nodelist="None assigned", time_start=0)
        await watched(rig)
        verdict = await accounting(rig, slice_seconds=250)
        assert verdict.differences == []
        assert verdict.tally == ComparedRows(rows=8, quarantined=0)


async def test_each_kind_of_difference_is_named_with_both_values(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await watched(rig)
        rig.move(60)
        change_store(
            rig,
            "DELETE FROM jobs WHERE job_id = '1'",
            "UPDATE jobs SET state_code = 'f' WHERE job_id = '2'",
            "UPDATE jobs SET start = start - 1 WHERE job_id = '3'",
            "UPDATE jobs SET start = NULL WHERE job_id = '4'",
            'INSERT INTO jobs (id, cluster, job_id_raw, submit, job_id, state_code, "user", account, "partition", '
            'start, "end", nodelist, digest, revision, seq) '
            "SELECT 99, cluster, 4711, submit, '4711', state, \"user\", account, "
            '"partition", start, "end", nodelist, digest, revision, 0 FROM jobs WHERE job_id = 5',
        )
        assert (await accounting(rig)).differences == [
            ("1", "not in store", None, START - 600),
            ("2", "state", "FAILED", "COMPLETED"),
            ("3", "start", START - 1261, START - 1260),
            ("4", "start", None, START - 1560),
            ("4711", "not in sacct", START - 1800, None),
        ]


async def test_an_end_that_differs_is_told_once_though_it_lies_in_two_slices(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await watched(rig)
        rig.move(60)
        change_store(rig, 'UPDATE jobs SET "end" = "end" - 600 WHERE job_id = \'1\'')
        verdict = await accounting(rig, slice_seconds=300)
        assert verdict.differences == [("1", "end", START - 1200, START - 600)]


async def test_a_row_younger_than_the_next_polls_overlap_is_no_difference(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await watched(rig)
        rig.ended(10, job_name="visible since the last poll")
        assert (await accounting(rig, overlap=120)).differences == []
        assert [what for _, what, *_ in (await accounting(rig)).differences] == ["not in store"]


async def test_what_came_into_the_store_after_sacct_was_asked_is_no_difference(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await watched(rig)
        change_store(
            rig,
            "UPDATE jobs SET state_code = 'f' WHERE job_id = '2'",
            "UPDATE events SET observed = 1795500030 WHERE seq = (SELECT seq FROM jobs WHERE job_id = '2')",
        )
        assert rig.now == 1795500030
        assert (await accounting(rig)).differences == []


async def test_rows_in_quarantine_are_told_apart_and_those_in_neither_place_are_named(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(700, job_name="no submit", time_submit=0)
        await watched(rig)
        verdict = await accounting(rig)
        assert verdict.differences == []
        assert verdict.tally == ComparedRows(rows=6, quarantined=1)
        change_store(rig, "DELETE FROM quarantine")
        assert (await accounting(rig)).differences == [
            ("1 Unknown 1", "cannot be keyed", None, "Submit is b'Unknown', not a time")
        ]


async def test_a_missing_row_that_stands_in_quarantine_is_no_difference(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await watched(rig)
        change_store(
            rig,
            "INSERT INTO quarantine (cluster, observed, reason, fields, row) "
            "SELECT cluster, 0, 'an older program', 'Cluster JobIDRaw Submit JobID', CAST(text AS BLOB) "
            "FROM (SELECT cluster, cluster || char(0) || job_id_raw || char(0) || submit || char(0) || job_id "
            "|| char(0) AS text FROM jobs WHERE job_id = '3')",
            "DELETE FROM jobs WHERE job_id = '3'",
        )
        verdict = await accounting(rig)
        assert (verdict.differences, verdict.tally.quarantined) == ([], 1)


async def test_a_slice_that_is_too_much_is_halved_and_a_failure_proves_nothing(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await watched(rig)
        rig.cluster.add_fault(
            "sacct",
            "exit",
            match=WINDOW,
            count=2,
            code=1,
            stderr="sacct: error: Too wide of a date range in query",
        )
        assert (await accounting(rig)).tally.rows == 5
        rig.cluster.add_fault("sacct", "exit", match=WINDOW, code=1)
        with pytest.raises(SacctError):
            await accounting(rig)


async def test_nothing_is_written_by_verifying(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await watched(rig)
        before = rig.store.read_bytes()
        await accounting(rig)
        await files(rig)
        assert rig.store.read_bytes() == before


async def test_a_file_that_has_every_event_once_has_no_fault(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await watched(rig)
        read, found = await files(rig)
        assert found == []
        assert (read.lines, read.events, read.files) == (5, 5, (rig.file,))


async def test_what_an_earlier_store_told_and_this_one_has_not_met_yet_is_not_unknown(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await watched(rig)
        for suffix in ("", "-wal", "-shm", ".lock"):
            rig.store.with_name(rig.store.name + suffix).unlink(missing_ok=True)
        rig.cluster.set_slurmdbd_down()
        with pytest.raises(SacctError):
            await rig.once()
        assert rig.ask_store(
            "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM told WHERE sink = 'jobs')"
        ) == [(0, 5)]
        rig.file.write_bytes(rig.file.read_bytes() + b'{"id":"11111111-2222-5333-8444-555555555555","seq":9}\n')
        _, found = await files(rig)
        assert [(str(f.what), f.line) for f in found] == [("unknown", 6)]


async def test_each_kind_of_fault_in_a_file_is_named_with_its_line_and_job(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await watched(rig)
        lines = rig.file.read_bytes().splitlines(keepends=True)
        forged = lines[0].replace(rig.records()[0]["id"].encode(), b"11111111-2222-5333-8444-555555555555")
        rig.file.write_bytes(b"".join([lines[0], b'{"id": 7}\n', lines[2], lines[2], lines[3], forged, lines[4]]))
        _, found = await files(rig)
        assert [(str(f.what), f.seq, f.line, f.job_id, f.file and f.file.name) for f in found] == [
            ("invalid", None, 2, None, "jobs.jsonl"),
            ("missing", 2, None, rig.ask_store("SELECT job_id FROM jobs WHERE seq = 2")[0][0], None),
            ("twice", 3, 3, rig.ask_store("SELECT job_id FROM jobs WHERE seq = 3")[0][0], "jobs.jsonl"),
            ("twice", 3, 4, rig.ask_store("SELECT job_id FROM jobs WHERE seq = 3")[0][0], "jobs.jsonl"),
            ("unknown", 1, 6, None, "jobs.jsonl"),
        ]


async def test_a_stretch_that_was_written_to_another_file_is_one_finding(tmp_path: Path) -> None:
    """The sink's path was changed, and changed back."""
    with Rig(tmp_path) as rig:
        await watched(rig, jobs=5)
        elsewhere = tmp_path / "elsewhere.jsonl"
        rig.file.rename(tmp_path / "kept")
        for number in range(12):
            rig.ended(20, job_name=f"elsewhere {number}")
        rig.move(30)
        await rig.once()
        rig.file.rename(elsewhere)
        (tmp_path / "kept").rename(rig.file)
        rig.ended(20, job_name="back")
        rig.move(30)
        await rig.once()
        read, (found,) = await files(rig)
        assert (read.events, read.lines) == (18, 6)
        assert (str(found.what), found.seq, found.last_seq, found.events) == ("stretch missing", 6, 17, 12)
        assert (found.since, found.until) == (START + 60, START + 60)
        assert (found.id, found.file, found.job_id) == (None, None, None)
        # Fewer are named one by one, as is what is missing elsewhere.
        lines = rig.file.read_bytes().splitlines(keepends=True)
        rig.file.write_bytes(
            b"".join([lines[0], *lines[2:5], *elsewhere.read_bytes().splitlines(keepends=True)[:4], lines[5]])
        )
        _, findings = await files(rig)
        assert [(str(found.what), found.seq) for found in findings] == [
            ("missing", 2), *(("missing", seq) for seq in range(10, 18)),
        ]  # fmt: skip


async def test_rotated_and_packed_files_count_and_a_file_that_is_there_twice_while_it_is_packed_counts_once(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path) as rig:
        await watched(rig)
        whole = rig.file.read_bytes().splitlines(keepends=True)
        (tmp_path / "jobs.jsonl.2.gz").write_bytes(gzip.compress(whole[0] + whole[1]))
        (tmp_path / "jobs.jsonl.1").write_bytes(whole[2] + whole[3])
        (tmp_path / "jobs.jsonl.1.gz").write_bytes(gzip.compress(whole[2]))
        (tmp_path / "jobs.jsonl.old").write_bytes(whole[0])
        rig.file.write_bytes(whole[4])
        for name in ("jobs.jsonl.2.gz", "jobs.jsonl.1", "jobs.jsonl.1.gz"):
            os.utime(tmp_path / name, (START, START))
        read, found = await files(rig)
        assert found == []
        assert {file.name for file in read.files} == {"jobs.jsonl.2.gz", "jobs.jsonl.1", "jobs.jsonl"}
        os.utime(tmp_path / "jobs.jsonl.2.gz", (START - 2 * DAY, START - 2 * DAY))
        read, found = await files(rig)
        assert [file.name for file in read.left_out] == ["jobs.jsonl.2.gz"]
        assert [(str(f.what), f.seq) for f in found] == [("missing", 1), ("missing", 2)]


async def test_a_packed_file_that_is_damaged_proves_nothing(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await watched(rig)
        (tmp_path / "jobs.jsonl.1.gz").write_bytes(gzip.compress(b"{}\n" * 1000)[:-12])
        with pytest.raises(VerifyError, match=r"jobs\.jsonl\.1\.gz: cannot be read"):
            await files(rig)
        (tmp_path / "jobs.jsonl.1.gz").rename(tmp_path / "jobs.jsonl.1.zst")
        with pytest.raises(VerifyError, match=r"jobs\.jsonl\.1\.zst: unsupported compression"):
            await files(rig)


async def test_a_sink_is_held_to_what_came_after_it_was_made_up_to_its_cursor(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await watched(rig)
    more = {"jobs": {"type": "jsonl", "path": str(tmp_path / "jobs.jsonl")}}
    late = {"late": {"type": "jsonl", "path": str(tmp_path / "late.jsonl")}}
    (tmp_path / "slurm.db").unlink()
    with Rig(tmp_path, sinks={**more, **late}) as rig:
        rig.move(60)
        rig.ended(10, job_name="for both", id_job=50)
        await rig.once()
        assert [finding.what for finding in (await files(rig, sink="late"))[1]] == []
        assert (await files(rig, sink="late"))[0].events == 1
        change_store(rig, "UPDATE cursors SET seq = seq - 1 WHERE sink = 'late'")
        assert (await files(rig, sink="late"))[0].events == 0
        assert (await files(rig, sink="late"))[1] == []


async def test_a_line_that_is_still_being_written_is_no_line_yet(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await watched(rig)
        with rig.file.open("ab") as file:
            file.write(b'{"id":"aaaa')
        assert (await files(rig))[1] == []


async def test_a_sink_that_was_never_delivered_to_is_an_error_and_not_a_proof(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        await watched(rig)
        change_store(rig, "DELETE FROM cursors WHERE sink = 'jobs'")
        with pytest.raises(VerifyError, match="sink jobs: nothing was ever delivered to it"):
            await files(rig)


async def test_what_was_deleted_is_accepted_once_somebody_says_so_and_the_daemon_goes_on(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={"since": "5m", "overlap": "1m", "reread": [], "open_set": "0s"}) as rig:
        lost = [rig.ended(20 + number) for number in range(3)]
        await rig.once()
        for key in lost:
            rig.cluster.delete_job(key)
        rig.move(300)
        with pytest.raises(SilenceError, match="verify --accept-deleted"):
            await rig.once()
        async with looking(rig) as view:
            comparison = Comparison(view.reader, rig.clock)
            await comparison.begin()
            ledger = await view.ledger("sim")
            assert ledger is not None
            await comparison.compare(
                "sim",
                view.sacct["sim"],
                [(START - 300, START)],
                ledger=ledger,
                policy=ReadPolicy(interval=30, overlap=0, slice_seconds=3600),
                timeout_seconds=60,
                seen=lambda _window, _tally: None,
                held=False,
            )
            attempts = await comparison.not_in_sacct("sim")
            assert [attempt.job_id for attempt in attempts] == ["1", "2", "3"]
            assert await deleted.accept(rig.store, view.sacct["sim"], attempts, now=rig.now) == 3
        await rig.once()
        assert rig.watermark() == 300


async def test_what_answers_to_its_number_is_not_accepted_as_deleted(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(20)
        await rig.once()
        async with looking(rig) as view:
            known = [KnownAttempt(1, START - 110, "1", START - 20, 1)]
            assert await deleted.accept(rig.store, view.sacct["sim"], known, now=rig.now) == 0
        assert rig.ask_store("SELECT count(*) FROM gone") == [(0,)]
