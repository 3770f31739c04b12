"""The pages: what a browser gets is escaped, runs nothing, and shows what its reader may see."""

import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from slurmwatchd.daemon.web.pages import jobs, service
from slurmwatchd.daemon.web.pages.view import View
from slurmwatchd.daemon.web.pages.visit import Visit
from tests.integration.api import serving_api
from tests.integration.asked import HOSTILE_SHOWN, run
from tests.integration.rig import Rig
from tests.integration.test_api_scopes import OTHERS, OTHERS_JOBS, only_eve
from tests.integration.test_api_state import read_by_hand
from tests.integration.test_cli_suspects import ordinary, ran, stored
from tests.patience import HANGS_SECONDS

SINCE = "since=2026-11-24T03:00:00Z"
PAGES = (
    "/overview", "/overview?since=7d", "/coverage", "/coverage?since=2026-11-23&until=2026-11-25",
    "/jobs", f"/jobs?{SINCE}", "/jobs?user=eve", "/jobs/18", "/jobs/14_3", "/nodes", "/nodes/n3",
    "/nodes/n4?at=2026-11-24T05:51Z", f"/report?{SINCE}", f"/report?by=hour&{SINCE}", "/daemon",
)  # fmt: skip
POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


class Page(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.links: list[tuple[str, str]] = []
        self.text = ""
        self._link = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        self._link = dict(attrs).get("href") or ""
        if tag == "a":
            self.links.append((self._link, ""))

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.links and not self.links[-1][1]:
            self.links[-1] = (self.links[-1][0], data.strip())


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_runs_nothing_and_links_to_its_json(filled: Rig, tmp_path: Path, path: str) -> None:
    async with serving_api(filled, tmp_path) as client:
        answer = await client.page(path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "private, no-cache"
        page = Page(answer.text)
        assert page.tags["h1"] == 1
        assert not {"script", "style", "iframe", "object", "img", "base"} & set(page.tags)
        assert not {name for name in page.attributes if name.startswith("on") or name == "style"}
        # Every address on it answers to who sees it; those of the API are JSON.
        links = {link for link, _ in page.links if link.startswith("/")}
        as_json = {link for link in links if link.startswith("/api/v1/") and "openapi" not in link}
        assert as_json
        for link in links:
            there = await client.page(link)
            assert there.status_code == 200, (link, there.text)
            assert there.headers["content-type"].startswith("application/json") == link.startswith("/api/") or (
                link == "/-/status"
            )


async def test_an_array_that_never_started_is_found_by_its_own_id(filled: Rig, tmp_path: Path) -> None:
    never = ran(301, 1, "ann", failed=False, job_id="301_[0-36:2%20]", array_job_id=301, start=None)
    store = await stored(tmp_path, [never, *ordinary()])
    where = "/jobs/301_%5B0-36%3A2%2520%5D"
    async with serving_api(filled, tmp_path, store=store) as client:
        listed = await client.page("/jobs?user=ann&since=@0")
        assert where in {link for link, _ in Page(listed.text).links}
        for path in (where, "/jobs/301"):
            assert "301_[0-36:2%20]" in Page((await client.page(path)).text).text
        sought = await client.page("/jobs?job_id=301_%5B0-36%3A2%2520%5D")
        assert (sought.status_code, sought.headers["location"]) == (303, where)
        (attempt,) = (await client.json(where))["attempts"]
    shown = run("show", "--store", store, "301_[0-36:2%20]", "--json")
    (record,) = json.loads(shown.out)["jobs"]
    assert attempt["job_id"] == record["job_id"] == "301_[0-36:2%20]"


async def test_the_style_is_a_file_of_its_own_that_anybody_may_read(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        style = await client.http.get(client.at("/static/style.css"))
        assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
        again = await client.http.get(
            client.at("/static/style.css"), headers={"If-None-Match": style.headers["etag"]}
        )
        assert again.status_code == 304
    for word in ("prefers-color-scheme: dark", "@media print", ":focus-visible"):
        assert word in style.text
    assert "url(" not in style.text


async def test_hostile_names_are_text(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        for path in ("/jobs?user=mal", "/jobs/21"):
            answer = await client.page(path)
            assert HOSTILE_SHOWN in Page(answer.text).text
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", answer.text)
        for word in ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\u202e", "%00"):
            for path in ("/jobs", "/report", "/coverage", "/overview", "/nodes/n1"):
                there = await client.http.get(
                    client.at(path), params={"since": word, word: word}, auth=("all", client.token("all"))
                )
                assert there.status_code == 400, (path, word)
                assert not {"script", "img"} & set(Page(there.text).tags)
        for path in ("/nodes/%3Cscript%3Ealert(1)%3C%2Fscript%3E", "/jobs/%3Cscript%3E"):
            there = await client.page(path)
            assert there.status_code in {400, 404}
            assert "script" not in Page(there.text).tags


async def test_a_users_pages_are_those_of_a_store_without_others(filled: Rig, tmp_path: Path) -> None:
    alone = only_eve(filled.store, tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    more = (
        "/jobs?user=ann",
        "/jobs/11",
        "/jobs/99",
        "/nodes/n1",
        "/nodes/n9",
        "/jobs?name=train-*",
        "/jobs?node=n2",
    )
    async with (
        serving_api(filled, tmp_path / "a") as full,
        serving_api(filled, tmp_path / "b", store=alone) as single,
    ):
        for path in (*PAGES, *more):
            seen, wanted = [await client.page(path, scope="user:eve") for client in (full, single)]
            assert (seen.status_code, timeless(seen.text)) == (wanted.status_code, timeless(wanted.text)), path
            cells = set(re.findall(r"<bdi>([^<]*)</bdi>", seen.text))
            assert not cells & {*OTHERS, *OTHERS_JOBS}, path
        assert "array" in (await full.page("/jobs", scope="user:eve")).text
        # And others have much more to see, so there was something to hide.
        assert "train-1" in (await full.page("/jobs")).text


def timeless(text: str) -> str:
    """A page without how late it is."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d · all times", "", text)
    return re.sub(r"<dd>[0-9dhms]+ <small>ago</small>|<td class=\"num\">\d+d\d+h</td>|\d+h\d+m", "", text)


async def test_without_a_login_there_is_a_challenge_and_nothing_else(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        for token in (False, True):
            if token:
                client.token("all")
            for path in PAGES:
                answer = await client.http.get(client.at(path))
                assert answer.status_code == 401, path
                assert answer.headers["www-authenticate"] == 'Basic realm="slurmwatchd", charset="UTF-8"'
                assert answer.headers["cache-control"] == "no-store"
                assert answer.headers["content-security-policy"] == POLICY
                assert "sim" not in Page(answer.text).text
        metrics = await client.page("/overview", scope="metrics")
        assert metrics.status_code == 403
        # What says nothing of jobs needs no login.
        assert (await client.http.get(client.at("/"))).status_code == 200


async def test_a_fault_in_the_form_leaves_it_filled_in(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        answer = await client.page("/jobs?user=eve&account=&since=yesterday-ish&state=")
        assert answer.status_code == 400
        assert "since:" in Page(answer.text).text
        assert 'name="user" value="eve"' in answer.text
        assert 'name="since" value="yesterday-ish"' in answer.text
        empty = await client.page("/jobs?user=eve&account=&since=&state=&outcome=")
        assert empty.status_code == 200
        assert ("/api/v1/jobs?user=eve&fields=" + jobs.FIELDS.replace(",", "%2C"), "Jobs") in Page(
            empty.text
        ).links


async def test_pages_go_on_and_forms_go_where_they_say(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        first = Page((await client.page("/jobs?limit=4&order=oldest")).text)
        (onward,) = [link for link, text in first.links if text == "Next page"]
        second = Page((await client.page(onward)).text)
        shown = [[text for link, text in page.links if link.startswith("/jobs/")] for page in (first, second)]
        assert shown == [["11", "12", "13", "14_3"], ["16+1", "18", "18", "19"]]
        assert ("/jobs?limit=4&order=oldest", "First page") in second.links
        for form, target in (("/jobs?job_id=+14_3", "/jobs/14_3"), ("/nodes?node=a%2Fb", "/nodes/a%2Fb")):
            answer = await client.page(form)
            assert (answer.status_code, answer.headers["location"]) == (303, target)
        assert (await client.page("/jobs?job_id=12;ls")).status_code == 400


async def test_numbers_of_the_pages_are_those_of_the_store(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path, store=read_by_hand(filled.store, tmp_path)) as client:
        coverage = (await client.page("/coverage?since=2026-11-24&until=2026-11-24T06:00Z")).text
        report = (await client.page("/report?by=user&since=2026-11-20&until=2026-11-24T06:00Z")).text
        job = (await client.page("/jobs/14_3")).text
        node = (await client.page("/nodes/n2")).text
        part = (await client.page("/nodes/n2?limit=1")).text
    assert coverage.count('class="part"') == 2  # a cell, and in the legend
    assert coverage.count('class="never"') == 1
    assert coverage.count('class="late"') == 3
    rows = re.findall(r'<th scope="row" class="time">11-24 (\d\d):00</th><td class="[^"]*">([^<]*)</td>', coverage)
    assert rows == [("05", "read"), ("04", "read"), ("03", "30m00s unread"), ("02", "read")]
    totals = re.findall(
        r'<th scope="row" class="name"><bdi>(\w+)</bdi>.*?<td class="num">(\d+)</td>', report, re.DOTALL
    )
    assert dict(totals) == {"ann": "3", "bob": "2", "eve": "4", "mal": "1"}
    # Submitted 90 s before its end, and started 60 s before it.
    assert re.search(r"waiting 30s.*running 1m00s", job, re.DOTALL)
    assert "2 jobs," in Page(node).text
    assert "1 job on this page," in Page(part).text
    assert node.count("✕</text>") == 2


async def test_a_mistake_of_ours_is_a_page_too(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: Visit) -> View:
        raise KeyError("secret")

    monkeypatch.setattr(service, "_PAGES", (service._Page("/overview", "/overview", broken),))
    async with serving_api(filled, tmp_path) as client:
        answer = await client.page("/overview")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "a page failed" in caplog.text


def test_templates_cost_nothing_until_a_page_is_asked_for() -> None:
    code = (
        "import slurmwatchd.daemon.startup, slurmwatchd.daemon.web.app, slurmwatchd.daemon.web.pages.service, sys;"
        "assert 'jinja2' not in sys.modules;"
        "from slurmwatchd.daemon.web.pages import render; render.page('home.html', clusters=[], sinks=[]);"
        "assert 'jinja2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=HANGS_SECONDS)
