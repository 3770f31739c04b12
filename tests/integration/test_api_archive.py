"""Reports over HTTP reach into the archive as the command does, in a process of their own."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slurmwatchd.config.settings import Config
from slurmwatchd.daemon.web.api import archive_reports
from slurmwatchd.model.clock import rfc3339
from tests.integration.api import serving_api
from tests.integration.asked import run
from tests.unit.archives import DAY, MIDNIGHT, archived, ended, fill, lose, prune

FIRST = MIDNIGHT - 10 * DAY
SPAN = f"since=@{FIRST}&until=@{MIDNIGHT + DAY}"
READ_FROM = MIDNIGHT - 3 * DAY
"""Where the store that came after the loss began to read."""

pytestmark = pytest.mark.usefixtures("utc")


@dataclass(frozen=True)
class Site:
    """A store and its archive."""

    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "store.db"

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    @property
    def config(self) -> Config:
        return Config.model_validate({"store": {"path": self.store}, "archive": {"path": str(self.archive)}})

    def command(self, *options: str) -> Any:  # noqa: ANN401 - any JSON
        span = ("--since", f"@{FIRST}", "--until", f"@{MIDNIGHT + DAY}", "--format", "json")
        files = ("--store", self.store, "--archive", self.archive)
        return json.loads(run("report", *files, *span, *options).out)


ATTEMPTS = [
    ended(number, ago, account=("bio", "physics")[number % 2], user=("bob", "ann")[number % 2])
    for number, ago in enumerate((9, 8, 8, 7, 6, 5, 4, 2, 1), start=1)
]
"""Nine, of which a store that reads from `READ_FROM` on has two."""


@pytest.fixture
async def pruned(tmp_path: Path) -> Site:
    """A store that was never lost: it has pruned most, in the middle of a day too."""
    site = Site(tmp_path)
    await fill(site.store, ATTEMPTS)
    await archived(site.store, site.archive)
    prune(site.store, f'"end" < {MIDNIGHT - 8 * DAY + 3 * 3600 + 3}', MIDNIGHT - 8 * DAY)
    return site


@pytest.fixture
async def lost(tmp_path: Path) -> Site:
    """A store that was lost and began anew: what ended before only the archive has."""
    site = Site(tmp_path)
    await fill(site.store, ATTEMPTS)
    await archived(site.store, site.archive)
    await lose(
        site.store, site.archive, [ended for ended in ATTEMPTS if (ended[0].end or 0) >= READ_FROM], READ_FROM
    )
    return site


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever asks the archive fails."""
    monkeypatch.setattr(archive_reports, "COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))


@pytest.mark.parametrize(
    "asked", [{"by": "account"}, {"by": "day"}, {"by": "user", "top": "1"}, {"by": "month", "account": "bio"}]
)
async def test_after_a_loss_of_the_store_a_report_over_http_is_the_command_s(
    lost: Site, asked: dict[str, str]
) -> None:
    options = [text for name, value in asked.items() for text in (f"--{name}", value)]
    told = lost.command(*options)
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    async with serving_api(lost, lost.folder) as client:
        answer = await client.json("/report", f"{SPAN}&{query}")
    assert answer["total"]["attempts"] == (4 if "account" in asked else 9)
    for name in ("lines", "total", "unread"):
        assert answer[name] == told[name]


async def test_the_page_and_a_token_for_an_account_reach_into_the_archive_too(lost: Site) -> None:
    async with serving_api(lost, lost.folder) as client:
        part = await client.json("/report", f"{SPAN}&by=user", scope="account:bio")
        assert {line["user"]: line["attempts"] for line in part["lines"]} == {"bob": 4}
        page = (await client.page(f"/report?{SPAN}&by=account")).text
    assert "<dt>Jobs ended</dt><dd>9</dd>" in page


async def test_what_the_sums_have_needs_no_process_and_is_not_called_unread(
    pruned: Site, no_process: None
) -> None:
    del no_process
    async with serving_api(pruned, pruned.folder) as client:
        answer = await client.json("/report", SPAN)
    assert answer["total"]["attempts"] == 9
    assert answer["unread"] == pruned.command()["unread"]
    # The archive begins with the first of them.
    assert answer["unread"][0] == {"cluster": "sim", "start": None, "end": rfc3339(MIDNIGHT - 9 * DAY)}


async def test_a_process_that_fails_is_the_store_s_fault_and_costs_no_report_that_needs_none(
    lost: Site, no_process: None
) -> None:
    del no_process
    async with serving_api(lost, lost.folder) as client:
        problem = await client.problem("/report", SPAN)
        assert (problem["status"], problem["detail"]) == (
            503, "The store cannot be read now; the daemon's log says why.",
        )  # fmt: skip
        newest = await client.json("/report", f"since=@{MIDNIGHT - 2 * DAY}&until=@{MIDNIGHT}")
        assert newest["total"]["attempts"] == 2


@pytest.mark.heavy
async def test_a_report_that_takes_too_long_ends_its_process(lost: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = lost.folder / "pid"
    hangs = (
        "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(999)"
    )
    monkeypatch.setattr(archive_reports, "COMMAND", (sys.executable, "-S", "-c", hangs, str(pid)))
    async with serving_api(lost, lost.folder, seconds=5.0) as client:
        problem = await client.problem("/report", SPAN)
    assert (problem["status"], problem["detail"][:34]) == (503, "The question took longer than 5s; ")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text(encoding="utf-8")), 0)
