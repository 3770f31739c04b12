"""What sinks send to, beyond the machine: are the secrets here, and does the receiver answer?"""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import anyio
import anyio.to_thread

from slurmwatchd.config.settings import Config
from slurmwatchd.errors import SinkError
from slurmwatchd.operations.doctor.findings import Finding, failed, ok
from slurmwatchd.operations.doctor.unit import Unit
from slurmwatchd.sinks.base import SinkOptions
from slurmwatchd.sinks.forms.form import EventForm
from slurmwatchd.sinks.forms.options import FormOptions
from slurmwatchd.sinks.registry import sink_kinds, sinks_of

PATIENCE_SECONDS = 60.0

_LATER = "start the receiver, or correct the sink; events wait in the store meanwhile"


async def examine(
    config: Config, unit: Unit | None, environ: Mapping[str, str] = os.environ
) -> AsyncIterator[Finding]:
    """Ask each receiver whether it is there; nothing is sent, and nothing made.

    Args:
        config: The configuration.
        unit: Of the service; None where there is none.
        environ: Where systemd says that this runs in the service.
    """
    for name, options in sinks_of(config).items():
        check = f"sink {name}"
        if held := _held(options, unit, environ):
            yield _of_credentials(check, held, unit)
            continue
        try:
            if isinstance(options, FormOptions):
                await anyio.to_thread.run_sync(EventForm(name, options).prepare)
            answers = sink_kinds()[options.type].answers
            if answers is not None:
                with anyio.fail_after(PATIENCE_SECONDS):
                    yield ok(check, await answers(options))
        except SinkError as error:
            yield failed(check, str(error), _LATER)
        except TimeoutError:
            yield failed(check, f"no answer within {PATIENCE_SECONDS:g} s", _LATER)


def _held(options: SinkOptions, unit: Unit | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Return option to name of the credentials that only the service has."""
    if unit is None or "CREDENTIALS_DIRECTORY" in environ:
        return {}
    return {option: text for option, text in _files(options) if not Path(text).is_absolute()}


def _files(options: SinkOptions) -> Iterator[tuple[str, str]]:
    for option in type(options).model_fields:
        text = getattr(options, option)
        if option.endswith("_file") and isinstance(text, str) and text:
            yield option, text


def _of_credentials(check: str, held: Mapping[str, str], unit: Unit | None) -> Finding:
    assert unit is not None  # noqa: S101 - for the type checker
    loaded = {
        word.partition(":")[0]
        for directive in ("LoadCredential", "LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted")
        for word in unit.words(directive)
    }
    for option, name in held.items():
        if name not in loaded:
            todo = f"add LoadCredential={name}:/etc/slurmwatchd/{name} to it, or set an absolute path"
            return failed(check, f"{option}: {unit.name} has no credential {name}", todo)
    names = ", ".join(held.values())
    return ok(check, f"its receiver was not asked: only the running service has the credential {names}")
