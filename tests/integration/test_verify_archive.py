"""`verify --archive`: what is right is found right, and each fault is named with its file and its attempt."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.asked import Ran, run
from tests.unit.archives import DAY, MIDNIGHT, archived, ended, fill, prune

pytestmark = pytest.mark.usefixtures("utc")

OLD, NEW = "day=2026-11-20", "day=2026-11-21"


class Site:
    """A store, an archive and a configuration."""

    def __init__(self, folder: Path) -> None:
        self.store, self.dataset, self.file = folder / "store.db", folder / "archive", folder / "slurmwatchd.toml"
        self.file.write_text(f'[store]\npath = "{self.store}"\n[archive]\npath = "{self.dataset}"\n')

    def fill(self, *readings: Any) -> None:  # noqa: ANN401 - attempts
        anyio.run(fill, self.store, readings)

    def archive(self) -> None:
        anyio.run(archived, self.store, self.dataset)

    def verify(self, *arguments: object) -> Ran:
        return run("verify", "--no-sacct", "--archive", "--config", self.file, *arguments)

    def found(self, *arguments: object) -> tuple[int, list[tuple[str, str | None, str | None]], dict[str, Any]]:
        ran = self.verify("--json", *arguments)
        report = json.loads(ran.out)["archive"]
        return ran.code, [(row["what"], row["file"], row["job_id"]) for row in report["differences"]], report

    def rewrite(self, name: str, change: Any) -> None:  # noqa: ANN401 - a function of a table
        table = pq.ParquetFile(self.dataset / name).read()
        pq.write_table(change(table), self.dataset / name)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.fill(*(ended(number, 3) for number in (1, 2, 3)), ended(4, 2), ended(5, 2))
    site.archive()
    prune(site.store, "job_id_raw = 1", MIDNIGHT - 30 * DAY)
    return site


def test_a_sound_archive_has_no_differences_and_its_waiting_days_are_counted(site: Site) -> None:
    assert site.found() == (
        0,
        [],
        {
            "path": str(site.dataset), "files": 2, "attempts": 5, "days_waiting": 0, "count": 0, "differences": [],
        },
    )  # fmt: skip
    site.fill(ended(2, 3, 2, state="FAILED"))
    anyio.run(_note, site)
    ran = site.verify()
    assert ran.code == 0
    assert (
        ran.out == f"archive {site.dataset}: 5 attempts in 2 files: 0 differences\n  1 day still to be written\n"
    )


async def _note(site: Site) -> None:
    from slurmwatchd.store.archive import days  # noqa: PLC0415 - once
    from slurmwatchd.store.database import open_database  # noqa: PLC0415

    async with open_database(site.store) as database:
        await days.note(database)


def test_a_stretch_limits_it_to_its_days(site: Site) -> None:
    (site.dataset / NEW / "sim-1.parquet").write_bytes(b"PAR1")
    assert site.found("--since", "2026-11-20", "--until", "2026-11-21")[:2] == (0, [])
    assert site.found("--since", "2026-11-21")[0] == 1


def test_an_attempt_that_is_missing_and_one_that_differs(site: Site) -> None:
    site.rewrite(f"{OLD}/sim-1.parquet", lambda table: table.slice(0, 2))
    with closing(sqlite3.connect(site.store)) as store:
        store.execute("UPDATE jobs SET state_code = 'f', revision = 2 WHERE job_id_raw = 4")
        store.commit()
    code, found, report = site.found()
    assert (code, found) == (
        1, [("missing", f"{OLD}/sim-1.parquet", "3"), ("differs", f"{NEW}/sim-1.parquet", "4")],
    )  # fmt: skip
    assert report["differences"][1]["text"] == "COMPLETED in revision 1, the store has FAILED in 2"
    assert report["differences"][1]["day"] == "2026-11-21"
    assert "differs" in site.verify().out


def test_an_attempt_twice_and_one_in_the_wrong_day(site: Site) -> None:
    old = pq.ParquetFile(site.dataset / OLD / "sim-1.parquet").read()
    site.rewrite(f"{NEW}/sim-1.parquet", lambda table: pa.concat_tables([old.slice(0, 1), table]))
    code, found, report = site.found()
    name = f"{NEW}/sim-1.parquet"
    assert (code, found) == (1, [("misplaced", name, "1"), ("twice", name, "1")])
    assert report["differences"][1]["text"] == f"also in {OLD}/sim-1.parquet"


def test_a_flipped_bit_a_torn_file_and_other_columns(site: Site) -> None:
    file = site.dataset / OLD / "sim-1.parquet"
    whole = file.read_bytes()
    at = whole.index(b"job 2")
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert site.found()[:2] == (1, [("unreadable", f"{OLD}/sim-1.parquet", None)])
    file.write_bytes(whole[:-200])
    assert site.found()[:2] == (1, [("unreadable", f"{OLD}/sim-1.parquet", None)])
    file.write_bytes(whole)
    site.rewrite(f"{OLD}/sim-1.parquet", lambda table: table.append_column("colour", pa.array(["red"] * 3)))
    assert site.found()[:2] == (1, [("columns", f"{OLD}/sim-1.parquet", None)])


def test_a_file_that_is_gone_and_files_that_are_not_ours(site: Site) -> None:
    shutil.copy(site.dataset / OLD / "sim-1.parquet", site.dataset / OLD / "sim-2.parquet")
    (site.dataset / OLD / ".sim-3.parquet.part").write_bytes(b"")
    code, found, _ = site.found()
    assert code == 1
    assert found[:2] == [
        ("strange file", f"{OLD}/sim-2.parquet", None),
        ("strange file", f"{OLD}/.sim-3.parquet.part", None),
    ]
    assert {what for what, _, _ in found[2:]} == {"twice"}
    os.unlink(site.dataset / OLD / "sim-2.parquet")  # noqa: PTH108 - as rm does
    os.unlink(site.dataset / OLD / ".sim-3.parquet.part")  # noqa: PTH108
    os.unlink(site.dataset / OLD / "sim-1.parquet")  # noqa: PTH108
    assert site.found()[:2] == (1, [("no file", None, None)])


def test_mistakes(site: Site, tmp_path: Path) -> None:
    without = tmp_path / "without.toml"
    without.write_text(f'[store]\npath = "{site.store}"\n')
    ran = run("verify", "--no-sacct", "--archive", "--config", without)
    assert (ran.code, "archive.path is not set" in ran.err) == (2, True)
    ran = run("verify", "--no-sacct", "--config", without)
    assert (ran.code, "without --sink or --archive" in ran.err) == (2, True)
