"""The API over a filled store: filters, pages, forms of the answer, and errors that name the parameter."""

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from slurmwatchd.daemon.web.api import openapi
from slurmwatchd.store.read.reader import StoreReader
from tests.integration.api import serving_api
from tests.integration.asked import HOSTILE, many
from tests.integration.rig import Rig

ALL = ["21", "20", "19", "18", "18", "16+1", "14_3", "13", "12", "11"]

FOUND = [
    ("", ALL),
    ("user=bob", ["13", "12"]),
    ("user=bob,mal", ["21", "13", "12"]),
    ("user=bob&user=mal", ["21", "13", "12"]),
    ("account=physics", ["13", "12"]),
    ("partition=gpu", ["13", "12"]),
    ("state=FAILED", ["12"]),
    ("state=f,to", ["13", "12"]),
    ("outcome=failed", ["12"]),
    ("outcome=time_limit,failed", ["13", "12"]),
    ("qos=high", ["12"]),
    ("node=n2", ["13", "12"]),
    ("node=n1&user=ann", ["19", "11"]),
    ("name=train-*", ["13", "12"]),
    ("name=TRAIN-*", []),
    ("cluster=sim&user=mal", ["21"]),
    ("cluster=other", []),
    ("since=2026-11-24T04:20:00Z&until=2026-11-24T04:36:40Z", ["13", "12"]),
    ("since=2026-11-24T05:20:00%2B01:00&until=2026-11-24T04:36:40", ["13", "12"]),
    ("until=2026-11-24%2004:10", ["11"]),
    ("from=2026-11-24T04:15Z&to=2026-11-24T04:16Z", ["19", "12"]),
    ("from=2026-11-22T04:20Z&to=2026-11-22T04:21Z", ["19"]),
    ("order=oldest&limit=3", ["11", "12", "13"]),
    ("order=longest&limit=3", ["19", "12", "13"]),
    ("user=nobody", []),
]


