"""The API of the real daemon: tokens while it runs, an end that somebody waits for, and a stop meanwhile."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.process import DaemonProcess
from tests.patience import HANGS_SECONDS


@contextmanager
def daemon_with_api(folder: Path) -> Iterator[DaemonProcess]:
    with DaemonProcess(folder) as daemon:
        daemon.change_config("[web]\n", f'[web]\ntokens_file = "{folder}/tokens"\n')
        daemon.start_ready()
        yield daemon


def token(daemon: DaemonProcess, name: str, scope: str) -> str:
    ran = daemon.run("token add", name, "--scope", scope)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def ask(daemon: DaemonProcess, path: str, secret: str) -> tuple[int, dict[str, object]]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{daemon.port}/api/v1{path}", headers={"Authorization": f"Bearer {secret}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=HANGS_SECONDS) as answer:  # noqa: S310 - our own
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_tokens_are_made_and_revoked_while_the_daemon_runs(tmp_path: Path) -> None:
    with daemon_with_api(tmp_path) as daemon:
        assert ask(daemon, "/jobs", "swd_x")[0] == 401
        secret = token(daemon, "one", "all")
        assert ask(daemon, "/jobs", secret)[0] == 200
        assert daemon.run("token revoke", "one").returncode == 0
        assert ask(daemon, "/jobs", secret)[0] == 401
        assert secret not in daemon.stderr()


@pytest.mark.heavy
def test_whoever_waits_learns_of_an_end_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    with daemon_with_api(tmp_path) as daemon:
        secret = token(daemon, "ann", "user:ann")
        place = ask(daemon, "/events", secret)[1]["next"]
        answers: list[tuple[int, dict[str, object]]] = []
        waiting = threading.Thread(
            target=lambda: answers.append(ask(daemon, f"/events?after={place}&wait=60s", secret))
        )
        waiting.start()
        daemon.ended(1, job_name="other", user="bob")
        daemon.ended(1, job_name="awaited")
        daemon.wait_until(lambda: len(daemon.records()) == 2, "two events")
        waiting.join(HANGS_SECONDS)
        ((status, page),) = answers
        assert (status, [event["name"] for event in names(page)]) == (200, ["awaited"])
        daemon.kill()
        daemon.start_ready()
        daemon.ended(1, job_name="later")
        daemon.wait_until(lambda: len(daemon.records()) == 3, "three events")
        status, page = ask(daemon, f"/events?after={page['next']}", secret)
        assert (status, [event["name"] for event in names(page)]) == (200, ["later"])


def names(page: dict[str, object]) -> list[dict[str, object]]:
    events = page["events"]
    assert isinstance(events, list)
    return events


def test_a_stop_does_not_wait_for_who_waits(tmp_path: Path) -> None:
    with daemon_with_api(tmp_path) as daemon:
        secret = token(daemon, "one", "all")
        answers: list[tuple[int, dict[str, object]]] = []
        waiting = threading.Thread(target=lambda: answers.append(ask(daemon, "/events?wait=60s", secret)))
        waiting.start()
        # Until it waits there is nothing to see; an answer before the stop would be one without waiting.
        daemon.wait_until(lambda: ask(daemon, "/status", secret)[0] == 200, "an answer")
        assert daemon.stop() == 0
        waiting.join(HANGS_SECONDS)
        assert not waiting.is_alive()
        assert [line for line in daemon.logged() if line["event"] == "stopped"]
