"""Certificates that end: what `check` says of the web server's and the sinks', and what stands on `/metrics`."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slurmwatchd.config.loader import load
from slurmwatchd.config.settings import Config
from slurmwatchd.config.web_config import TlsConfig
from slurmwatchd.daemon.certificates import Certificates, of_sinks
from slurmwatchd.operations.doctor import certificates
from slurmwatchd.operations.doctor.findings import Finding
from slurmwatchd.sinks.registry import sink_options
from slurmwatchd.telemetry.metrics import Metrics
from tests.certificates import made
from tests.integration.rig import FakeClock

DAY = 86_400
NOW = int(datetime(2026, 11, 29, tzinfo=UTC).timestamp())
BEGIN, END = "20261001000000Z", "20270101000000Z"
"""Good for 92 days, of which 33 are left."""


def marks(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(str(finding.mark), finding.check, finding.text) for finding in findings]


def of_web(folder: Path, now: float, *, ca: Path | None = None) -> list[tuple[str, str, str]]:
    tls = TlsConfig(certificate=folder / "web.pem", key=folder / "web.key", client_ca=ca)
    return marks(list(certificates.of_web(tls, now)))


def test_a_certificate_of_the_web_server_is_warned_of_before_it_ends(tmp_path: Path) -> None:
    file, end = made(tmp_path, "web", BEGIN, END), "at 2027-01-01T00:00:00Z"
    assert of_web(tmp_path, NOW) == [("ok", "certificate", f"{file}: expires in 33d0h, {end}")]
    assert of_web(tmp_path, NOW + 20 * DAY) == [("warning", "certificate", f"{file}: expires in 13d0h, {end}")]
    assert of_web(tmp_path, NOW + 36 * DAY) == [("failed", "certificate", f"{file}: expired 3d0h ago, {end}")]
    early = of_web(tmp_path, NOW - 90 * DAY)
    assert early[1] == ("failed", "certificate", f"{file}: is not valid before 2026-10-01T00:00:00Z")


def test_the_first_of_a_chain_to_end_counts_and_the_last_of_authorities(tmp_path: Path) -> None:
    whole = made(tmp_path, "web", BEGIN, "20280101000000Z").read_text()
    (tmp_path / "web.pem").write_text(
        whole + made(tmp_path, "between", "20200101000000Z", "20261201000000Z").read_text()
    )
    (mark, _, text), *_ = of_web(tmp_path, NOW)
    assert (mark, "expires in 2d0h" in text) == ("warning", True)
    old, young = made(tmp_path, "old", "20200101000000Z", "20250101000000Z"), made(tmp_path, "young", BEGIN, END)
    authorities = tmp_path / "authorities.pem"
    authorities.write_text(old.read_text() + young.read_text())
    assert of_web(tmp_path, NOW, ca=authorities)[1:] == []
    assert of_web(tmp_path, NOW, ca=old)[1:] == [
        ("failed", "certificate", f"{old}: expired 697d0h ago, at 2025-01-01T00:00:00Z")
    ]


def configuration(folder: Path, text: str) -> Config:
    (folder / "slurmwatchd.toml").write_text(text)
    return load(folder / "slurmwatchd.toml", sink_options=sink_options(), environ={}, flags={})


def test_certificates_of_sinks_are_looked_at_too(tmp_path: Path) -> None:
    file = made(tmp_path, "hook", BEGIN, END)
    config = configuration(
        tmp_path,
        f'[sinks.hook]\ntype = "http"\nurl = "https://example.org/slurm"\ntls_ca_file = "{tmp_path}/no.pem"\n'
        f'tls_certificate_file = "{file}"\ntls_key_file = "{tmp_path}/hook.key"\n'
        # A credential of the unit, which a shell does not have.
        '[sinks.other]\ntype = "http"\nurl = "https://example.org/slurm"\ntls_ca_file = "authority"\n',
    )
    assert marks(list(certificates.of_sinks(config, NOW + 30 * DAY))) == [
        ("warning", "sink hook", f"{file}: expires in 3d0h, at 2027-01-01T00:00:00Z"),
        ("failed", "sink hook", f"{tmp_path}/no.pem: cannot be read: No such file or directory"),
    ]
    assert list(of_sinks(config)) == ["sink hook"]


async def test_ends_are_on_the_metrics_and_one_that_is_near_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = made(tmp_path, "web", BEGIN, END)
    metrics, clock = Metrics(), FakeClock(NOW)
    looked = Certificates({"web": lambda: file, "sink none": lambda: None}, clock=clock, metrics=metrics)

    def shown(name: str) -> float | None:
        return metrics.registry.get_sample_value(
            f"slurmwatchd_certificate_{name}_timestamp_seconds", {"part": "web"}
        )

    caplog.set_level(logging.WARNING)
    await looked.round()
    assert (shown("start"), shown("expiry")) == (1_790_812_800, 1_798_761_600)
    assert "certificate expires soon" not in caplog.text
    clock.move(20 * DAY)
    await looked.round()
    await looked.round()
    assert caplog.text.count("certificate expires soon") == 1
    # A file that is being written changes nothing; a new one does.
    file.write_text("")
    await looked.round()
    assert shown("expiry") == 1_798_761_600
    made(tmp_path, "web", "20261219000000Z", "20270401000000Z")
    await looked.round()
    assert shown("expiry") == 1_806_537_600
