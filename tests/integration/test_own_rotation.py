"""A daemon whose sink rotates its file: each end is in the files once; `verify` and a lost store find it there."""

import gzip
from pathlib import Path
from typing import Any

import anyio

from tests.event_schema import conforming
from tests.integration.asked import run
from tests.integration.rig import START, Rig
from tests.sim_truth import differences


def rotating(folder: Path) -> Rig:
    file = {"type": "jsonl", "path": str(folder / "jobs.jsonl"), "rotate_size": "1kB"}
    return Rig(folder, sinks={"jobs": file})


def told(rig: Rig) -> list[dict[str, Any]]:
    """Every event in the file and in what it was renamed to, the oldest first."""
    rotated = sorted(rig.folder.glob("jobs.jsonl.*"), key=lambda path: -int(path.name.split(".")[2]))
    texts = [gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in rotated]
    return conforming(b"".join([*texts, rig.file.read_bytes()]).splitlines())


async def five_polls(rig: Rig) -> None:
    for number in range(5):
        for job in range(3):
            rig.ended(5, job_name=f"{number}-{job}")
        await rig.once()
        rig.move(30)


async def test_every_end_is_in_the_files_once(tmp_path: Path) -> None:
    with rotating(tmp_path) as rig:
        await five_polls(rig)
        names = sorted(path.name for path in tmp_path.glob("jobs.jsonl*"))
        assert names == ["jobs.jsonl", "jobs.jsonl.1", "jobs.jsonl.2.gz", "jobs.jsonl.3.gz", "jobs.jsonl.4.gz"]
        assert differences(rig.cluster, told(rig)) == []
        assert [event["seq"] for event in told(rig)] == [*range(1, 16)]


async def test_a_lost_store_knows_what_the_renamed_files_hold(tmp_path: Path) -> None:
    with rotating(tmp_path) as rig:
        await five_polls(rig)
        for suffix in ("", "-wal", "-shm", ".lock"):
            rig.store.with_name(rig.store.name + suffix).unlink(missing_ok=True)
        rig.ended(5, job_name="meanwhile")
        rig.move(30)
        await rig.once()
        assert differences(rig.cluster, told(rig)) == []
        assert len(told(rig)) == 16


def test_verify_reads_all_of_them_and_misses_what_is_gone(tmp_path: Path) -> None:
    with rotating(tmp_path) as rig:
        anyio.run(five_polls, rig)
        config = tmp_path / "slurmwatchd.toml"
        config.write_text(
            f'[slurm]\nbin_dir = "{tmp_path}/bin"\n[store]\npath = "{rig.store}"\n'
            f'[sinks.jobs]\ntype = "jsonl"\npath = "{rig.file}"\nrotate_size = "1kB"\n'
        )
        stretch = ["--since", f"@{START - 60}", "--until", f"@{START + 119}"]
        ran = run("verify", "--config", config, "--sink", "jobs", *stretch)
        assert "15 lines in 5 files: 0 differences" in ran.out, ran.out + ran.err
        (tmp_path / "jobs.jsonl.3.gz").unlink()
        ran = run("verify", "--config", config, "--sink", "jobs", *stretch)
        assert (ran.code, "12 lines in 4 files: 3 differences" in ran.out) == (1, True), ran.out + ran.err
