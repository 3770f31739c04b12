"""The real daemon behind `web.yml`: its commands still learn its state, and nobody else does."""

import json
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import bcrypt
import pytest

from tests.acceptance.process import DaemonProcess
from tests.certificates import made
from tests.patience import HANGS_SECONDS

OPENSSL = shutil.which("openssl") or "openssl"


def status_of(address: str, **headers: str) -> int:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(f"{address}/-/status", headers=headers)  # noqa: S310 - our own
    try:
        with urllib.request.urlopen(request, timeout=HANGS_SECONDS, context=context) as answer:  # noqa: S310 - our own
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.heavy
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_status_needs_no_password_where_the_store_can_be_read(tmp_path: Path, scheme: str) -> None:
    text = f"basic_auth_users:\n  ann: {bcrypt.hashpw(b's3cret', bcrypt.gensalt(4)).decode()}\n"
    if scheme == "https":
        argv = [OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        argv += ["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=elsewhere.example.org", "-days", "2"]
        subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True)
        text += "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"
    (tmp_path / "web.yml").write_text(text)
    with DaemonProcess(tmp_path) as daemon:
        daemon.change_config("[web]\n", f'[web]\nweb_config = "{tmp_path}/web.yml"\n')
        daemon.start()
        daemon.wait_until(lambda: '"event":"ready"' in daemon.stderr().replace(" ", ""), "ready")
        address = f"{scheme}://127.0.0.1:{daemon.port}"
        state = json.loads(daemon.ask("status", "--json").stdout)
        assert (state["running"], state["url"], state["wrong"]) == (True, address, [])
        assert daemon.process is not None
        assert state["pid"] == daemon.process.pid
        findings = json.loads(daemon.ask("check", "--json", "--unit", "").stdout)["findings"]
        (port,) = [finding["text"] for finding in findings if finding["check"] == "port"]
        assert port == f"127.0.0.1:{daemon.port} is in use by slurmwatchd itself, pid {state['pid']}"
        # Without the store's secret, and with it for anything else, a login is needed.
        assert status_of(address) == 401
        assert status_of(address, Authorization=f"Slurmwatchd-Store {'0' * 64}") == 401
        assert "a login failed" not in daemon.stderr()


def test_the_daemon_and_check_look_at_what_web_yml_names(tmp_path: Path) -> None:
    made(tmp_path, "web", "20200101000000Z", "20250101000000Z")
    (tmp_path / "web.yml").write_text("tls_server_config:\n  cert_file: web.pem\n  key_file: web.key\n")
    with DaemonProcess(tmp_path) as daemon:
        daemon.change_config("[web]\n", f'[web]\nweb_config = "{tmp_path}/web.yml"\n')
        daemon.start()
        daemon.wait_until(lambda: "certificate expires soon" in daemon.stderr(), "a warning")
        findings = json.loads(daemon.ask("check", "--json", "--unit", "").stdout)["findings"]
        (found,) = [finding for finding in findings if finding["check"] == "certificate"]
        assert found["mark"] == "failed"
        assert "web.pem: expired" in found["text"]
        assert found["todo"] == "renew it; the daemon takes the new file by itself"
