"""Several clusters in one store: none keeps another's attempts, and what expired never comes again."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slurmwatchd.errors import TransientError
from slurmwatchd.operations.doctor.findings import Severity
from slurmwatchd.operations.doctor.machine import examine
from slurmwatchd.operations.read_only import onlooker
from slurmwatchd.operations.verify.against_files import SinkFiles
from slurmwatchd.sinks.jsonl import JsonlOptions
from slurmwatchd.sources.process import Completed
from tests.integration.asked import run
from tests.integration.quick import QuickRunner
from tests.integration.rig import START, Rig
from tests.sim_truth import differences

HOUR = 3600
DAY = 24 * HOUR

BOTH = ["sim", "poplar"]


class DeadRunner(QuickRunner):
    """Answers for every cluster but poplar, which is gone for good."""

    async def run(self, argv: Sequence[str], **options: Any) -> Completed:  # noqa: ANN401 - the runner's own
        if "poplar" in argv:
            said = "sacct: error: slurm_persist_conn_open: Connection refused"
            return Completed(
                argv=tuple(argv), returncode=1, stdout=b"", stderr=said, complaints=(said,), seconds=0.1
            )
        return await super().run(argv, **options)


def two_clusters(folder: Path, *, retain: str) -> Rig:
    rig = Rig(
        folder,
        version="22.05.8",
        slurm={"bin_dir": str(folder / "bin"), "timeout": "20s", "clusters": BOTH},
        # Slices of a day: a test that moves on for days would call sacct for every hour of them.
        poll={"slice": "1d", "reread": ["5m", "2h"]},
        store={"path": str(folder / "store.db"), "retain": retain},
    )
    rig.cluster.add_cluster("poplar", cluster_id=7)
    return rig


def watch(rig: Rig, *clusters: str) -> None:
    slurm = rig.config.slurm.model_copy(update={"clusters": clusters})
    rig.config = rig.config.model_copy(update={"slurm": slurm})


async def once_without_poplar(rig: Rig) -> float | None:
    """Read what the other cluster has; return for how many seconds longer the dead one's attempts are kept."""
    async with rig.daemon(DeadRunner(rig.folder / "bin", rig.cluster.path)) as daemon:
        with pytest.raises(TransientError):
            await daemon.once()
        labels = {"slurm_cluster": "poplar"}
        return daemon.metrics.registry.get_sample_value("slurmwatchd_retention_held_seconds", labels)


async def poplar_dies(rig: Rig) -> list[float | None]:
    """Two half days with both clusters, then four days with one; return how long poplar's attempts are held."""
    for number in range(2):
        rig.ended(5, cluster="poplar", job_name=f"poplar {number}")
        rig.ended(5, job_name=f"sim {number}")
        await rig.once()
        rig.move(12 * HOUR)
    held = []
    for number in range(2, 6):
        rig.ended(5, job_name=f"sim {number}")
        held.append(await once_without_poplar(rig))
        rig.move(DAY)
    return held


async def test_cluster_that_never_answers_again_keeps_its_own_attempts_and_no_others(tmp_path: Path) -> None:
    with two_clusters(tmp_path, retain="2d") as rig:
        # An hour of margin, and the minute in which they ended.
        assert await poplar_dies(rig) == [0, 0, DAY - HOUR, 2 * DAY - HOUR]
        kept = "SELECT cluster, submit FROM jobs ORDER BY cluster, submit"
        assert [(cluster, (submit - START + 95) / DAY) for cluster, submit in rig.ask_store(kept)] == [
            ("poplar", 0), ("poplar", 0.5), ("sim", 2), ("sim", 3), ("sim", 4),
        ]  # fmt: skip
        # It answers after all, and all is as if it always had.
        rig.ended(5, cluster="poplar", job_name="poplar 2")
        rig.ended(6 * HOUR, cluster="poplar", job_name="poplar 3")
        await rig.once()
        names = [*(f"poplar {number}" for number in range(4)), *(f"sim {number}" for number in range(6))]
        assert sorted(rig.names()) == names
        assert differences(rig.cluster, rig.records()) == []
        assert rig.ask_store("SELECT count(*) FROM jobs WHERE cluster = 'poplar'") == [(2,)]


