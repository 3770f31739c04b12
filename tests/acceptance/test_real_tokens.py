"""A machine without munge: Slurm's commands run as an ordinary user, with a token that is good, bad and renewed.

`chroot --userspec` makes the commands those of `nobody`, and their slurm.conf names a munged that is not there, so
the token is all that slurmdbd and slurmctld have to go by.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.watch import Watch
from tests.real_slurm import jobs, truth
from tests.real_slurm.configuration import KEY_FILE, write_wrappers
from tests.tokens import token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.timeout(300)]

HOUR = 3600
MUNGE_SOCKET = re.compile(r"^(AuthInfo=socket=|AccountingStoragePass=)[^,\n]*", re.MULTILINE)
EXPIRY = "slurmwatchd_token_expiry_timestamp_seconds"
REFUSALS = {"22.05": "Unspecified error", "24.11": "authentication error", "26.05": "authentication error"}
"""What sacct says of a token that expired: never that it did."""


@dataclass
class Site:
    """A machine without munge: its commands, its token and its daemon."""

    cluster: RealCluster
    token_file: Path
    watch: Watch
    key: bytes

    def put(self, text: str) -> None:
        """Renew the token as docs/install.md does: the daemon never sees half of one."""
        fresh = self.token_file.with_suffix(".new")
        fresh.write_text(text + "\n", encoding="ascii")
        fresh.chmod(0o640)
        fresh.replace(self.token_file)

    def put_signed(self, seconds: int, key: bytes | None = None) -> int:
        """Put a token of the user `daemon` there and return when it expires, epoch seconds."""
        now = int(time.time())
        claims = {"exp": now + seconds, "iat": now - HOUR, "sun": "daemon"}
        self.put(token(claims, self.key if key is None else key))
        return now + seconds

    def read_until(self) -> int:
        """Return up to when everything is read, by the store; 0 before the first answer."""
        if not self.watch.store.exists():
            return 0
        store = sqlite3.connect(f"file:{self.watch.store}?mode=ro", uri=True)
        try:
            return int(store.execute('SELECT coalesce(max("end"), 0) FROM coverage').fetchone()[0])
        finally:
            store.close()

    def sum(self, metric: str) -> float:
        """Return the sum of a metric's samples, from a scrape."""
        status, text = self.watch.get("/metrics")
        assert status == 200, text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == metric
        )

    def wait_for_a_failure(self) -> None:
        """Wait until the daemon has asked once more, in vain."""
        failed = "slurmwatchd_poll_failures_total"
        seen = self.sum(failed)
        self.watch.wait_until(lambda: self.sum(failed) > seen, "a query to fail")

    def check(self) -> dict[str, dict[str, str]]:
        """Return what `check` finds: each check's name to its finding."""
        found = json.loads(self.watch.run("check", "--json").stdout)
        return {finding["check"]: finding for finding in found["findings"]}


@pytest.fixture
def site(cluster: RealCluster, tmp_path: Path) -> Iterator[Site]:
    conf = cluster.conf.with_name("without-munge.conf")
    conf.write_text(MUNGE_SOCKET.sub(r"\1/nonexistent/munge", cluster.conf.read_text("utf-8")), "utf-8")
    client = replace(cluster, conf=conf, bin_dir=tmp_path / "bin")
    write_wrappers(client.bin_dir, conf, cluster.root, user="nobody")
    file = tmp_path / "token"
    watch = Watch(client, tmp_path / "watch", jwt_file=str(file))
    try:
        yield Site(client, file, watch, cluster.conf.with_name(KEY_FILE).read_bytes())
    finally:
        watch.kill()
        print(watch.log_tail())  # noqa: T201  (pytest shows it where the test failed)
        conf.unlink()


def test_a_token_that_expires_or_is_of_another_key_lets_nothing_be_read_and_check_names_it(
    cluster: RealCluster, site: Site
) -> None:
    # A munge that the commands could reach would make every token look good.
    alone = site.cluster.run("sacct", "-a", check=False)
    assert alone.returncode != 0, alone.stdout
    site.put_signed(-60)
    expired = site.watch.once()
    found = site.check()
    assert (expired.returncode, site.read_until()) == (75, 0), expired.stderr
    assert re.search(r"sacct failed: the token of daemon expired \S+Z \(exit status", expired.stderr)
    assert found["token"]["mark"] == "failed"
    assert re.search("^the token of daemon expired .+ ago$", found["token"]["text"])
    assert found["token"]["todo"] == "get another: scontrol token username=daemon lifespan=SECONDS"

    site.put_signed(HOUR, b"the key of another cluster")
    wrong = site.watch.once()
    found = site.check()
    assert (wrong.returncode, site.read_until()) == (75, 0), wrong.stderr
    assert "expired" not in wrong.stderr
    assert found["slurmdbd"]["mark"] == "failed"
    advice = found["slurmdbd"]["todo"]
    assert "AuthAltTypes=auth/jwt in slurmdbd.conf" in advice
    assert str(site.token_file) in advice
    assert "munge" not in advice

    # The same signature with the cluster's key will do: it was the token that was refused.
    site.put_signed(HOUR)
    good = site.watch.once()
    assert good.returncode == 0, good.stderr
    assert site.read_until() > 0
    assert site.check()["slurmdbd"]["mark"] == "ok"


def test_a_token_that_expires_under_the_daemon_costs_no_job_once_it_is_renewed(
    cluster: RealCluster, site: Site
) -> None:
    watch = site.watch
    started = jobs.new_second(cluster)
    jobs.batch(cluster, "--job-name=on the good token")
    jobs.settle(cluster, started)
    site.put(cluster.run("scontrol", "token", "username=daemon", f"lifespan={HOUR}").stdout)
    watch.start()
    first = set(truth.ended(cluster, started))
    watch.wait_until(lambda: first <= watch.keys(), "the job to be in the file")
    assert watch.get("/-/ready")[0] == 200
    assert HOUR - 60 < site.sum(EXPIRY) - time.time() <= HOUR

    expired = site.put_signed(-1)
    site.wait_for_a_failure()
    assert site.sum(EXPIRY) == expired
    read = site.read_until()
    jobs.batch(cluster, "--array=0-4", "--job-name=on the expired one")
    jobs.settle(cluster, started)
    site.wait_for_a_failure()
    assert REFUSALS[cluster.version] in watch.get("/-/status")[1]
    ended = truth.ended(cluster, started)
    assert len(ended) == 6
    assert (site.read_until(), set(ended) & watch.keys()) == (read, first)

    renewed = site.put_signed(HOUR)
    watch.wait_until(lambda: set(ended) <= watch.keys(), "every job to be in the file")
    assert site.sum(EXPIRY) == renewed
    assert not truth.compare(ended, watch.records(), truth.ended(cluster))


def test_check_says_when_a_token_for_ever_ends(cluster: RealCluster, site: Site) -> None:
    made = cluster.run("scontrol", "token", "username=daemon", "lifespan=infinite")
    assert "lifespan" not in made.stderr
    site.put(made.stdout)
    found = site.check()["token"]
    if cluster.version == "22.05":
        # It makes one of 1,800 s of it, and does not say so.
        assert found["mark"] == "warning"
        assert re.search(r"the token expires in (30m|29m\d+s)$", found["text"])
    else:
        # 2^31 - 1 seconds.
        assert found["mark"] == "ok"
        assert re.search(r"the token expires in 2485[45]d", found["text"])
