"""The web server by exporter-toolkit's `web.yml`: TLS, client certificates, basic auth, and changes meanwhile."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import bcrypt
import httpx
import pytest
from prometheus_client import CollectorRegistry

from slurmwatchd.config.api_tokens import TokenFile, TokenScope, add_token
from slurmwatchd.config.settings import WebSection
from slurmwatchd.daemon.web import server as web_server
from slurmwatchd.daemon.web.api.access import Access
from slurmwatchd.daemon.web.app import make_app
from slurmwatchd.daemon.web.guard import Guard
from slurmwatchd.daemon.web.logins import Passwords, People
from slurmwatchd.daemon.web.pages.paths import asks_itself
from slurmwatchd.daemon.web.server import WebServer, bind, url
from slurmwatchd.daemon.web.tls import WebConfigFile, web_config_file
from slurmwatchd.errors import ConfigError
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.telemetry.health import Health
from tests.patience import HANGS_SECONDS

OPENSSL = shutil.which("openssl") or "openssl"
TLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
MUTUAL = TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run([OPENSSL, *arguments], cwd=folder, check=True, capture_output=True)


def certificate(folder: Path, name: str, subject_names: str) -> None:
    """Make a certificate and its key, signed by the folder's authority."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(folder, "req", "-new", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    (folder / "names").write_text(f"subjectAltName={subject_names}\n")
    openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
        "-days", "2", "-extfile", "names", "-out", f"{name}.pem",
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, two certificates of the server and two of clients."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2")
    certificate(folder, "server", "IP:127.0.0.1")
    certificate(folder, "renewed", "IP:127.0.0.1")
    certificate(folder, "prometheus", "DNS:prometheus.example.org")
    certificate(folder, "other", "DNS:other.example.org")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    for file in made.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path