async def test_lines_of_events_that_are_gone_among_others_that_stay_are_no_difference(
    tmp_path: Path,
) -> None:
    with two_clusters(tmp_path, retain="2d") as rig:
        await poplar_dies(rig)
        assert rig.ask_store("SELECT seq FROM events ORDER BY seq") == [(2,), (4,), (6,), (7,), (8,)]
        async with onlooker(rig.config) as view:
            options = rig.config.sinks["jobs"]
            assert isinstance(options, JsonlOptions)
            compared = SinkFiles(view.reader, "jobs", options.path, selection=options.selection())
            read = await compared.compare(START - DAY, rig.now, seen=lambda _: None)
            assert (read.lines, read.events) == (8, 5)
            assert [finding async for finding in compared.findings(100)] == []


async def test_status_and_check_name_the_cluster_and_how_to_let_go_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "slurmwatchd.toml"
    with two_clusters(tmp_path, retain="2d") as rig:
        await poplar_dies(rig)
        monkeypatch.setattr("time.time", rig.clock.now)
        file.write_text(
            f'slurm.clusters = ["sim", "poplar"]\nweb.listen = ""\nsinks.jobs.type = "jsonl"\n'
            f'sinks.jobs.path = "{rig.file}"\nstore.path = "{rig.store}"\nstore.retain = "2d"\n'
        )
        ran = run("status", "--config", file)
        assert (
            "\nheld        poplar: attempts stay for 3d0h longer than retain, since later ones are not read yet; "
            "if the cluster is gone for good, remove it from slurm.clusters\n"
        ) in ran.out
        assert "held        sim" not in ran.out
        (found,) = [finding for finding in examine(rig.config, lambda: None) if finding.check == "retention"]
        assert (found.mark, found.text, found.todo) == (
            Severity.WARNING,
            "attempts of poplar stay 3d0h longer than store.retain, since later ones are not read yet",
            "see slurmwatchd status; if the cluster is gone for good, remove it from slurm.clusters",
        )
        # As they say.
        watch(rig, "sim")
        await rig.once()
        assert rig.ask_store("SELECT count(*) FROM jobs WHERE cluster = 'poplar'") == [(0,)]
        assert [finding for finding in examine(rig.config, lambda: None) if finding.check == "retention"] == []


@pytest.mark.parametrize("name", ["local", "SIM"])
async def test_attempts_whose_ledger_has_another_name_stay_as_long_as_they_may_be_read(
    tmp_path: Path, name: str
) -> None:
    with two_clusters(tmp_path, retain="1h") as rig:
        watch(rig, "sim")
        for number in range(2):
            rig.ended(5, job_name=f"job {number}")
        await rig.once()
        # As before scontrol has named the local cluster, or where the configuration spells it otherwise.
        with closing(sqlite3.connect(rig.store)) as store, store:
            store.execute("UPDATE horizons SET cluster = ?", (name,))
        watch(rig, *([] if name == "local" else [name]))
        (tmp_path / "bin" / "scontrol").unlink()
        rig.cluster.set_slurmdbd_down()
        async with rig.daemon() as daemon:
            for _ in range(3):
                rig.move(2 * HOUR)
                await daemon.pruner.round(rest=False)
        assert rig.ask_store("SELECT count(*) FROM jobs") == [(2,)]


async def test_cluster_that_is_taken_out_and_put_back_delivers_nothing_twice(tmp_path: Path) -> None:
    with two_clusters(tmp_path, retain="1h") as rig:
        rig.ended(5, cluster="poplar", job_name="poplar 0")
        rig.ended(5, job_name="sim 0")
        await rig.once()
        watch(rig, "sim")
        for number in range(1, 5):
            rig.move(HOUR)
            rig.ended(5, job_name=f"sim {number}")
            rig.ended(5, cluster="poplar", job_name=f"poplar {number}")
            await rig.once()
        assert rig.ask_store("SELECT count(*) FROM jobs WHERE cluster = 'poplar'") == [(0,)]
        watch(rig, *BOTH)
        await rig.once()
        # It goes on where it was: nothing is lost, however old.
        assert sorted(rig.names()) == [f"{name} {number}" for name in sorted(BOTH) for number in range(5)]
        assert differences(rig.cluster, rig.records()) == []