async def test_filters_and_orders(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        for query, found in FOUND:
            assert await client.ids("/jobs", query) == found, query


@pytest.mark.parametrize("order", ["newest", "oldest", "longest"])
async def test_pages_put_together_are_the_whole_answer(filled: Rig, tmp_path: Path, order: str) -> None:
    async with serving_api(filled, tmp_path) as client:
        whole = await client.ids("/jobs", f"order={order}")
        assert sorted(whole) == sorted(ALL)
        for limit in (1, 3, 9, 10):
            pages, cursor = [], ""
            while True:
                page = await client.json("/jobs", {"order": order, "limit": str(limit)} | cursor_of(cursor))
                assert len(page["jobs"]) == limit or page["next"] is None
                pages += [job["job_id"] for job in page["jobs"]]
                if page["next"] is None:
                    break
                cursor = page["next"]
            assert pages == whole, limit


def cursor_of(cursor: str) -> dict[str, str]:
    return {"cursor": cursor} if cursor else {}


async def test_pages_over_two_clusters_and_attempts_without_an_end(filled: Rig, tmp_path: Path) -> None:
    store = many(filled, tmp_path, 5)
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("UPDATE jobs SET cluster = 'other' WHERE id % 2 = 0")
        connection.execute("UPDATE jobs SET \"end\" = NULL WHERE job_id IN ('11', '1003', '1004')")
        connection.commit()
        for order, direction in (("newest", "DESC"), ("oldest", "ASC")):
            sql = f'SELECT job_id FROM jobs ORDER BY "end" {direction}, id {direction}'  # noqa: S608 - a literal
            wanted = connection.execute(sql).fetchall()
            async with serving_api(filled, tmp_path, store=store) as client:
                found, cursor = [], ""
                while True:
                    query = {"order": order, "limit": "2", "fields": "job_id,cluster"}
                    page = await client.json("/jobs", query | cursor_of(cursor))
                    found += page["jobs"]
                    if (cursor := page["next"]) is None:
                        break
            (tmp_path / "tokens").unlink()
            assert [(job["job_id"],) for job in found] == wanted


async def test_a_page_says_what_was_never_read(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        gaps = (await client.json("/jobs", "since=2026-11-24T01:00Z&until=2026-11-24T04:00Z"))["unread"]
        # The store begins three hours before 06:00.
        assert gaps == [{"cluster": "sim", "start": None, "end": "2026-11-24T03:00:00Z"}]
        assert (await client.json("/jobs", "since=2026-11-24T04:00Z&until=2026-11-24T05:00Z"))["unread"] == []


async def test_fields_are_what_is_asked_for(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        page = await client.json("/jobs", "user=bob&fields=job_id,nodes,state")
        assert page["jobs"] == [
            {"job_id": "13", "state": "TIMEOUT", "nodes": ["n2"]},
            {"job_id": "12", "state": "FAILED", "nodes": ["n1", "n2"]},
        ]
        assert "nodes" not in (await client.json("/jobs", "user=bob"))["jobs"][0]


async def test_a_job_has_its_history_and_who_shared_its_nodes(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        job = await client.json("/jobs/13")
        (attempt,) = job["attempts"]
        assert attempt["nodes"] == ["n2"]
        assert [event["event"] for event in attempt["history"]] == ["job_ended"]
        assert [event["seq"] for event in attempt["history"]] == [3]
        # 12 ended 900 s before 13 began, and 19 was on n1.
        assert attempt["shared_nodes_with"] == []
        (long,) = (await client.json("/jobs/19"))["attempts"]
        assert [other["job_id"] for other in long["shared_nodes_with"]] == ["11", "12"]
        assert [one["submit"] for one in (await client.json("/jobs/18"))["attempts"]] == [
            "2026-11-24T04:55:10Z",
            "2026-11-24T05:03:30Z",
        ]
        assert [one["job_id"] for one in (await client.json("/jobs/14"))["attempts"]] == ["14_3"]
        assert [one["job_id"] for one in (await client.json("/jobs/16+1"))["attempts"]] == ["16+1"]
        for text in ("4711", "14_4"):
            assert await client.problem(f"/jobs/{text}") == {
                "title": "There is no such thing",
                "status": 404,
                "detail": f"No ended job {text} is in the store.",
                "parameter": "job_id",
            }


async def test_nodes_running_and_arrays(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        assert await client.ids("/nodes/n1") == ["19", "12", "11"]
        assert await client.ids("/nodes/n1", "at=2026-11-24T04:15Z") == ["19", "12"]
        assert (await client.problem("/nodes/n9"))["parameter"] == "node"
        assert await client.ids("/running", "from=2026-11-24T04:15Z&to=2026-11-24T04:16Z") == ["19", "12"]
        arrays = await client.json("/arrays", "since=2026-11-20")
        assert arrays["arrays"] == [
            {
                "cluster": "sim",
                "array_job_id": 14,
                "tasks": 1,
                "attempts": 1,
                "states": {"COMPLETED": 1},
                "submit": "2026-11-24T04:51:50Z",
                "start": "2026-11-24T04:52:20Z",
                "end": "2026-11-24T04:53:20Z",
            }
        ]
        assert arrays["next"] is None


async def test_arrays_come_a_page_at_a_time(filled: Rig, tmp_path: Path) -> None:
    store = many(filled, tmp_path, 12)
    with closing(sqlite3.connect(store)) as connection:
        # Four arrays of three tasks each, one of them without ends.
        connection.execute("UPDATE jobs SET job_id = (id % 4 + 100) || '_' || id WHERE id > 100")
        connection.execute("UPDATE jobs SET \"end\" = NULL WHERE job_id GLOB '102_*'")
        connection.commit()
    async with serving_api(filled, tmp_path, store=store) as client:
        found, cursor = [], ""
        while True:
            page = await client.json("/arrays", {"until": "now", "limit": "2"} | cursor_of(cursor))
            found += [(array["array_job_id"], array["attempts"]) for array in page["arrays"]]
            if (cursor := page["next"]) is None:
                break
    # What has no end met no `until`; 100, 103 and 101 ended in this order after 14... 12 + x seconds.
    assert found == [(14, 1), (100, 3), (103, 3), (101, 3)]


async def test_an_export_is_every_attempt_once_in_the_order_of_ends(filled: Rig, tmp_path: Path) -> None:
    store = many(filled, tmp_path, 1700)
    async with serving_api(filled, tmp_path, store=store) as client:
        answer = await client.ask("/export", "fields=job_id,user")
        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert len(lines) == 1710
        assert lines[0] == {"job_id": "11", "user": "ann"}
        assert [line["job_id"] for line in lines[-9:]][-1] == "21"
        bob = await client.ask("/export", "user=eve&fields=job_id", Accept_Encoding="gzip")
        assert [json.loads(line)["job_id"] for line in bob.text.splitlines()] == ["14_3", "16+1", "18", "18"]


async def test_an_answer_that_has_not_changed_is_not_sent_again(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        first = await client.ask("/jobs", "user=bob&until=2026-11-24T05:00Z")
        tag = first.headers["etag"]
        again = await client.ask("/jobs", "user=bob&until=2026-11-24T05:00Z", If_None_Match=f'"x", {tag}')
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        other = await client.ask("/jobs", "user=ann&until=2026-11-24T05:00Z", If_None_Match=tag)
        assert other.status_code == 200
        assert first.headers["cache-control"] == "private, no-cache"
        assert first.headers["vary"] == "Accept-Encoding, Authorization"


async def test_gzip_is_for_whom_takes_it(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        headers = {"Authorization": f"Bearer {client.token('all')}"}
        for accept, packed in (("gzip", True), ("br, *;q=0.1", True), ("gzip;q=0", False), ("identity", False)):
            async with client.http.stream("GET", "/jobs", headers=headers | {"Accept-Encoding": accept}) as answer:
                body = b"".join([part async for part in answer.aiter_raw()])
                assert (answer.headers.get("content-encoding") == "gzip") is packed, accept
                text = gzip.decompress(body) if packed else body
                assert len(json.loads(text)["jobs"]) == 10


WRONG = [
    ("/jobs", "foo=1", "foo", "foo: there is no such parameter here"),
    ("/jobs", "limit=0", "limit", "limit: must be a whole number from 1 to 1000"),
    ("/jobs", "limit=1001", "limit", "limit: must be a whole number from 1 to 1000"),
    ("/jobs", "limit=ten", "limit", "limit: must be a whole number from 1 to 1000"),
    ("/jobs", "limit=1&limit=2", "limit", "limit: is given twice"),
    ("/jobs", "since=soon", "since", "since: 'soon' is not a moment such as 24h, 30d, yesterday, 2026-11-20, "),
    ("/jobs", "since=-1h&until=-2h", "until", "until: the stretch ends before it begins"),
    ("/jobs", "state=ASLEEP", "state", "state: 'ASLEEP' is not one of BOOT_FAIL, CANCELLED, "),
    ("/jobs", "user=", "user", "user: a value is empty"),
    ("/jobs", "user=a,,b", "user", "user: a value is empty"),
    ("/jobs", f"user={'a' * 256}", "user", "user: must have 1 to 255 characters"),
    ("/jobs", f"user={','.join('abc' * 34)}", "user", "user: more than 100 values"),
    ("/jobs", "name=*a*b*c*d*e*f*g*h*", "name", "name: has more than 8 stars"),
    ("/jobs", "fields=job_id,seq", "fields", "fields: seq: there is no such field"),
    ("/jobs", "cursor=12", "cursor", "cursor: is not a cursor of this daemon"),
    ("/jobs", "order=best", "order", "order: Input should be 'newest', 'oldest', 'longest' or 'least-efficient'"),
    ("/jobs", "outcome=bad", "outcome", "outcome: 'bad' is not one of completed, "),
    ("/report", "by=node", "by", "by: Input should be 'account', 'user', "),
    ("/running", "", "from", "from: must be given"),
    ("/running", "from=-1h&to=-2h", "from", "from: the interval ends before it begins"),
    ("/jobs/12x", "", "job_id", "job_id: is not a job id such as 12, 12_3, 12+1 or 12_[0-9]"),
    ("/events", "after=yesterday", "after", "after: is not a cursor of this daemon"),
    ("/events", "wait=2m", "wait", "wait: must be at most 1m"),
    ("/events", "wait=1", "wait", "wait: '1' is not a duration such as "),
    ("/status", "x=y", "x", "x: there is no such parameter here"),
]


async def test_an_error_names_the_parameter(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        for path, query, parameter, detail in WRONG:
            problem = await client.problem(path, query)
            assert (problem["status"], problem["parameter"]) == (400, parameter), (path, query)
            assert problem["detail"].startswith(detail), problem["detail"]
        page = await client.json("/jobs", "limit=1")
        problem = await client.problem("/jobs", {"order": "longest", "cursor": page["next"]})
        assert problem["detail"] == "cursor: is a cursor of another question"


@pytest.mark.parametrize("path", ["/jobs/1%0A2", "/nodes/%0A", "/%0A", "/jobs%0A", "/jobs/%0D%0A", "/no/such"])
async def test_an_error_is_a_problem_document_whatever_the_path(filled: Rig, tmp_path: Path, path: str) -> None:
    async with serving_api(filled, tmp_path) as client:
        assert (await client.problem(path))["status"] in {400, 404}


async def test_only_reading_is_possible_and_nothing_has_a_body(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        headers = {"Authorization": f"Bearer {client.token('all')}"}
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            answer = await client.http.request(method, "/jobs", headers=headers)
            assert (answer.status_code, answer.json()["detail"]) == (405, "Use GET."), method
        for body in ({"content": b"x"}, {"content": gone()}):
            answer = await client.http.request("GET", "/jobs", headers=headers, **body)
            assert (answer.status_code, answer.json()["detail"]) == (413, "A request has no body here.")
        for path in ("/nothing", "/jobs/", "/jobs%0A", "/jobs/12/13", "//jobs", "/..%2f..%2fetc%2fpasswd"):
            answer = await client.http.get(client.at(f"/api/v1{path}"), headers=headers)
            assert answer.status_code == 404, path
            assert answer.json()["title"] == "There is no such thing"


async def gone() -> object:
    yield b"x" * 10


async def test_names_come_as_they_are_and_as_json_only(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path) as client:
        answer = await client.ask("/jobs", "user=mal&fields=name")
        assert answer.json()["jobs"] == [{"name": HOSTILE}]
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert b"\x1b" not in answer.content
        # What was asked for comes back in the error, and as text.
        problem = await client.ask("/nodes/%3Cscript%3E%1B%0A")
        assert problem.headers["content-type"] == "application/problem+json"
        assert b"\x1b" not in problem.content


async def test_answers_are_what_the_description_says(filled: Rig, tmp_path: Path) -> None:
    document = openapi.document()
    Draft202012Validator.check_schema(document["components"]["schemas"])
    async with serving_api(filled, tmp_path) as client:
        served = await client.http.get("/openapi.json")
        assert served.json() == json.loads(json.dumps(document))
        asked = {
            "/": ("/", ""),
            "/jobs": ("/jobs", ""),
            "/jobs/{job_id}": ("/jobs/18", ""),
            "/nodes/{node}": ("/nodes/n1", ""),
            "/running": ("/running", "from=2026-11-24T04:15Z"),
            "/arrays": ("/arrays", "since=2026-11-20"),
            "/events": ("/events", "after=oldest"),
            "/report": ("/report", "since=2026-11-20"),
            "/status": ("/status", ""),
            "/coverage": ("/coverage", ""),
            "/coverage/hours": ("/coverage/hours", "since=2026-11-20"),
            "/nodes/suspect": ("/nodes/suspect", "since=2026-11-20"),
            "/export": ("/export", "limit=1"),
        }
        assert set(asked) == set(document["paths"])
        for path, (where, query) in asked.items():
            for scope in ("all", "user:eve", "account:physics"):
                answer = await client.ask(where, query, scope=scope)
                operation = document["paths"][path]["get"]["responses"][str(answer.status_code)]
                if answer.status_code == 200:
                    schema = operation["content"]["application/json"]["schema"]
                else:
                    schema = {"$ref": "#/components/schemas/Problem"}
                validator = Draft202012Validator({**schema, "components": document["components"]})
                assert [error.message for error in validator.iter_errors(answer.json())] == [], (where, scope)


async def test_answers_with_any_one_field_are_what_the_description_says(tmp_path: Path) -> None:
    document = openapi.document()
    with Rig(tmp_path, steps={"mode": "full"}) as rig:
        key = rig.ended(30, id_job=18, user="ann", nodelist="n1", nodes_alloc=1, tres_req="cpu=2,mem=1000,node=1")
        rig.cluster.add_step(key, "batch", max_rss=10_000_000, cpu_milliseconds=40, disk_read=7, disk_write=1)
        await rig.once()
        async with serving_api(rig, tmp_path) as client:
            for path, where, kind in (
                ("/jobs", "/jobs", "RecordField"),
                ("/jobs/{job_id}", "/jobs/18", "JobField"),
            ):
                content = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
                validator = Draft202012Validator({**content["schema"], "components": document["components"]})
                for field in document["components"]["schemas"][kind]["enum"]:
                    answer = await client.json(where, f"fields={field}")
                    assert [error.message for error in validator.iter_errors(answer)] == [], field
            # There is something to choose from.
            assert (await client.json("/jobs", "fields=usage.steps"))["jobs"] == [{"usage": {"steps": 1}}]


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/"])
async def test_the_root_says_what_a_token_shows(filled: Rig, tmp_path: Path, path: str) -> None:
    async with serving_api(filled, tmp_path) as client:
        for scope in ("all", "user:eve"):
            answer = await client.http.get(
                client.at(path), headers={"Authorization": f"Bearer {client.token(scope)}"}
            )
            assert (answer.status_code, answer.json()["scope"]) == (200, scope)
        refused = await client.http.get(client.at(path))
        assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
        posted = await client.http.post(client.at(path), json={})
        assert (posted.status_code, posted.headers["content-type"]) == (413, "application/problem+json")
        assert (await client.http.get(client.at("/api/v1/api/v1"))).status_code == 404


COLUMNS = "cluster,job_id,job_id_raw,user,account,partition,state,submit,start,end,node_list"


async def test_fields_that_have_columns_are_those_of_the_records(filled: Rig, tmp_path: Path) -> None:
    names = COLUMNS.split(",")
    async with serving_api(filled, tmp_path) as client:
        whole = (await client.json("/jobs"))["jobs"]
        assert len(whole) == 10
        assert {name for job in whole for name in names if name not in job} == {"node_list"}
        assert [job["start"] for job in whole].count(None) == 1
        for some in (names, ["start"], ["node_list", "job_id"], ["end", "user", "state"]):
            found = (await client.json("/jobs", {"fields": ",".join(some)}))["jobs"]
            # As text: the order of the members counts too.
            assert json.dumps(found) == json.dumps(
                [{name: value for name, value in job.items() if name in some} for job in whole]
            )


async def test_no_record_is_unpacked_for_fields_that_have_columns(
    filled: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(*_: object, **__: object) -> object:
        raise AssertionError("a record was read")

    monkeypatch.setattr(StoreReader, "fetch", fetch)
    async with serving_api(filled, tmp_path) as client:
        assert len((await client.json("/jobs", {"fields": COLUMNS}))["jobs"]) == 10


async def test_a_revised_attempt_is_shown_as_its_record_has_it(filled: Rig, tmp_path: Path) -> None:
    store = tmp_path / "revised.db"
    with closing(sqlite3.connect(filled.store)) as source, closing(sqlite3.connect(store)) as copy:
        source.backup(copy)
        copy.execute("UPDATE jobs SET job_id = '12_[0-9]', revision = 2 WHERE job_id = '12'")
        copy.commit()
    async with serving_api(filled, tmp_path, store=store) as client:
        assert await client.ids("/jobs", {"fields": "job_id"}) == ALL
