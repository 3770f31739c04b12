"""The releases of Slurm: one list, and what else names them is held to it."""

import re
from pathlib import Path

from simslurm import versions
from slurmwatchd.operations.doctor.slurm import OLDEST_RELEASE
from tests.contract.table import read
from tests.contract.test_fields_contract import COUNTS
from tests.real_slurm import releases, untidy

ROOT = Path(__file__).parents[2]


def names() -> list[str]:
    return [version.rpartition(".")[0] for version in versions.VERSIONS]


def test_the_list_ascends_and_has_a_version_of_each_release_once() -> None:
    assert versions.RELEASES == (
        (20, 11), (21, 8), (22, 5), (23, 2), (23, 11), (24, 5), (24, 11), (25, 5), (25, 11), (26, 5),
    )  # fmt: skip
    assert (versions.OLDEST, versions.NEWEST) == ((20, 11), (26, 5))
    assert versions.DEFAULT_VERSION in versions.VERSIONS


def test_every_real_release_can_be_played_and_has_its_habits() -> None:
    assert set(releases.RELEASES) <= set(names())
    assert set(untidy.HABITS) == set(releases.RELEASES)


def test_check_knows_the_oldest_release() -> None:
    assert versions.OLDEST == OLDEST_RELEASE


def test_the_contract_knows_the_number_of_fields_of_every_release() -> None:
    assert tuple(COUNTS) == versions.RELEASES


def test_make_knows_no_release_but_real_ones() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\b\d\d\.(?:02|05|08|11)\b", text))
    assert named <= set(releases.RELEASES)
    assert re.search(r"^SLURM_VERSIONS \?= all$", text, re.MULTILINE)


def test_the_page_says_from_which_release_to_which() -> None:
    text = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    assert text.startswith(f"# Compatibility\n\nslurmwatchd runs with Slurm {names()[0]} to {names()[-1]}.")
    places, _ = read(text)
    assert places == [*releases.RELEASES, *(f"sim {name}" for name in names())]
