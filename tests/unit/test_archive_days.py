"""The archive is written by days: once finished, whole, again only where something changed; nothing is lost."""

import sqlite3
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slurmwatchd.errors import StoreError
from slurmwatchd.store.archive import arrow, days, layout
from slurmwatchd.store.archive.__main__ import carry_out
from slurmwatchd.store.archive.publish import ArchiveBusyError, workshop
from slurmwatchd.store.archive.writer import DayWriter, batch_of
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.read.reader import StoreReader
from tests.unit.archives import DAY, MIDNIGHT, TODAY, archive, archived, ended, fill, names, order, prune, rows
from tests.unit.attempts import NOW, batch

COLUMNS = Path(__file__).parents[1] / "golden" / "archive-columns.txt"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
async def database(store: Path) -> AsyncIterator[Database]:
    async with open_database(store) as opened:
        yield opened


def folder(days_ago: int) -> str:
    return layout.folder_name(TODAY - days_ago)


async def commit(database: Database, *readings: Any, **fields: Any) -> None:  # noqa: ANN401 - of a batch
    intake = await Intake.load(database)
    await intake.commit(batch(*readings, **fields))


async def test_a_day_is_written_once_it_is_finished_and_quiet(database: Database, dataset: Path) -> None:
    await commit(database, ended(1, 3), ended(2, 2))
    await days.adopt(database, dataset, [])
    assert await days.note(database) == 2
    wait = 8 * DAY
    of_third = MIDNIGHT - 2 * DAY
    for now, due in (
        (of_third + wait - 1, []),
        (of_third + wait, [TODAY - 3]),
        (of_third + wait + DAY, [TODAY - 3, TODAY - 2]),
    ):
        found = await days.due(database, now=now, finished_after=wait, limit=10)
        assert [day for _, day, _ in found] == due
    # Something is still coming in.
    await commit(database, ended(3, 3), observed=of_third + wait)
    await days.note(database)
    found = await days.due(database, now=of_third + wait + 599, finished_after=wait, limit=10)
    assert found == []
    found = await days.due(database, now=of_third + wait + 600, finished_after=wait, limit=10)
    assert found == [("sim", TODAY - 3, 0)]


async def test_a_day_that_a_backfill_is_reading_waits_but_not_for_ever(database: Database, dataset: Path) -> None:
    await commit(database, ended(1, 3))
    await days.adopt(database, dataset, [])
    await days.note(database)
    start = MIDNIGHT - 3 * DAY
    insert = 'INSERT INTO backfills (cluster, start, "end", reached, asked, moved) VALUES (?, ?, ?, ?, 0, 0)'
    await database.write(
        lambda connection: connection.execute(insert, ("sim", start - DAY, start + DAY, start + DAY))
    )
    for seconds, due in ((3600, []), (DAY, [("sim", TODAY - 3, 0)])):
        assert await days.due(database, now=NOW + seconds, finished_after=0, limit=10) == due


async def test_the_layout_is_days_with_a_file_for_each_cluster(store: Path, dataset: Path) -> None:
    await fill(store, [ended(1, 3), ended(2, 3), ended(3, 2)])
    await fill(store, [ended(4, 3, cluster="007")])
    await fill(store, [ended(5, 3, cluster="_a/b")])
    await archived(store, dataset)
    assert names(dataset) == [
        f"{folder(3)}/%5Fa%2Fb-1.parquet",
        f"{folder(3)}/007-1.parquet",
        f"{folder(3)}/sim-1.parquet",
        f"{folder(2)}/sim-1.parquet",
    ]
    assert rows(dataset, "cluster", "job_id_raw") == [("007", 4), ("_a/b", 5), ("sim", 1), ("sim", 2), ("sim", 3)]
    assert names(dataset.with_name("archive.tmp")) == ["lock"]
    assert [(file.day, file.cluster) for file in layout.files(dataset)] == [
        (TODAY - 3, "_a/b"), (TODAY - 3, "007"), (TODAY - 3, "sim"), (TODAY - 2, "sim"),
    ]  # fmt: skip


async def test_every_file_has_the_one_schema_whatever_is_in_it(store: Path, dataset: Path) -> None:
    tres = {"cpu": 1, "gres/gpu:a100_1g.5gb": 3}
    await fill(store, [ended(1, 3, alloc_tres=tres, flags=("a",), raw={"x": "y"})], [ended(2, 2, name=None)])
    await fill(store, [ended(3, 2, cluster="other", node_list=None, restarts=1)], expanded={})
    await archived(store, dataset)
    files = sorted(dataset.rglob("*.parquet"))
    assert len(files) == 3
    # Written down, so that a column never comes, goes or changes unnoticed: then the archive is written again.
    golden = COLUMNS.read_text(encoding="utf-8")
    for file in files:
        schema = pq.read_schema(file)
        assert "".join(f"{field.name} {field.type}\n" for field in schema) == golden
        assert schema.remove_metadata() == arrow.schema(pa)


