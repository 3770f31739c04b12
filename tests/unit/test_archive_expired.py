"""What expires from the store while a long answer is read: the archive has it, and the answer stays whole."""

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from slurmwatchd.store.archive.reader import ArchivedReader
from slurmwatchd.store.read.query import Question
from slurmwatchd.store.read.reader import StoreReader
from tests.unit.archives import DAY, MIDNIGHT, archived, ended, fill, prune

EVERY = Question()
EXPIRED = f'"end" < {MIDNIGHT - 5 * DAY} OR "end" IS NULL'


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    """A store of two clusters, all of it archived, that has pruned attempt 1."""
    path, dataset = tmp_path / "store.db", tmp_path / "archive"
    await fill(path, [ended(number, ago) for number, ago in ((1, 9), (2, 8), (3, 8), (4, 7), (5, 3), (6, 2))])
    # The same number and submission in another cluster, and one that never ended.
    await fill(path, [ended(2, 8, cluster="other")], cluster="other")
    await fill(path, [ended(7, 6, end=None, state="RUNNING")])
    await archived(path, dataset)
    prune(path, "job_id_raw = 1", MIDNIGHT - 8 * DAY)
    return path


def asked(reader: StoreReader) -> Sequence[int]:
    with reader.snapshot():
        ids = reader.ids(EVERY)
        reader.remember(ids)
    return ids


async def test_what_expires_between_question_and_answer_comes_from_the_archive(
    store: Path, tmp_path: Path
) -> None:
    with ArchivedReader(store, tmp_path / "archive") as reader:
        ids = asked(reader)
        records = reader.fetch(ids, nodes=True, usage=True)
        assert [(record["cluster"], record["job_id_raw"]) for record in records] == [
            ("sim", 7), ("sim", 1), ("sim", 2), ("other", 2), ("sim", 3), ("sim", 4), ("sim", 5), ("sim", 6),
        ]  # fmt: skip
        prune(store, EXPIRED, MIDNIGHT - 5 * DAY)
        assert reader.fetch(ids, nodes=True, usage=True) == records
        lines = reader.lines(ids, nodes=True, usage=True)
        assert [orjson.loads(line) for line in lines] == records
        assert "nodes" not in reader.fetch(ids)[2]
        # Some of them, in another order, and one twice.
        some = [ids[5], ids[2], ids[6], ids[2]]
        assert [record["job_id_raw"] for record in reader.fetch(some)] == [4, 2, 5, 2]


async def test_a_day_that_is_written_again_meanwhile_is_read_as_it_is_then(store: Path, tmp_path: Path) -> None:
    with ArchivedReader(store, tmp_path / "archive") as reader:
        ids = [job for job in asked(reader) if job >= 0]
        reader.fetch(ids)
        await fill(store, [ended(3, 8, digest=2, state="FAILED")])
        await archived(store, tmp_path / "archive")
        prune(store, EXPIRED, MIDNIGHT - 5 * DAY)
        found = {(record["cluster"], record["job_id_raw"]): record["state"] for record in reader.fetch(ids)}
        assert found["sim", 3] == "FAILED"
        assert sorted(found) == [("other", 2), *(("sim", number) for number in (2, 3, 4, 5, 6, 7))]


async def test_what_no_archive_has_is_left_out(store: Path, tmp_path: Path) -> None:
    with ArchivedReader(store, tmp_path / "archive") as reader, StoreReader(store) as alone:
        ids = asked(reader)
        of_store = asked(alone)
        (lost,) = (tmp_path / "archive").glob("day=*/other-*.parquet")
        lost.unlink()
        prune(store, EXPIRED, MIDNIGHT - 5 * DAY)
        assert [record["job_id_raw"] for record in reader.fetch(ids)] == [7, 1, 2, 3, 4, 5, 6]
        assert [record["job_id_raw"] for record in alone.fetch(of_store)] == [5, 6]
