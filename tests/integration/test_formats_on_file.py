"""A file in each format: nothing comes twice where the store was lost, and verify reads it."""

import gzip
from pathlib import Path

import orjson
import pytest

from slurmwatchd.operations.read_only import onlooker
from slurmwatchd.operations.verify.against_files import SinkFiles
from slurmwatchd.sinks.forms.reading import identity_of
from slurmwatchd.sinks.jsonl import JsonlOptions
from tests.integration.rig import START, Rig

FORMATS = ("flat", "cloudevents", "ecs", "jobcomp")


def in_format(folder: Path, format_: str) -> Rig:
    return Rig(folder, sinks={"jobs": {"type": "jsonl", "path": str(folder / "jobs.jsonl"), "format": format_}})


def ids(rig: Rig) -> list[str | None]:
    return [identity_of(orjson.loads(line)) for line in rig.file.read_bytes().splitlines()]


async def verified(rig: Rig) -> tuple[int, int, list[tuple[str, int | None]]]:
    """How many lines there are, how many events must be there, and what is wrong."""
    async with onlooker(rig.config) as view:
        options = rig.config.sinks["jobs"]
        assert isinstance(options, JsonlOptions)
        compared = SinkFiles(view.reader, "jobs", options.path, selection=options.selection())
        read = await compared.compare(START - 86400, START + 86400, seen=lambda _: None)
        return read.lines, read.events, [(str(found.what), found.line) async for found in compared.findings(100)]


@pytest.mark.parametrize("format_", FORMATS)
async def test_what_the_file_has_is_not_written_again_when_the_store_is_lost(tmp_path: Path, format_: str) -> None:
    with in_format(tmp_path, format_) as rig:
        for number in range(3):
            rig.ended(5, job_name=f"before {number}")
            await rig.once()
            rig.move(30)
        for suffix in ("", "-wal", "-shm", ".lock"):
            rig.store.with_name(rig.store.name + suffix).unlink(missing_ok=True)
        # What stands in a file that is no longer written cannot be found by comparing with what is due.
        older = rig.file.read_bytes()
        (tmp_path / "jobs.jsonl.1.gz").write_bytes(gzip.compress(older))
        rig.file.unlink()
        rig.ended(5, job_name="meanwhile")
        rig.move(30)
        await rig.once()
        (last,) = ids(rig)
        assert last is not None
        assert last.encode() not in older


@pytest.mark.parametrize("format_", FORMATS)
async def test_verify_reads_it(tmp_path: Path, format_: str) -> None:
    with in_format(tmp_path, format_) as rig:
        for number in range(3):
            rig.ended(60 + number)
        await rig.once()
        assert await verified(rig) == (3, 3, [])
        first, second, third = rig.file.read_bytes().splitlines(keepends=True)
        rig.file.write_bytes(first + third + b'{"event":{},"slurm":{}}\n' + third)
        assert await verified(rig) == (4, 3, [("invalid", 3), ("missing", None), ("twice", 2), ("twice", 4)])
        assert second