async def test_a_revision_writes_its_day_again_under_a_new_number_and_no_other(store: Path, dataset: Path) -> None:
    await fill(store, [ended(1, 3), ended(2, 3), ended(3, 2)])
    await fill(store, [ended(9, 3, cluster="other")])
    await archived(store, dataset)
    before = {name: (dataset / name).stat().st_mtime_ns for name in names(dataset)}
    assert await archived(store, dataset) == []
    await fill(store, [ended(2, 3, 2, state="FAILED")])
    assert await archived(store, dataset) == [("sim", TODAY - 3)]
    assert names(dataset) == [
        f"{folder(3)}/other-1.parquet",
        f"{folder(3)}/sim-2.parquet",
        f"{folder(2)}/sim-1.parquet",
    ]
    assert rows(dataset, "job_id_raw", "state", "revision") == [
        (1, "COMPLETED", 1), (2, "FAILED", 2), (3, "COMPLETED", 1), (9, "COMPLETED", 1),
    ]  # fmt: skip
    for name in (f"{folder(3)}/other-1.parquet", f"{folder(2)}/sim-1.parquet"):
        assert (dataset / name).stat().st_mtime_ns == before[name]


async def test_what_the_store_has_pruned_is_taken_over_when_its_day_is_written_again(
    store: Path, dataset: Path
) -> None:
    await fill(store, [ended(number, 3) for number in (1, 2, 3)])
    await archived(store, dataset)
    prune(store, "job_id_raw IN (1, 3)", NOW)
    await fill(store, [ended(2, 3, 2, state="FAILED"), ended(4, 3)])
    await archived(store, dataset)
    assert rows(dataset, "job_id_raw", "state") == [
        (1, "COMPLETED"), (2, "FAILED"), (3, "COMPLETED"), (4, "COMPLETED"),
    ]  # fmt: skip
    assert names(dataset) == [f"{folder(3)}/sim-2.parquet"]


async def test_an_end_that_moves_to_another_day_takes_the_attempt_along_once(store: Path, dataset: Path) -> None:
    first = ended(1, 3)
    await fill(store, [first, ended(2, 3), ended(3, 2)])
    await archived(store, dataset)
    await fill(store, [ended(1, 2, 2, submit=first[0].submit)])
    async with open_database(store) as database:
        await days.note(database)
        due = await days.due(database, now=NOW + DAY, finished_after=0, limit=10)
        # First the day that it leaves: at no moment do both have it.
        assert due == [("sim", TODAY - 3, 1), ("sim", TODAY - 2, 1)]
        carry_out(order(store, dataset, ("sim", TODAY - 2)))
        assert rows(dataset, "job_id_raw", "revision") == [(1, 1), (2, 1), (3, 1)]
    assert await archived(store, dataset) == [("sim", TODAY - 3), ("sim", TODAY - 2)]
    assert rows(dataset, "job_id_raw", "revision") == [(1, 2), (2, 1), (3, 1)]
    assert names(dataset) == [f"{folder(3)}/sim-2.parquet", f"{folder(2)}/sim-2.parquet"]


async def test_two_attempts_that_change_places_are_never_there_twice(store: Path, dataset: Path) -> None:
    one, two = ended(1, 3), ended(2, 2)
    await fill(store, [one, two])
    await archived(store, dataset)
    await fill(store, [ended(1, 2, 2, submit=one[0].submit), ended(2, 3, 2, submit=two[0].submit)])
    seen = []
    async with open_database(store) as database:
        for _ in range(3):
            await days.note(database)
            due = await days.due(database, now=NOW + DAY, finished_after=0, limit=1)
            with workshop(dataset) as beside, StoreReader(store) as reader:
                for cluster, day, number in due:
                    await days.done(
                        database, DayWriter(dataset, beside, reader).write(cluster, day, number=number)
                    )
            seen.append(rows(dataset, "job_id_raw", "revision"))
        assert await days.due(database, now=NOW + DAY, finished_after=0, limit=1) == []
    assert all(max(Counter(job for job, _ in some).values(), default=0) <= 1 for some in seen)
    assert seen[-1] == [(1, 2), (2, 2)]


async def test_a_day_that_loses_its_last_attempt_goes_and_its_number_is_not_used_again(
    store: Path, dataset: Path
) -> None:
    first = ended(1, 3)
    await fill(store, [first])
    await archived(store, dataset)
    await fill(store, [ended(1, 2, 2, submit=first[0].submit)])
    await archived(store, dataset)
    assert names(dataset) == [f"{folder(2)}/sim-1.parquet"]
    assert [entry.name for entry in dataset.iterdir()] == [folder(2)]
    await fill(store, [ended(5, 3)])
    await archived(store, dataset)
    assert names(dataset) == [f"{folder(3)}/sim-2.parquet", f"{folder(2)}/sim-1.parquet"]


