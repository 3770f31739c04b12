"""Who is logged in, and what they see: by a password of `web.yml`, a proxy's word, or a token as password."""

import logging
import threading
from pathlib import Path

import anyio
import bcrypt
import httpx
import pytest

from slurmwatchd.config.settings import WebSection
from slurmwatchd.daemon.web import logins
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.tls import WebConfigFile
from tests.integration.api import Client, serving_api
from tests.integration.rig import Rig
from tests.patience import HANGS_SECONDS
from tests.unit.configurations import faults

PEOPLE = {"boss": "all", "lead": "account:physics", "*": "own"}
OWN = {"eve": {"14_3", "16+1", "18"}, "bob": {"12", "13"}}
ALL = {"11", "12", "13", "14_3", "16+1", "18", "19", "20", "21"}


def users(folder: Path, *names: str) -> WebConfigFile:
    """A `web.yml` in which each has the password `pw-NAME`."""
    lines = [f"  {name}: {bcrypt.hashpw(f'pw-{name}'.encode(), bcrypt.gensalt(4)).decode()}\n" for name in names]
    (folder / "web.yml").write_text("basic_auth_users:\n" + "".join(lines))
    return WebConfigFile(folder / "web.yml")


async def jobs(client: Client, auth: tuple[str, str] | None = None, **headers: str) -> set[str] | int:
    """The jobs somebody sees, which are the same on the page and in the API; or the status."""
    sent = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    page, answer = [
        await client.http.get(client.at(path), auth=auth or httpx.USE_CLIENT_DEFAULT, headers=sent)
        for path in ("/jobs", "/api/v1/jobs")
    ]
    assert page.status_code == answer.status_code
    if answer.status_code != 200:
        assert "<bdi>" not in page.text
        return answer.status_code
    found = {job["job_id"] for job in answer.json()["jobs"]}
    for job_id in ALL:
        assert (f'href="/jobs/{job_id.replace("+", "%2B")}"' in page.text) == (job_id in found)
    return found


async def test_people_of_web_yml_see_what_the_configuration_says(filled: Rig, tmp_path: Path) -> None:
    file = users(tmp_path, "boss", "lead", "eve", "zoe")
    async with serving_api(filled, tmp_path, file=file, people=PEOPLE) as client:
        assert await jobs(client, ("boss", "pw-boss")) == ALL
        assert await jobs(client, ("lead", "pw-lead")) == OWN["bob"]
        assert await jobs(client, ("eve", "pw-eve")) == OWN["eve"]
        assert await jobs(client, ("zoe", "pw-zoe")) == set()
        assert await jobs(client) == 401
        page = await client.http.get(client.at("/jobs"), auth=("eve", "pw-eve"))
        assert "eve: your jobs" in page.text
        assert "/report" not in page.text


async def test_whoever_is_not_named_sees_no_jobs_but_the_metrics(filled: Rig, tmp_path: Path) -> None:
    file = users(tmp_path, "boss", "prometheus")
    async with serving_api(filled, tmp_path, file=file, people={"boss": "all"}) as client:
        assert await jobs(client, ("prometheus", "pw-prometheus")) == 403
        page = await client.http.get(client.at("/jobs"), auth=("prometheus", "pw-prometheus"))
        assert "prometheus may see no jobs" in page.text
        for path in ("/metrics", "/-/healthy", "/"):
            assert (await client.http.get(client.at(path))).status_code == 401, path
            assert (
                await client.http.get(client.at(path), auth=("prometheus", "pw-prometheus"))
            ).status_code == 200
        assert (await client.http.get(client.at("/static/style.css"))).status_code == 200


async def test_a_file_without_people_serves_no_jobs_to_anybody(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path, file=users(tmp_path, "boss")) as client:
        assert await jobs(client, ("boss", "pw-boss")) == 403


async def test_a_trusted_proxy_names_the_person_and_nobody_else_can(filled: Rig, tmp_path: Path) -> None:
    async with serving_api(filled, tmp_path, trusted_proxies=("127.0.0.0/8",), people=PEOPLE) as client:
        assert await jobs(client, X_Remote_User="eve") == OWN["eve"]
        assert await jobs(client, X_Remote_User="boss") == ALL
        assert await jobs(client) == 401
        # Whom it names counts, whatever else the request brings.
        assert await jobs(client, ("all", client.token("all")), X_Remote_User="eve") == OWN["eve"]
        for name in ("", "a b", "eve\xff", "x" * 256):
            assert await jobs(client, X_Remote_User=name) == 401, name
        twice = httpx.Headers([("X-Remote-User", "eve"), ("X-Remote-User", "boss")])
        assert (await client.http.get(client.at("/jobs"), headers=twice)).status_code == 401
    async with serving_api(filled, tmp_path, trusted_proxies=("192.0.2.1",), people=PEOPLE) as client:
        assert await jobs(client, X_Remote_User="boss") == 401
    async with serving_api(filled, tmp_path, trusted_proxies=(), people=PEOPLE) as client:
        assert await jobs(client, X_Remote_User="boss") == 401


