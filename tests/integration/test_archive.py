"""The archive beside the daemon: it takes finished days before they are pruned, and commands read on in it."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import anyio
import pyarrow.dataset as ds
import pytest

from slurmwatchd.daemon.archiver import Archiver
from slurmwatchd.errors import ArchiveError
from tests.integration.asked import run, run_process
from tests.integration.rig import Rig
from tests.patience import HANGS_SECONDS
from tests.unit.archives import names, rows

HOUR = 3600
DAY = 24 * HOUR

pytestmark = pytest.mark.usefixtures("utc")


def _rig(folder: Path, **sections: dict[str, Any]) -> Rig:
    poll: dict[str, Any] = {"slice": "1d", "reread": ["5m", "2h"]}
    store = {"path": str(folder / "store.db"), "retain": "2d"}
    archive = {"path": str(folder / "archive")}
    given: dict[str, dict[str, Any]] = {"poll": poll, "store": store, "archive": archive, **sections}
    return Rig(folder, version="22.05.8", **given)


def _stored(rig: Rig) -> list[int]:
    return [row[0] for row in rig.ask_store("SELECT job_id_raw FROM jobs ORDER BY job_id_raw")]


async def _days(rig: Rig, count: int) -> None:
    """Let days go by, a job in each."""
    for _ in range(count):
        rig.ended(5)
        await rig.once()
        rig.move(1.1 * DAY)
    await rig.once()


@pytest.mark.heavy
async def test_every_attempt_is_in_the_archive_once_when_the_store_has_pruned_it(tmp_path: Path) -> None:
    with _rig(tmp_path) as rig:
        await _days(rig, 7)
        archived = [job for (job,) in rows(tmp_path / "archive", "job_id_raw")]
        assert archived == [1, 2, 3, 4, 5, 6]
        # The store has pruned, and only what the archive has.
        assert 0 < len(_stored(rig)) < 5
        assert set(archived) | set(_stored(rig)) == set(range(1, 8))
        assert all(name.endswith("/sim-1.parquet") for name in names(tmp_path / "archive"))
        # As another program reads it: the day is the partition.
        found = ds.dataset(tmp_path / "archive", partitioning="hive").to_table(columns=["day", "end"]).to_pylist()
        assert [row["day"] for row in found] == [f"{row['end']:%Y-%m-%d}" for row in found]


async def test_nothing_is_pruned_while_the_archive_cannot_be_written_and_all_of_it_later(tmp_path: Path) -> None:
    # Not a folder: whoever runs the tests, root too, cannot make one there.
    (tmp_path / "archive").write_text("in the way")
    with _rig(tmp_path) as rig:
        for _ in range(6):
            rig.ended(5)
            with pytest.raises(ArchiveError, match="archive: "):
                await rig.once()
            rig.move(1.1 * DAY)
        assert _stored(rig) == [1, 2, 3, 4, 5, 6]
        # What is delivered is not held up.
        assert len(rig.records()) == 6
        (tmp_path / "archive").unlink()
        await rig.once()
        assert [job for (job,) in rows(tmp_path / "archive", "job_id_raw")] == [1, 2, 3, 4, 5]
        assert len(_stored(rig)) < 4


@pytest.mark.heavy
async def test_a_late_revision_writes_its_day_again_and_no_other(tmp_path: Path) -> None:
    with _rig(tmp_path, store={"path": str(tmp_path / "store.db"), "retain": "30d"}) as rig:
        keys = [rig.ended(5), rig.ended(6)]
        await rig.once()
        rig.move(1.1 * DAY)
        rig.ended(5)
        await rig.once()
        rig.move(2 * DAY)
        await rig.once()
        before = names(tmp_path / "archive")
        assert len(before) == 2
        day = before[0].partition("/")[0]
        rig.cluster.update_job(keys[0], admin_comment="looked at")
        # As `backfill --again` has it.
        end = rig.ask_store('SELECT min("end") FROM jobs')[0][0]
        async with rig.daemon() as daemon:
            await daemon.database.write(
                lambda connection: connection.execute(
                    'INSERT INTO backfills (cluster, start, "end", reached, asked, moved) '
                    "VALUES ('sim', ?, ?, ?, 0, 0)",
                    (end - 60, end + 60, end + 60),
                )
            )
            await daemon.backfill()
        rig.move(HOUR)
        await rig.once()
        assert names(tmp_path / "archive") == [f"{day}/sim-2.parquet", before[1]]
        assert rows(tmp_path / "archive", "job_id_raw", "admin_comment") == [
            (1, "looked at"), (2, None), (3, None),
        ]  # fmt: skip


async def test_a_writer_that_is_killed_is_started_again_and_a_stopped_daemon_takes_it_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _rig(tmp_path) as rig:
        rig.ended(5)
        await rig.once()
        rig.move(2 * DAY)
        script = "import os, signal, sys; sys.stdin.buffer.read(); os.kill(os.getpid(), signal.SIGKILL)"
        with monkeypatch.context() as patched:
            patched.setattr("slurmwatchd.daemon.archiver.COMMAND", (sys.executable, "-c", script))
            with pytest.raises(
                ArchiveError, match=f"the archive's process ended with status -{int(signal.SIGKILL)}"
            ):
                await rig.once()
        with monkeypatch.context() as patched:
            pid = tmp_path / "pid"
            script = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
            patched.setattr("slurmwatchd.daemon.archiver.COMMAND", (sys.executable, "-c", script))
            async with rig.daemon() as daemon:
                assert isinstance(daemon.archiver, Archiver)
                with anyio.fail_after(HANGS_SECONDS):
                    async with anyio.create_task_group() as group:
                        group.start_soon(daemon.archiver.run)
                        while not (pid.exists() and pid.read_text()):  # noqa: ASYNC110 - a file tells
                            await anyio.sleep(0.02)
                        group.cancel_scope.cancel()
                with pytest.raises(ProcessLookupError):
                    os.kill(int(pid.read_text()), 0)
        await rig.once()
        assert [job for (job,) in rows(tmp_path / "archive", "job_id_raw")] == [1]


async def test_health_and_metrics_say_what_waits_and_why(tmp_path: Path) -> None:
    with _rig(tmp_path) as rig:
        rig.ended(5)
        await rig.once()
        rig.move(3 * DAY)
        (tmp_path / "archive.tmp").rmdir() if (tmp_path / "archive.tmp").is_dir() else None
        (tmp_path / "archive.tmp").write_text("in the way")
        async with rig.daemon() as daemon:
            assert daemon.archiver is not None
            registry = daemon.metrics.registry
            async with anyio.create_task_group() as group:
                group.start_soon(daemon.archiver.run)
                with anyio.fail_after(HANGS_SECONDS):
                    while not daemon.health.archive:  # noqa: ASYNC110 - nothing tells
                        await anyio.sleep(0.02)
                group.cancel_scope.cancel()
            assert daemon.health.archive == f"{tmp_path}/archive.tmp: File exists"
            assert f"archive: {tmp_path}/archive.tmp: File exists" in daemon.health.line()
            assert registry.get_sample_value("slurmwatchd_archive_failures_total") == 1
            (tmp_path / "archive.tmp").unlink()
            await daemon.archiver.round(rest=False)
            assert daemon.health.archive == ""
            assert registry.get_sample_value("slurmwatchd_archive_attempts") == 1
            assert registry.get_sample_value("slurmwatchd_archive_waiting_files") == 0
            written = registry.get_sample_value(
                "slurmwatchd_archive_written_files_total", {"slurm_cluster": "sim"}
            )
            assert written == 1
            assert registry.get_sample_value("slurmwatchd_archive_size_bytes") == sum(
                file.stat().st_size for file in (tmp_path / "archive").rglob("*.parquet")
            )


async def test_status_shows_the_archive_and_what_is_wrong_with_it(tmp_path: Path) -> None:
    with _rig(tmp_path) as rig:
        rig.ended(5)
        await rig.once()
        rig.move(2 * DAY)
        rig.ended(5)
        await rig.once()
        file = tmp_path / "slurmwatchd.toml"
        file.write_text(
            f'[poll]\nslice = "1d"\nreread = ["5m", "2h"]\n[store]\npath = "{rig.store}"\n'
            f'[archive]\npath = "{tmp_path}/archive"\n'
        )
        told = json.loads(run("status", "--config", file, "--json").out)["archive"]
        size = sum(path.stat().st_size for path in (tmp_path / "archive").rglob("*.parquet"))
        # By the machine's clock, which is ahead or behind: both days may count as finished.
        assert {name: told[name] for name in ("path", "files", "attempts", "bytes", "newest_day", "error")} == {
            "path": f"{tmp_path}/archive",
            "files": 1,
            "attempts": 1,
            "bytes": size,
            "newest_day": "2026-11-24",
            "error": "",
        }
        assert f"archive     {tmp_path}/archive: 1 attempts, " in run("status", "--config", file).out
        assert json.loads(run("status", "--store", rig.store, "--json").out)["archive"] is None


@pytest.mark.heavy
async def test_commands_go_on_in_the_archive_where_the_store_ends(tmp_path: Path) -> None:
    with _rig(tmp_path) as rig:
        await _days(rig, 7)
        file = tmp_path / "slurmwatchd.toml"
        file.write_text(f'[store]\npath = "{rig.store}"\n[archive]\npath = "{tmp_path}/archive"\n')
        every = [str(number) for number in range(7, 0, -1)]
        ran = run("jobs", "--config", file, "--limit", 0)
        assert (ran.code, ran.column("JOB")) == (0, every)
        # Neither is said to be unread.
        assert "before" not in run("jobs", "--config", file, "--since", "2026-11-24").err
        assert "before" in run("jobs", "--store", rig.store, "--since", "2026-11-24").err
        alone = run("jobs", "--store", rig.store)
        assert len(alone.column("JOB")) == len(_stored(rig)) < 5
        assert run("jobs", "--store", rig.store, "--archive", tmp_path / "archive").column("JOB") == every
        assert run("jobs", "--store", rig.store, "--config", file, "--limit", 2).column("JOB") == every[:2]
        exported = run("export", "--config", file, "--format", "csv", "-o", "-")
        assert [line.split(",")[1] for line in exported.out.splitlines()] == ["job_id", *reversed(every)]
        assert "no ended job" not in run("show", "1", "--config", file).err
        shown = run("show", "1", "--config", file)
        assert (shown.code, shown.out.splitlines()[1].split()) == (0, ["job_id", "1"])
        assert run("nodes", "n1", "--config", file, "--limit", 0).column("JOB") == every


@pytest.mark.heavy
async def test_a_report_after_the_store_was_lost_has_all_of_before_once(tmp_path: Path) -> None:
    with _rig(tmp_path) as rig:
        since = rig.now - HOUR
        await _days(rig, 9)
        file = tmp_path / "slurmwatchd.toml"
        file.write_text(f'[store]\npath = "{rig.store}"\n[archive]\npath = "{tmp_path}/archive"\n')

        def report() -> tuple[int, float, list[dict[str, Any]]]:
            asked = ("--since", f"@{since}", "--until", f"@{rig.now}", "--by", "day", "--format", "json")
            answer = json.loads(run("report", "--config", file, *asked).out)
            assert [line["attempts"] for line in answer["lines"]] == [1] * answer["total"]["attempts"]
            return answer["total"]["attempts"], answer["total"]["wait_median_seconds"], answer["unread"]

        first = report()
        assert first[:2] == (9, 30.0)
        for left in tmp_path.glob("store.db*"):
            left.unlink()
        await rig.once()
        # What the archive does not have yet is read again.
        archived = {job for (job,) in rows(tmp_path / "archive", "job_id_raw")}
        assert archived < set(range(1, 10)) == archived | set(_stored(rig))
        assert report() == first
        # That holds when all that was read again has expired.
        await _days(rig, 6)
        assert min(_stored(rig)) > 9
        assert (report()[0], report()[1]) == (15, 30.0)
        stretches = report()[2]
        assert all(stretch["end"] is None or stretch["end"] <= "2026-11-24T00:00:00Z" for stretch in stretches)


async def test_without_pyarrow_the_configuration_is_wrong_and_names_the_extra(tmp_path: Path) -> None:
    with _rig(tmp_path) as rig:
        rig.ended(5)
        await rig.once()
        file = tmp_path / "slurmwatchd.toml"
        file.write_text(f'[store]\npath = "{rig.store}"\n[archive]\npath = "{tmp_path}/archive"\n')
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, package=None: None if name == 'pyarrow' else find(name, package)\n"
    )
    text = "needs pyarrow, which is not installed: install slurmwatchd[parquet]"
    ran = run_process("check", "--config", file, "--config-only", PYTHONPATH=str(tmp_path / "without"))
    assert (ran.code, text in ran.err, "archive.path" in ran.err) == (78, True, True)
    ran = run_process("jobs", "--config", file, PYTHONPATH=str(tmp_path / "without"))
    assert (ran.code, ran.err) == (78, f"slurmwatchd: archive.path: {text}\n")