@asynccontextmanager
async def serving(folder: Path, text: str) -> AsyncIterator[tuple[str, WebConfigFile]]:
    """A server that follows the file; its address."""
    (folder / "web.yml").write_text(text)
    file = WebConfigFile(folder / "web.yml")
    access = Access(TokenFile(folder / "tokens"), Passwords(file), People(WebSection()), sleep=no_sleep)
    app = Guard(
        make_app(Health(SystemClock()), CollectorRegistry()),
        file,
        access,
        asks_itself=asks_itself,
        secret=bytes(32),
    )
    listener = bind("127.0.0.1:0")
    server = WebServer(app, listener, file=file)
    with listener, anyio.fail_after(HANGS_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(server.run_until_stopped)
            while not server.started:  # noqa: ASYNC110 - nothing tells when
                await anyio.sleep(0.01)
            yield url(listener, tls=file.context is not None), file
            server.stop()


async def no_sleep(_: float) -> None:
    return


async def get(address: str, folder: Path, *, client: str = "", **options: object) -> httpx.Response:
    """Ask anew, over a connection of its own."""
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    if client:
        context.load_cert_chain(folder / f"{client}.pem", folder / f"{client}.key")
    async with httpx.AsyncClient(verify=context, timeout=HANGS_SECONDS) as http:
        return await http.get(f"{address}/-/healthy", **options)  # type: ignore[arg-type]


def subject(address: str) -> str:
    """The name in the certificate that is shown."""
    host, port = address.removeprefix("https://").split(":")
    pem = ssl.get_server_certificate((host, int(port)), timeout=HANGS_SECONDS)
    shown = subprocess.run(
        [OPENSSL, "x509", "-noout", "-subject"], input=pem, check=True, capture_output=True, text=True
    )
    return shown.stdout.strip().replace(" ", "").removeprefix("subject=")


async def test_tls_is_spoken_and_nothing_else(folder: Path) -> None:
    async with serving(folder, TLS) as (address, _):
        assert address.startswith("https://127.0.0.1:")
        assert (await get(address, folder)).text == "slurmwatchd is alive.\n"
        with pytest.raises(httpx.TransportError):
            await get(address.replace("https", "http"), folder)


async def test_a_client_needs_a_certificate_with_a_name_that_may_come(folder: Path) -> None:
    async with serving(folder, MUTUAL) as (address, _):
        with pytest.raises(httpx.TransportError):
            await get(address, folder)
        assert (await get(address, folder, client="other")).status_code == 200
    named = f"{MUTUAL}  client_allowed_sans: [prometheus.example.org]\n"
    async with serving(folder, named) as (address, _):
        assert (await get(address, folder, client="prometheus")).status_code == 200
        with pytest.raises(httpx.TransportError):
            await get(address, folder, client="other")


async def test_a_renewed_certificate_is_shown_and_a_mistake_keeps_the_old_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(web_server, "_FILE_SECONDS", 0.0)
    async with serving(folder, TLS) as (address, file):
        assert await anyio.to_thread.run_sync(subject, address) == "CN=server"
        began = httpx.AsyncClient(verify=ssl.create_default_context(cafile=folder / "ca.pem"))
        assert (await began.get(f"{address}/-/healthy")).status_code == 200
        shutil.copy(folder / "renewed.key", folder / "server.key")
        shutil.copy(folder / "renewed.pem", folder / "server.pem")
        await until(lambda: anyio.to_thread.run_sync(subject, address), "CN=renewed")
        await began.aclose()

        caplog.clear()
        (folder / "web.yml").write_text(TLS + "  nonsense: 1\n")
        await until(lambda: logged(caplog), 1)
        (folder / "server.pem").write_text("garbage")
        (folder / "web.yml").write_text(TLS)
        await until(lambda: logged(caplog), 2)
        assert await anyio.to_thread.run_sync(subject, address) == "CN=renewed"
        assert "tls_server_config.nonsense: unknown key" in caplog.text
        assert "server.pem: is no certificate with its key" in caplog.text
        (folder / "web.yml").write_text("basic_auth_users: {}\n")
        await until(lambda: logged(caplog), 3)
        assert file.context is not None
        assert await anyio.to_thread.run_sync(subject, address) == "CN=renewed"


async def logged(caplog: pytest.LogCaptureFixture) -> int:
    return caplog.text.count("web.yml not reloaded")


async def until(ask: object, wanted: object) -> None:
    """Ask until it is what is wanted."""
    assert callable(ask)
    with anyio.fail_after(HANGS_SECONDS):
        while await ask() != wanted:  # noqa: ASYNC110 - nothing tells when
            await anyio.sleep(0.05)


async def test_pages_ask_for_a_name_and_a_password_or_a_token_for_metrics(folder: Path) -> None:
    digest = bcrypt.hashpw(b"s3cret", bcrypt.gensalt(4)).decode()
    text = f"basic_auth_users:\n  ann: {digest}\nhttp_server_config:\n  headers:\n    X-Frame-Options: deny\n"
    tokens = {
        scope: add_token(
            folder / "tokens", scope.replace(":", "."), TokenScope.parse(scope), added="2026-11-29T00:00:00Z",
            state_folder=folder,
        )
        for scope in ("metrics", "all", "user:ann")
    }  # fmt: skip
    async with serving(folder, text) as (address, _):
        assert address.startswith("http://")
        refused = await get(address, folder)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == 'Basic realm="slurmwatchd", charset="UTF-8"'
        assert refused.headers["x-frame-options"] == "deny"
        assert "alive" not in refused.text
        for _ in range(2):
            assert (await get(address, folder, auth=("ann", "s3cret"))).status_code == 200
        for auth in (("ann", "secret"), ("bob", "s3cret"), ("", ""), ("ann", ""), ("ann", "x" * 500)):
            assert (await get(address, folder, auth=auth)).status_code == 401, auth
        for scope, status in (("metrics", 200), ("all", 200), ("user:ann", 403)):
            bearer = {"Authorization": f"Bearer {tokens[scope]}"}
            assert (await get(address, folder, headers=bearer)).status_code == status, scope
        assert (await get(address, folder, headers={"Authorization": "Basic !!"})).status_code == 401


async def test_a_silent_client_of_tls_is_cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "HANDSHAKE_SECONDS", 0.2)
    async with serving(folder, TLS) as (address, _):
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=HANGS_SECONDS) as silent:
            assert await anyio.to_thread.run_sync(silent.recv, 10) == b""


def test_a_file_without_tls_does_not_open_an_address_of_the_network(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("basic_auth_users: {}\n")
    web = {"listen": "10.1.2.3:1", "web_config": str(tmp_path / "web.yml")}
    with pytest.raises(ConfigError, match=r"web.yml: has no tls_server_config, and web.listen 10.1.2.3:1 is not"):
        web_config_file(WebSection.model_validate(web))
    assert web_config_file(WebSection.model_validate(web | {"insecure": True})) is not None
    assert web_config_file(WebSection.model_validate(web | {"listen": "127.0.0.1:1"})) is not None