async def test_an_attempt_without_an_end_is_in_the_day_of_its_submission(store: Path, dataset: Path) -> None:
    await fill(store, [ended(1, 3, end=None)])
    await archived(store, dataset)
    assert names(dataset) == [f"{folder(3)}/sim-1.parquet"]
    assert rows(dataset, "job_id_raw", "end") == [(1, None)]


async def test_what_the_archive_lacks_holds_the_pruning(database: Database, dataset: Path) -> None:
    await days.adopt(database, dataset, [])
    assert await days.taken_up_to(database) == 0
    await commit(database, ended(1, 3))
    await commit(database, ended(2, 2))
    await commit(database, ended(3, 3))
    # Nothing was looked at yet.
    assert await days.taken_up_to(database) == 0
    await days.note(database)
    assert await days.taken_up_to(database) == 0
    assert await archive(database, dataset, now=MIDNIGHT - 2 * DAY) == []
    assert await archive(database, dataset, now=MIDNIGHT - 2 * DAY + 4 * 3600) == []
    await archive(database, dataset, now=NOW + 30 * DAY)
    assert await days.taken_up_to(database) == 3


async def test_a_day_that_is_not_finished_holds_only_what_is_not_older(database: Database, dataset: Path) -> None:
    await commit(database, ended(1, 3), ended(2, 3), observed=NOW - 2 * DAY)
    await commit(database, ended(3, 0), ended(4, 3), observed=NOW - 2 * DAY)
    assert await archive(database, dataset, now=NOW) == [("sim", TODAY - 3)]
    assert await days.taken_up_to(database) == 2


async def test_days_whose_files_are_gone_and_an_archive_elsewhere_are_written_again(
    store: Path, dataset: Path, tmp_path: Path
) -> None:
    await fill(store, [ended(1, 3), ended(2, 2)])
    await archived(store, dataset)
    (dataset / folder(3) / "sim-1.parquet").unlink()
    assert await archived(store, dataset) == [("sim", TODAY - 3)]
    assert names(dataset) == [f"{folder(3)}/sim-2.parquet", f"{folder(2)}/sim-1.parquet"]
    elsewhere = tmp_path / "elsewhere"
    await archived(store, elsewhere)
    assert rows(elsewhere, "job_id_raw") == [(1,), (2,)]


async def test_a_store_made_anew_adds_to_the_archive_and_takes_nothing_from_it(
    store: Path, dataset: Path, tmp_path: Path
) -> None:
    await fill(store, [ended(1, 3), ended(2, 3), ended(3, 2)])
    await archived(store, dataset)
    anew = tmp_path / "anew.db"
    await fill(anew, [ended(2, 3, name="read again"), ended(4, 2)])
    await archived(anew, dataset)
    assert rows(dataset, "job_id_raw", "name") == [
        (1, "job 1"), (2, "read again"), (3, "job 3"), (4, "job 4"),
    ]  # fmt: skip


async def test_an_end_that_moved_while_the_store_was_lost_stands_once(
    store: Path, dataset: Path, tmp_path: Path
) -> None:
    later, earlier, same = ended(1, 4), ended(2, 2), ended(3, 3)
    await fill(store, [later, earlier, same, ended(4, 4)])
    await archived(store, dataset)
    # The new store never saw the old ends, and numbers its revisions from one.
    anew = tmp_path / "anew.db"
    moved = [
        ended(1, 2, submit=later[0].submit),
        ended(2, 3, submit=earlier[0].submit),
        ended(3, 3, name="read again"),
        ended(4, 1),
    ]
    await fill(anew, moved)
    written = await archived(anew, dataset)
    assert rows(dataset, "job_id_raw", "end", "submit") == sorted(
        (
            record.job_id_raw,
            datetime.fromtimestamp(record.end or 0, UTC),
            datetime.fromtimestamp(record.submit, UTC),
        )
        for record, _ in (*moved, ended(4, 4))
    )
    # What was found in other days' files waits until those are written without it.
    assert written == [("sim", TODAY - day) for day in (3, 2, 1, 4, 3, 2)]
    assert await archived(anew, dataset) == []


async def test_a_damaged_file_does_not_hold_up_other_days(store: Path, dataset: Path) -> None:
    await fill(store, [ended(1, 3)])
    await archived(store, dataset)
    (file,) = dataset.rglob("*.parquet")
    file.write_bytes(b"PAR1 it was")
    await fill(store, [ended(2, 2, submit=MIDNIGHT - 10 * DAY)])
    assert await archived(store, dataset) == [("sim", TODAY - 2)]


