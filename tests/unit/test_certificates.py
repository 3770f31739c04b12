"""Until when certificates are good, held against what openssl says."""

import ssl
import subprocess
from pathlib import Path

import pytest

from slurmwatchd.config.certificates import Validity, validities
from tests.certificates import OPENSSL, made

DAY = 86_400
# 2026-11-29T00:00:00Z
NOW = 1_795_910_400


@pytest.mark.parametrize("key", ["ec", "rsa"])
def test_dates_of_both_spellings_are_read(tmp_path: Path, key: str) -> None:
    # Years from 2050 on have four digits in a certificate, those before have two.
    file = made(tmp_path, "one", "20261120000000Z", "20510102030405Z", key=key)
    printed = subprocess.run(
        [OPENSSL, "x509", "-in", file, "-noout", "-enddate"], check=True, capture_output=True, text=True
    )
    assert printed.stdout == "notAfter=Jan  2 03:04:05 2051 GMT\n"
    assert validities(file) == (Validity(end=2_556_241_445, begin=1_795_132_800),)


def test_a_chain_is_read_in_its_order_and_keys_beside_it_are_left_out(tmp_path: Path) -> None:
    first = made(tmp_path, "first", "20260101000000Z", "20270101000000Z")
    second = made(tmp_path, "second", "20250101000000Z", "20261201000000Z")
    chain = tmp_path / "chain.pem"
    chain.write_text(first.read_text() + (tmp_path / "first.key").read_text() + second.read_text())
    assert [validity.end for validity in validities(chain)] == [1_798_761_600, 1_796_083_200]


NO_DATES = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("text", ["", "nonsense", NO_DATES])
def test_what_is_no_certificate_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.pem").write_text(text)
    with pytest.raises(ValueError, match=r"holds (no certificate|a certificate that cannot be read)"):
        validities(tmp_path / "bad.pem")


def test_a_certificate_that_is_cut_off_anywhere_is_said(tmp_path: Path) -> None:
    whole = made(tmp_path, "one", "20260101000000Z", "20270101000000Z").read_text()
    der = ssl.PEM_cert_to_DER_cert(whole)
    for length in range(len(der)):
        (tmp_path / "cut.pem").write_text(ssl.DER_cert_to_PEM_cert(der[:length]))
        with pytest.raises(ValueError, match="cannot be read"):
            validities(tmp_path / "cut.pem")


@pytest.mark.parametrize(
    ("days", "left", "soon"),
    [
        (365, 15, False), (365, 13, True), (90, 13, True), (90, 15, False), (47, 12, False), (47, 11, True),
        # Such as Let's Encrypt's of six days.
        (6, 2, False), (6, 1, True), (1, 0.3, False), (1, 0.2, True), (365, -1, True),
    ],
)  # fmt: skip
def test_it_ends_soon_when_it_should_have_been_renewed(days: int, left: float, soon: bool) -> None:
    end = NOW + int(left * DAY)
    assert Validity(end=end, begin=end - days * DAY).ends_soon(NOW) == soon
