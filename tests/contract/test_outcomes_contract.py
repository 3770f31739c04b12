"""Why attempts ended, by what each release's sacct prints of the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.cast import FIRST_ID, OUTCOMES, STATES
from tests.row_by_row import put_together

if TYPE_CHECKING:
    from tests.contract.sites import Site


async def outcomes(site: Site, begin: int, end: int) -> dict[int, str | None]:
    """The outcome of each attempt that ended in a stretch, by its number in the cast."""
    rows = await site.read(begin, end)
    return {record.job_id_raw - FIRST_ID: record.outcome for record, _ in put_together(rows.readings)}


@pytest.mark.contract("outcome")
async def test_the_daemon_says_why_each_attempt_ended(site: Site) -> None:
    expected = {
        900: "completed",
        901: "failed",
        902: "out_of_memory",
        903: "out_of_memory",
        904: "cancelled_by_user",  # The jobs are root's, and root cancelled this one.
        905: "cancelled_by_admin",
        906: "cancelled",
        907: "cancelled_before_start",
        910: "completed",
        911: "node_failure",
    }
    if site.release >= (23, 2):
        # Before 24.11 sacct does not say how often a job was requeued, so the node may be an earlier attempt's.
        expected |= {908: "node_failure" if site.release >= (24, 11) else "failed", 909: "failed"}
    assert await outcomes(site, OUTCOMES, OUTCOMES + 200) == expected


@pytest.mark.contract("outcome")
async def test_every_state_that_ends_an_attempt_has_an_outcome(site: Site) -> None:
    assert list((await outcomes(site, STATES, STATES + 200)).values()) == [
        "completed",
        "cancelled_by_admin",
        "failed",
        "time_limit",
        "node_failure",
        "preempted",
        "boot_failure",
        "deadline",
        "out_of_memory",
        "requeued",
        "resized",
        "revoked",
    ]
