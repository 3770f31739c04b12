"""What is written or expires while somebody reads: store and archive are looked at as of one moment."""

import sqlite3
import threading
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slurmwatchd.store.archive import layout, writer
from slurmwatchd.store.archive.files import Dataset
from slurmwatchd.store.archive.moved import moved_from
from slurmwatchd.store.archive.reader import ArchivedReader
from slurmwatchd.store.read.query import Order, Question
from tests.patience import HANGS_SECONDS
from tests.unit.archives import DAY, MIDNIGHT, TODAY, archived, carry_out, ended, fill, order, prune, rows

EVERY = Question(order=Order.END)
RAN = Question(running_from=MIDNIGHT - 20 * DAY, running_until=MIDNIGHT, order=Order.FOUND)
ARRAY = {"array_job_id": 30, "array_task_id": 1}


@pytest.fixture
async def site(tmp_path: Path) -> tuple[Path, Path]:
    """A store that has pruned one attempt of six, with its archive."""
    path, dataset = tmp_path / "store.db", tmp_path / "archive"
    tasks = [ended(number, 10 - number, job_id=f"30_{number}", **ARRAY) for number in (1, 2, 3, 4, 5, 6)]
    await fill(path, tasks)
    await archived(path, dataset)
    prune(path, f'"end" < {MIDNIGHT - 8 * DAY}', MIDNIGHT - 8 * DAY)
    return path, dataset


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda reader: len(reader.ids(EVERY)), id="ids"),
        pytest.param(lambda reader: reader.count(EVERY), id="count"),
        pytest.param(lambda reader: reader.totals(RAN)[None].ran, id="totals"),
        pytest.param(lambda reader: sum(reader.arrays(EVERY)[0].outcomes.values()), id="arrays"),
    ],
)
@pytest.mark.parametrize("when", ["refresh", "places"])
async def test_what_expires_during_a_question_counts_once(
    site: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, ask: Callable[[ArchivedReader], int], when: str
) -> None:
    path, dataset = site
    look = getattr(Dataset, when)

    def expiring(files: Dataset, *given: Any) -> object:  # noqa: ANN401 - as `look`
        found = look(files, *given)
        prune(path, f'"end" < {MIDNIGHT - 6 * DAY}', MIDNIGHT - 6 * DAY)
        return found

    monkeypatch.setattr(Dataset, when, expiring)
    with ArchivedReader(path, dataset) as reader:
        assert ask(reader) == 6
    monkeypatch.undo()
    with ArchivedReader(path, dataset) as reader:
        assert ask(reader) == 6


def test_threads_that_share_a_reader_see_moments_one_after_the_other(site: tuple[Path, Path]) -> None:
    counted: list[int] = []
    with ArchivedReader(*site) as reader:
        other = threading.Thread(target=lambda: counted.append(reader.count(EVERY)))
        with reader.snapshot():
            other.start()
            # One inside another is the same.
            assert reader.count(EVERY) == 6
        other.join(HANGS_SECONDS)
        assert counted == [6]


async def test_an_end_that_moves_while_its_new_day_is_written_is_not_in_both(
    site: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, dataset = site
    await fill(path, [ended(7, 4)])

    def moving(*given: Any) -> dict[int, int]:  # noqa: ANN401 - as `moved_from`
        found = moved_from(*given)
        with closing(sqlite3.connect(path)) as store:
            store.execute('UPDATE jobs SET "end" = "end" + 86400 WHERE job_id_raw = 5')
            store.commit()
        return found

    monkeypatch.setattr(writer, "moved_from", moving)
    carry_out(order(path, dataset, ("sim", TODAY - 4)))
    assert rows(dataset, "job_id_raw") == [(number,) for number in range(1, 8)]


def test_a_folder_whose_name_is_no_date_is_not_the_archive_s(site: tuple[Path, Path]) -> None:
    _, dataset = site
    for name in ("day=2026-02-30", "day=0000-00-00", "day=2026-13-01"):
        (dataset / name).mkdir()
        (dataset / name / "sim-1.parquet").touch()
    days: Collection[int] = [file.day for file in layout.files(dataset)]
    assert days == [TODAY - ago for ago in (9, 8, 7, 6, 5, 4)]
