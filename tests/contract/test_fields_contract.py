"""Which fields a release prints, and how a daemon finds out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract import cast

if TYPE_CHECKING:
    from tests.contract.sites import Site

# Slurm's documentation of each release; see --helpformat.
COUNTS = {
    (20, 11): 107, (21, 8): 109, (22, 5): 109, (23, 2): 112, (23, 11): 112,
    (24, 5): 115, (24, 11): 118, (25, 5): 120, (25, 11): 120, (26, 5): 123,
}  # fmt: skip
NEW = {
    (21, 8): {"Container", "SubmitLine"},
    (23, 2): {"Extra", "FailedNode", "Licenses", "Planned", "PlannedCPU", "PlannedCPURAW"},
    (24, 5): {"StdErr", "StdIn", "StdOut"},
    (24, 11): {"QOSREQ", "Restarts", "SLUID"},
    (25, 5): {"ReqReservation", "SegmentSize"},
    (26, 5): {"Exclusive", "OriginalSLUID", "OverSubscribe"},
}
GONE = {(23, 2): {"Reserved", "ResvCPU", "ResvCPURAW"}}


@pytest.mark.contract("version")
async def test_version_names_the_release_and_the_package(site: Site) -> None:
    name, number = (await site.sacct.version()).split()
    assert name in {"slurm", "slurm-wlm"}
    assert number == site.version


@pytest.mark.contract("field-list")
async def test_helpformat_lists_the_fields_of_the_release(site: Site) -> None:
    names = await site.sacct.available_fields()
    assert len(names) == len(set(names)) == COUNTS[site.release]
    for release, added in NEW.items():
        assert added <= set(names) if site.release >= release else added.isdisjoint(names)
    for release, removed in GONE.items():
        assert removed.isdisjoint(names) if site.release >= release else removed <= set(names)


@pytest.mark.contract("header")
def test_header_repeats_every_name_in_order(site: Site) -> None:
    names = site.run("sacct", "--helpformat").stdout.decode().split()
    assert site.job(1, ",".join(names), "--noconvert").count("|") == len(names) - 1
    header = site.ask("-X", "-p", "-j", "1", "-S", "uts1000000", "-E", "uts1000001", "-o", ",".join(names))
    assert header == "|".join(names) + "|\n"


@pytest.mark.contract("unknown-field")
def test_unknown_field_fails_before_anything_is_printed(site: Site) -> None:
    done = site.run("sacct", "-X", "-P", "-o", "JobID,NoSuchField")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b'sacct: error: Invalid field requested: "NoSuchField"\n'


@pytest.mark.contract("renamed-fields")
async def test_the_wait_is_read_under_the_name_it_has(site: Site) -> None:
    there, gone = ("Reserved", "Planned") if site.release < (23, 2) else ("Planned", "Reserved")
    assert there in (await site.layout()).fields
    assert gone not in (await site.layout()).fields
    assert site.job(1, there) == "00:00:10"
    assert site.run("sacct", "-X", "-o", gone).returncode == 1


@pytest.mark.contract("field-prefix")
def test_a_name_stands_for_the_first_field_that_begins_so(site: Site) -> None:
    assert site.ask("-X", "-P", "-j", str(cast.FIRST_ID + 1), "-o", "jobidr,JOB,sta").splitlines()[0] == (
        "JobIDRaw|JobID|Start"
    )