async def test_a_crash_before_the_note_changes_no_name(store: Path, dataset: Path) -> None:
    await fill(store, [ended(1, 3), ended(2, 3)])
    for _ in range(2):
        carry_out(order(store, dataset, ("sim", TODAY - 3)))
    assert names(dataset) == [f"{folder(3)}/sim-1.parquet"]


async def test_a_column_that_comes_later_has_all_files_written_again(store: Path, dataset: Path) -> None:
    await fill(store, [ended(1, 3), ended(2, 2)])
    await archived(store, dataset)
    (old,) = (dataset / folder(3)).iterdir()
    table = pq.read_table(old).drop_columns(["restarts", "steps"])
    pq.write_table(table, old)
    prune(store, "job_id_raw = 1", NOW)
    carry_out(order(store, dataset))
    assert pq.read_schema(old).names == table.schema.names
    asked = order(store, dataset)
    object.__setattr__(asked, "survey", True)
    carry_out(asked)
    assert names(dataset) == [f"{folder(3)}/sim-2.parquet", f"{folder(2)}/sim-1.parquet"]
    for file in dataset.rglob("*.parquet"):
        assert pq.read_schema(file).remove_metadata() == arrow.schema(pa)
    assert rows(dataset, "job_id_raw", "name", "restarts") == [(1, "job 1", None), (2, "job 2", None)]


async def test_columns_of_a_newer_version_are_not_thrown_away(store: Path, dataset: Path) -> None:
    await fill(store, [ended(1, 3)])
    await archived(store, dataset)
    (file,) = (dataset / folder(3)).iterdir()
    table = pq.read_table(file)
    pq.write_table(table.append_column("colour", pa.array(["red"])), file)
    await fill(store, [ended(1, 3, 2, state="FAILED")])
    with pytest.raises(StoreError, match=r"sim-1\.parquet: has columns .* \(colour\): use a newer slurmwatchd"):
        carry_out(order(store, dataset, ("sim", TODAY - 3)))
    assert names(dataset) == [f"{folder(3)}/sim-1.parquet"]


async def test_row_groups_are_bounded_by_their_bytes(
    store: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slurmwatchd.store.archive.writer.GROUP_BYTES", 4_000_000)
    await fill(store, [ended(number, 3, comment="x" * 10_000) for number in range(1, 1201)])
    await archived(store, dataset)
    (file,) = dataset.rglob("*.parquet")
    groups = pq.ParquetFile(file).metadata
    # 250 attempts are read at a time: 2.5 MB.
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [500, 500, 200]


def test_a_number_that_no_column_can_hold_is_kept_as_text() -> None:
    record = {"cluster": "sim", "job_id": "1", "job_id_raw": 1, "submit": "2026-11-20T00:00:00Z", "cpus": 1 << 70}
    used = {**record, "cpus": 2, "usage": {"steps": 1, "complete": True, "max_rss_bytes": 1 << 64}}
    table = pa.Table.from_batches([batch_of(pa, [record, used], [1, 1])])
    assert table["cpus"].to_pylist() == [None, 2]
    assert table["raw"].to_pylist() == ['{"cpus":"1180591620717411303424"}', None]
    assert table["usage_max_rss_bytes"].to_pylist() == [None, None]
    assert table["usage_raw"].to_pylist() == [None, '{"max_rss_bytes":"18446744073709551616"}']


async def test_two_processes_do_not_write_into_one_archive(store: Path, dataset: Path) -> None:
    await fill(store, [ended(1, 3)])
    with workshop(dataset), pytest.raises(ArchiveBusyError, match="another process writes"):
        carry_out(order(store, dataset, ("sim", TODAY - 3)))


async def test_readers_see_each_attempt_once_while_days_are_written(store: Path, dataset: Path) -> None:
    await fill(store, [ended(1, 3), ended(2, 3), ended(3, 3)])
    await fill(store, [ended(9, 3, cluster="other")])
    await archived(store, dataset)
    seen: set[tuple[int, ...]] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            # As a reader does: it lists the day, then opens what it has found.
            listed = [entry.name for entry in (dataset / folder(3)).iterdir()]
            seen.add(tuple(len([name for name in listed if name.startswith(of)]) for of in ("other", "sim")))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for number in range(2, 12):
            with closing(sqlite3.connect(store)) as connection:
                connection.execute("UPDATE jobs SET revision = ? WHERE job_id_raw = 2", (number,))
                connection.commit()
            carry_out(order(store, dataset, ("sim", TODAY - 3)))
    finally:
        stop.set()
        watcher.join()
    assert names(dataset) == [f"{folder(3)}/other-1.parquet", f"{folder(3)}/sim-11.parquet"]
    assert seen == {(1, 1)}
