"""Starting: the web socket first, then the store, then the daemon; everything is closed in the reverse order."""

import os
from collections.abc import Callable
from contextlib import AsyncExitStack

from slurmwatchd._version import __version__
from slurmwatchd.config.settings import Config
from slurmwatchd.daemon.assembly import assembled
from slurmwatchd.daemon.certificates import WEB
from slurmwatchd.daemon.daemon import Outside
from slurmwatchd.errors import ListenError, StoreCorruptError, first_cause
from slurmwatchd.store import meta
from slurmwatchd.store.lockfile import holder, in_use
from slurmwatchd.telemetry.log import get_logger

_log = get_logger(__name__)


async def run(
    config: Config,
    *,
    reload: Callable[[], Config],
    outside: Outside | None = None,
    listening: Callable[[str], None] = lambda _: None,
) -> None:
    """Run the service until a signal stops it.

    Args:
        config: What to do.
        reload: Reads the configuration again, for SIGHUP.
        outside: The world, for tests.
        listening: Called with the web server's URL once it is bound.

    Raises:
        FatalError: It cannot start, or cannot go on.
    """
    while True:
        try:
            await _run_until_stopped(config, reload, outside or Outside(), listening)
        except* StoreCorruptError as group:
            _log.error("store damaged, restarting with a new one", error=str(first_cause(group)))
        else:
            return


async def _run_until_stopped(
    config: Config, reload: Callable[[], Config], outside: Outside, listening: Callable[[str], None]
) -> None:
    """Run until a signal says stop, or the store proves damaged; whoever opens it next sets it aside.

    Raises:
        StoreCorruptError: Damage was met, and noted beside the store.
    """
    # A tenth of a second of imports that `once` has no use for.
    from slurmwatchd.daemon.web.api.service import Api  # noqa: PLC0415
    from slurmwatchd.daemon.web.app import make_app  # noqa: PLC0415
    from slurmwatchd.daemon.web.guard import Guard  # noqa: PLC0415
    from slurmwatchd.daemon.web.pages.paths import asks_itself  # noqa: PLC0415
    from slurmwatchd.daemon.web.pages.service import Pages  # noqa: PLC0415
    from slurmwatchd.daemon.web.server import WebServer, bind, url  # noqa: PLC0415
    from slurmwatchd.daemon.web.tls import web_config_file  # noqa: PLC0415
    from slurmwatchd.store.read.status import KEY_NAME  # noqa: PLC0415

    file = web_config_file(config.web)

    try:
        listener = bind(config.web.listen) if config.web.listen else None
    except ListenError:
        if (pid := holder(config.store.path)) is not None:
            # Most likely it has the address too.
            raise in_use(config.store.path, pid) from None
        raise
    address = url(listener, tls=file is not None and file.context is not None) if listener else "none"
    try:
        async with assembled(config, outside) as daemon, AsyncExitStack() as closing:
            server = None
            if listener is not None:
                key = await meta.secret(daemon.database, KEY_NAME)
                api = Api(config, daemon.health, key=key, file=file)
                daemon.news.append(api.news.ring)
                closing.callback(api.close)
                app = make_app(daemon.health, daemon.metrics.registry, [*api.routes(), *Pages(api).routes()])
                guarded = (
                    app if file is None else Guard(app, file, api.access, asks_itself=asks_itself, secret=key)
                )
                if file is not None:
                    daemon.certificates.files[WEB] = lambda: file.certificate
                server = WebServer(guarded, listener, file=file, stopping=api.news.stop)
                listening(address)
            _log.info(
                "started",
                version=__version__,
                pid=os.getpid(),
                store=str(config.store.path),
                url=address,
                clusters=", ".join(watcher.cluster for watcher in daemon.watchers),
                sinks=", ".join(delivery.name for delivery in daemon.deliveries),
            )
            await daemon.run(server, reload)
    finally:
        if listener is not None:
            listener.close()


async def once(config: Config, *, outside: Outside | None = None) -> None:
    """Read what is due, deliver it, and return.

    Raises:
        TransientError: Slurm, the store or a sink failed.
        FatalError: It cannot start.
    """
    outside = outside or Outside()
    try:
        await _once(config, outside)
    except* StoreCorruptError as group:
        _log.error("store damaged, restarting with a new one", error=str(first_cause(group)))
        await _once(config, outside)


async def _once(config: Config, outside: Outside) -> None:
    async with assembled(config, outside) as daemon:
        await daemon.once()
