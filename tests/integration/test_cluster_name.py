"""The local cluster's name, which labels what is stored: of scontrol, else of a slurmdbd that knows one only."""

from pathlib import Path

import pytest

from tests.integration.rig import Rig


@pytest.mark.parametrize(("others", "name"), [((), "sim"), (("poplar",), "local")], ids=["one", "several"])
async def test_name_of_a_cluster_whose_slurmctld_is_down_at_the_first_start(
    tmp_path: Path, others: tuple[str, ...], name: str
) -> None:
    with Rig(tmp_path) as rig:
        for number, other in enumerate(others, 7):
            rig.cluster.add_cluster(other, cluster_id=number)
        scontrol = tmp_path / "bin" / "scontrol"
        scontrol.rename(tmp_path / "scontrol")
        await rig.once()
        assert rig.ask_store("SELECT cluster FROM horizons") == [(name,)]
        # Once it is up, what was read under no name has it.
        (tmp_path / "scontrol").rename(scontrol)
        await rig.once()
        assert rig.ask_store("SELECT cluster FROM horizons") == [("sim",)]
