"""The protections that the torture can do without still stand where it would take them out."""

from pathlib import Path

import pytest

import slurmwatchd
from tests.torture.sabotage import SABOTAGES, copy_without

PROGRAM = Path(slurmwatchd.__file__).parent


@pytest.mark.parametrize("name", SABOTAGES)
def test_there_is_something_to_take_out(tmp_path: Path, name: str) -> None:
    folder = copy_without(name, tmp_path)
    source = (folder / "slurmwatchd" / SABOTAGES[name].file).read_text(encoding="utf-8")
    compile(source, SABOTAGES[name].file, "exec")
    assert source != (PROGRAM / SABOTAGES[name].file).read_text(encoding="utf-8")
