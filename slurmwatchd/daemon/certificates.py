"""When the daemon's own certificates end, on `/metrics`: the web server's, and those that sinks show."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio.to_thread

from slurmwatchd.config.certificates import Validity, validities
from slurmwatchd.config.settings import Config
from slurmwatchd.model.clock import Clock, rfc3339
from slurmwatchd.sinks.credentials import TlsFiles, credential_path
from slurmwatchd.sinks.registry import sinks_of
from slurmwatchd.telemetry.log import get_logger
from slurmwatchd.telemetry.metrics import Metrics

ROUND_SECONDS = 60.0
WEB = "web"
"""The part that is the web server."""

_log = get_logger(__name__)


class Certificates:
    """Keeps the ends of certificates in the metrics, and warns of one that ends soon.

    Attributes:
        files: The part that shows a certificate, to its file now; None: it has none now.
    """

    def __init__(self, files: dict[str, Callable[[], Path | None]], *, clock: Clock, metrics: Metrics) -> None:
        """Prepare; nothing is read.

        Args:
            files: As the attribute.
            clock: Says how long they are good for.
            metrics: Are given the ends.
        """
        self.files = files
        self._clock = clock
        self._metrics = metrics
        self._warned: dict[str, Validity] = {}

    async def run(self) -> None:
        """Look for ever, if there is anything to look at."""
        while self.files:
            await self.round()
            await self._clock.sleep(ROUND_SECONDS)

    async def round(self) -> None:
        """Look once; a file that cannot be read leaves the metrics as they were: what reads it says so."""
        found = await anyio.to_thread.run_sync(self._read)
        for part, validity in found.items():
            self._metrics.certificate_start.labels(part).set(validity.begin)
            self._metrics.certificate_expiry.labels(part).set(validity.end)
            if validity.ends_soon(self._clock.now()) and self._warned.get(part) != validity:
                self._warned[part] = validity
                _log.warning("certificate expires soon", part=part, end=rfc3339(validity.end))

    def _read(self) -> dict[str, Validity]:
        found = {}
        for part, file in self.files.items():
            try:
                if (path := file()) is not None:
                    found[part] = min(validities(path))
            except (OSError, ValueError) as error:
                _log.debug("certificate not read", part=part, error=str(error))
        return found


def of_sinks(config: Config) -> dict[str, Callable[[], Path | None]]:
    """Return the certificates that sinks show, as `Certificates` takes them."""
    return {
        f"sink {name}": partial(credential_path, options.tls_certificate_file)
        for name, options in sinks_of(config).items()
        if isinstance(options, TlsFiles) and options.tls_certificate_file
    }
