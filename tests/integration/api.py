"""The API over a filled store, served on a free port, and a client that asks it with a token."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import anyio
import httpx
from prometheus_client import CollectorRegistry

from slurmwatchd.config.api_tokens import TokenScope, add_token
from slurmwatchd.config.settings import Config
from slurmwatchd.daemon.web.api.service import Api
from slurmwatchd.daemon.web.app import make_app
from slurmwatchd.daemon.web.guard import Guard
from slurmwatchd.daemon.web.pages.paths import asks_itself
from slurmwatchd.daemon.web.pages.service import Pages
from slurmwatchd.daemon.web.server import WebServer, bind
from slurmwatchd.daemon.web.tls import WebConfigFile
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.telemetry.health import Health
from tests.patience import HANGS_SECONDS

KEY = bytes(range(32))
PREFIX = "/api/v1"


class Client:
    """Asks the API."""

    def __init__(self, api: Api, port: int, tokens: Path) -> None:
        self.api = api
        self.port = port
        self.tokens = tokens
        self._known: dict[str, str] = {}
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}{PREFIX}", timeout=HANGS_SECONDS)

    def token(self, scope: str) -> str:
        """A token of a scope, made when it is first asked for."""
        if scope not in self._known:
            self._known[scope] = add_token(
                self.tokens,
                scope.replace(":", "."),
                TokenScope.parse(scope),
                added="2026-11-29T00:00:00Z",
                state_folder=self.tokens.parent,
            )
        return self._known[scope]

    async def ask(
        self, path: str, query: Mapping[str, str] | str = "", *, scope: str = "all", **headers: str
    ) -> httpx.Response:
        """Ask with a token; headers by their names, with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.get(
            path,
            params=httpx.QueryParams(query) if query else None,
            headers={"Authorization": f"Bearer {self.token(scope)}", **sent},
        )

    async def page(self, path: str, *, scope: str = "all", **headers: str) -> httpx.Response:
        """Ask for a page with a token, as a browser does: its name and itself as the password."""
        token = self.token(scope)
        return await self.http.get(self.at(path), auth=(scope.replace(":", "."), token), headers=headers)

    def at(self, path: str) -> str:
        """Return the address of a path that is not the API's."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def json(self, path: str, query: Mapping[str, str] | str = "", *, scope: str = "all") -> Any:  # noqa: ANN401 - any JSON
        """Ask for JSON that must come."""
        answer = await self.ask(path, query, scope=scope)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ids(self, path: str, query: Mapping[str, str] | str = "", *, scope: str = "all") -> list[str]:
        """The job ids of a page."""
        return [job["job_id"] for job in (await self.json(path, query, scope=scope))["jobs"]]

    async def problem(self, path: str, query: Mapping[str, str] | str = "", *, scope: str = "all") -> Any:  # noqa: ANN401 - any JSON
        """Ask for what gets an error."""
        answer = await self.ask(path, query, scope=scope)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        value = json.loads(answer.text)
        assert value["status"] == answer.status_code
        return value


class Served(Protocol):
    """A rig, or what else has a configuration and a store."""

    @property
    def config(self) -> Config: ...

    @property
    def store(self) -> Path: ...


@asynccontextmanager
async def serving_api(
    rig: Served,
    folder: Path,
    *,
    store: Path | None = None,
    seconds: float = 60.0,
    file: WebConfigFile | None = None,
    **web_settings: object,
) -> AsyncIterator[Client]:
    """Serve the API and the pages over a rig's store, or a copy of it."""
    settings = {"tokens_file": folder / "tokens", "timeout": seconds, **web_settings}
    web = rig.config.web.model_copy(update=settings)
    section = rig.config.store.model_copy(update={"path": store or rig.store})
    config = rig.config.model_copy(update={"web": web, "store": section})
    health = Health(SystemClock())
    api = Api(config, health, key=KEY, file=file)
    plain = make_app(health, CollectorRegistry(), [*api.routes(), *Pages(api).routes()])
    app = plain if file is None else Guard(plain, file, api.access, asks_itself=asks_itself, secret=bytes(32))
    listener = bind("127.0.0.1:0")
    server = WebServer(app, listener, stopping=api.news.stop)
    with listener:
        async with anyio.create_task_group() as group:
            group.start_soon(server.run_until_stopped)
            client = Client(api, listener.getsockname()[1], folder / "tokens")
            try:
                yield client
            finally:
                await client.http.aclose()
                server.stop()
                api.close()
