"""Sinks that are given some events only: nothing else comes, and what was left out is no loss to anybody."""

from pathlib import Path
from typing import Any

from slurmwatchd.operations.read_only import onlooker
from slurmwatchd.operations.verify.against_files import SinkFiles
from slurmwatchd.sinks.jsonl import JsonlOptions
from tests.integration.rig import START, Rig


def selecting(folder: Path, **options: Any) -> Rig:  # noqa: ANN401 - any option
    """A file that is given some events beside one that is given all."""
    sinks = {
        "jobs": {"type": "jsonl", "path": str(folder / "jobs.jsonl")},
        "some": {"type": "jsonl", "path": str(folder / "some.jsonl"), **options},
    }
    return Rig(folder, sinks=sinks)


def ask(rig: Rig, **options: Any) -> None:  # noqa: ANN401 - any option
    """Have the next start give the file other events."""
    options = {"type": "jsonl", "path": str(rig.folder / "some.jsonl"), **options}
    rig.config = rig.config.model_copy(
        update={"sinks": {**rig.config.sinks, "some": JsonlOptions.model_validate(options)}}
    )


async def verified(rig: Rig) -> tuple[int, list[tuple[str, int | None]]]:
    """How many events must be in the file, and what is wrong with it."""
    async with onlooker(rig.config) as view:
        options = rig.config.sinks["some"]
        assert isinstance(options, JsonlOptions)
        compared = SinkFiles(view.reader, "some", options.path, selection=options.selection())
        read = await compared.compare(START - 86400, START + 86400, seen=lambda _: None)
        return read.events, [(str(found.what), found.seq) async for found in compared.findings(100)]


def names(rig: Rig) -> list[str]:
    return [record["name"] for record in rig.records("some.jsonl")]


async def test_what_is_left_out_is_no_loss_and_the_cursor_moves_over_it(tmp_path: Path) -> None:
    with selecting(tmp_path, partitions=["gpu*"], states=["FAILED"]) as rig:
        rig.ended(60, job_name="one", partition="gpu", state="FAILED")
        rig.ended(50, job_name="two", partition="gpu")
        rig.ended(40, job_name="three", partition="main", state="FAILED")
        await rig.once()
        assert names(rig) == ["one"]
        assert len(rig.records()) == 3
        assert rig.ask_store("SELECT sink, seq FROM cursors ORDER BY sink")[:2] == [("jobs", 3), ("prometheus", 3)]
        assert rig.ask_store("SELECT seq FROM cursors WHERE sink = 'some'") == [(3,)]
        assert await verified(rig) == (1, [])
        # What is missing nonetheless is found.
        (tmp_path / "some.jsonl").write_bytes(b"")
        assert await verified(rig) == (1, [("missing", 1)])


async def test_each_event_is_held_to_what_was_asked_for_when_it_was_delivered(tmp_path: Path) -> None:
    with selecting(tmp_path, states=["FAILED"]) as rig:
        rig.ended(60, job_name="left out", partition="gpu")
        await rig.once()
        ask(rig)
        rig.move(30)
        rig.ended(20, job_name="given", partition="main")
        await rig.once()
        assert names(rig) == ["given"]
        assert await verified(rig) == (1, [])
        ask(rig, partitions=["gpu"])
        # Nobody has started it with this yet: what it was given until now is what counts.
        assert await verified(rig) == (1, [])
        rig.move(60)
        rig.ended(50, job_name="left out again", partition="main")
        rig.ended(40, job_name="last", partition="gpu")
        await rig.once()
        assert names(rig) == ["given", "last"]
        assert await verified(rig) == (2, [])


async def test_a_metric_tells_how_much_is_left_out(tmp_path: Path) -> None:
    with selecting(tmp_path, events=["job_usage"]) as rig:
        rig.ended(60)
        rig.ended(50)
        async with rig.daemon() as daemon:
            await daemon.once()
            registry = daemon.metrics.registry
            for sink, count in (("some", 2), ("jobs", 0)):
                name = "slurmwatchd_sink_left_out_events_total"
                assert registry.get_sample_value(name, {"sink": sink}) == count
        assert rig.ask_store("SELECT seq FROM cursors WHERE sink = 'some'") == [(2,)]
        assert await verified(rig) == (0, [])


async def test_a_stretch_that_is_gone_is_one_finding_in_spite_of_what_was_left_out_within_it(
    tmp_path: Path,
) -> None:
    with selecting(tmp_path, partitions=["gpu"]) as rig:
        for number in range(24):
            rig.ended(60 + number, partition="gpu" if number % 2 else "main")
        await rig.once()
        assert len(names(rig)) == 12
        (tmp_path / "some.jsonl").write_bytes(b"")
        async with onlooker(rig.config) as view:
            options = rig.config.sinks["some"]
            assert isinstance(options, JsonlOptions)
            compared = SinkFiles(view.reader, "some", options.path, selection=options.selection())
            await compared.compare(START - 86400, START + 86400, seen=lambda _: None)
            (found,) = [finding async for finding in compared.findings(100)]
        assert (found.events, found.id) == (12, None)