async def test_an_address_in_a_header_makes_nobody_a_trusted_proxy_nor_a_proxy_untrusted(
    filled: Rig, tmp_path: Path
) -> None:
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        async with serving_api(filled, tmp_path, trusted_proxies=("192.0.2.1",), people=PEOPLE) as client:
            assert await jobs(client, None, **{header: "192.0.2.1", "X-Remote-User": "boss"}) == 401
        async with serving_api(filled, tmp_path, trusted_proxies=("127.0.0.1",), people=PEOPLE) as client:
            assert await jobs(client, None, **{header: "192.0.2.7", "X-Remote-User": "boss"}) == ALL


async def test_a_token_is_a_password_under_its_own_name(filled: Rig, tmp_path: Path) -> None:
    for file in (None, users(tmp_path, "boss")):
        async with serving_api(filled, tmp_path, file=file) as client:
            token = client.token("user:eve")
            client.api.access._sleep = no_sleep
            assert await jobs(client, ("user.eve", token)) == OWN["eve"]
            for auth in (("eve", token), ("", token), ("user.eve", token[:-1]), ("user.eve", ""), ("boss", token)):
                assert await jobs(client, auth) == 401, auth
        (tmp_path / "tokens").unlink()


async def no_sleep(_: float) -> None:
    return


async def test_wrong_passwords_wait_longer_each_time_and_are_logged_once(
    filled: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    caplog.set_level(logging.WARNING)
    async with serving_api(filled, tmp_path, file=users(tmp_path, "eve"), people=PEOPLE) as client:
        client.api.access._sleep = sleep
        for path in ("/jobs", "/overview", "/api/v1/jobs", "/metrics"):
            for auth in (("eve", "guess"), ("nobody", "guess")):
                answer = await client.http.get(client.at(path), auth=auth)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == 'Basic realm="slurmwatchd", charset="UTF-8"'
        # A request without a login is no guess.
        await client.http.get(client.at("/jobs"))
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0]
    assert caplog.text.count("a login failed") == 1
    assert "guess" not in caplog.text


async def test_guesses_of_one_address_leave_room_for_passwords_from_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords = logins.Passwords(users(tmp_path, "eve"))
    compare, go_on = logins._matches, threading.Event()

    def slowly(password: bytes, digest: bytes) -> bool:
        assert go_on.wait(HANGS_SECONDS)
        return compare(password, digest)

    monkeypatch.setattr(logins, "_matches", slowly)
    found: list[tuple[str, bool]] = []

    async def log_in(address: str, password: bytes) -> None:
        found.append((address, await passwords.are_right("eve", password, address=address)))

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(log_in, "192.0.2.1", b"guess")
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ProblemError, match="Too many log in now") as problem:
            await log_in("192.0.2.1", b"pw-eve")
        assert problem.value.status == 429
        group.start_soon(log_in, "192.0.2.2", b"pw-eve")
        await anyio.wait_all_tasks_blocked()
        go_on.set()
    assert sorted(found) == [("192.0.2.1", False)] * 8 + [("192.0.2.2", True)]
    # All places are free again.
    await log_in("192.0.2.1", b"pw-eve")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('people = { eve = "some" }', "eve: 'some' is not all, own, account:NAME or user:NAME"),
        ('people = { eve = "metrics" }', "eve: 'metrics' is not all, own"),
        ('trusted_proxies = ["proxy.example.org"]', "'proxy.example.org' does not appear to be an IPv4 or IPv6"),
        ('user_header = "Remote User"', "web.user_header"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, said: str) -> None:
    (fault,) = faults(tmp_path / "slurmwatchd.toml", f"[web]\n{text}\n")
    assert said in fault
    assert "web." in fault


def test_people_can_come_from_the_environment() -> None:
    assert WebSection.model_validate({"people": "eve=own,*=own"}).people == {"eve": "own", "*": "own"}
