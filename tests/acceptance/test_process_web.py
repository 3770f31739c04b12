"""The pages of the real daemon: what they say, what they never execute, and metrics that equal the file."""

import http.client
import re
import resource
import socket
import threading
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.acceptance.process import DaemonProcess
from tests.patience import HANGS_SECONDS

HOSTILE = "sacct: error: <script>alert(1)</script><img src=x onerror=alert(2)> \"'&amp; </table> \u202e"


class _Tags(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_error_text_on_the_page_is_text(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.cluster.add_fault("sacct", "exit", count=None, match="--local", stderr=HOSTILE)
        daemon.start()
        daemon.wait_until(lambda: "alert(1)" in daemon.get("/")[1], "the error on the page")
        status, page, headers = daemon.get("/")
        seen = _Tags(page)
        assert status == 200
        assert HOSTILE.rstrip(" \u202e").removeprefix("sacct: error: ") in seen.text
        assert not {"script", "img"} & set(seen.tags)
        assert not any(name.startswith("on") for name in seen.attributes)
        assert seen.tags["table"] == 2
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "'unsafe-eval'" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-type"] == "text/html; charset=utf-8"
        # The reason stands on /-/ready too, as text that no browser takes for a page.
        status, text, headers = daemon.get("/-/ready")
        assert status == 503
        assert "<script>" in text
        assert headers["content-type"] == "text/plain; charset=utf-8"


def test_plain_pages_are_not_sniffed_into_html(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.start_ready()
        for path in ("/-/ready", "/-/healthy", "/metrics"):
            headers = daemon.get(path)[2]
            assert headers["content-type"].startswith("text/plain"), path
            assert headers["x-content-type-options"] == "nosniff", path


def test_metrics_equal_the_file_also_after_a_kill(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.start_ready()
        for number in range(30):
            state = ("COMPLETED", "FAILED", "CANCELLED")[number % 3]
            daemon.ended(job_name=f"job {number}", state=state, partition=("main", 'q"x\n')[number % 2])
            if number in {10, 20}:
                daemon.kill()
                daemon.start_ready()
        daemon.wait_until(lambda: len(daemon.records()) == 30, "thirty events")
        daemon.wait_until(
            lambda: sum(daemon.samples("slurmwatchd_jobs_ended_total").values()) == 30, "thirty in the metrics"
        )
        assert daemon.counted("slurmwatchd_jobs_ended_total") == {
            (partition, "sim", state): 5.0
            for partition in ("main", 'q"x\n')
            for state in ("COMPLETED", "FAILED", "CANCELLED")
        }
        in_file = Counter((record["partition"], record["cluster"], record["state"]) for record in daemon.records())
        assert in_file == daemon.counted("slurmwatchd_jobs_ended_total")


def test_metrics_are_given_as_openmetrics_where_that_is_asked_for(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.ended(30)
        daemon.start_ready()
        daemon.wait_until(daemon.records, "an event")
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=HANGS_SECONDS)
        connection.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        assert text.endswith("# EOF\n")


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text;version=abc", "text/plain;version=", ";", "\xff"]
)
def test_metrics_are_given_as_plain_text_where_nobody_could_write_what_is_asked_for(
    tmp_path: Path, accept: str
) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.start_ready()
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=HANGS_SECONDS)
        connection.request("GET", "/metrics", headers={"Accept": accept})
        answer = connection.getresponse()
        assert (answer.status, answer.headers["content-type"][:10]) == (200, "text/plain")
        connection.close()


def test_metrics_tell_of_the_daemon_what_an_alert_needs(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.start_ready()
        text = daemon.get("/metrics")[1]
        families = set(re.findall(r"^# TYPE (\S+)", text, flags=re.MULTILINE))
        assert families >= {
            "slurmwatchd_build_info",
            "slurmwatchd_last_successful_poll_timestamp_seconds",
            "slurmwatchd_slurmdbd_up",
            "slurmwatchd_sink_up",
            "slurmwatchd_sink_oldest_undelivered_timestamp_seconds",
            "slurmwatchd_quarantined_rows_total",
            "process_cpu_seconds_total",
        }
        assert not [name for name in families if name.startswith("slurm_")]


def test_unknown_page_is_404_and_posting_is_refused(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.start_ready()
        assert daemon.get("/../../etc/passwd")[0] == 404
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=HANGS_SECONDS)
        connection.request("POST", "/-/ready", body=b"x")
        assert connection.getresponse().status == 405
        connection.close()


def test_silent_clients_and_garbage_do_not_stop_pages_nor_the_end(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.start_ready()
        silent = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(20)]
        silent[0].sendall(b"\x16\x03\x01garbage\r\n\r\n")
        silent[1].sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        scrapes: list[int] = []
        threads = [threading.Thread(target=lambda: scrapes.append(daemon.get("/metrics")[0])) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert scrapes == [200] * 8
        assert daemon.stop() == 0
        for connection in silent:
            connection.close()


@pytest.mark.heavy
def test_clients_that_ask_for_nothing_and_take_every_descriptor_are_cut_off_and_the_daemon_goes_on(
    tmp_path: Path,
) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.start_ready()
        assert daemon.process is not None
        _, most = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (60, most))
        idle = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(80)]
        daemon.wait_until(lambda: b"Too many open files" in daemon.log.read_bytes(), "descriptors to run out")
        daemon.ended(5, job_name="meanwhile")
        # They are still open from here: it is the daemon that ends them.
        daemon.wait_until(lambda: daemon.names() == ["meanwhile"], "the event")
        daemon.wait_until(lambda: daemon.get("/-/ready")[0] == 200, "an answer")
        assert daemon.process.poll() is None
        for connection in idle:
            connection.close()
