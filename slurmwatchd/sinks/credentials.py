"""Secrets of sinks, read from files: by their paths, or as credentials of the unit (LoadCredential=)."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from slurmwatchd.errors import SinkError

_FOLDER = "CREDENTIALS_DIRECTORY"


@runtime_checkable
class TlsFiles(Protocol):
    """Options that name the files of TLS, each empty where there is none."""

    @property
    def tls_ca_file(self) -> str:
        """Whose signature is trusted."""
        ...

    @property
    def tls_certificate_file(self) -> str:
        """The daemon's own certificate."""
        ...

    @property
    def tls_key_file(self) -> str:
        """Its key."""
        ...


def check_key_pair(files: TlsFiles) -> None:
    """Look whether a certificate and its key are named together.

    Raises:
        ValueError: Only one of them is.
    """
    if bool(files.tls_certificate_file) != bool(files.tls_key_file):
        raise ValueError("tls_certificate_file and tls_key_file go together")


def credential_path(text: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file of a secret.

    Args:
        text: An absolute path; else a file in systemd's credentials folder if there is one, or a relative path.
        environ: Where systemd says which folder that is.
    """
    folder = environ.get(_FOLDER, "")
    return Path(folder, text) if folder else Path(text)


def read_credential(option: str, text: str, *, least_bytes: int = 1) -> bytes:
    """Read a secret; the line end behind it is not part of it.

    Args:
        option: The key of the configuration that names the file, for errors.
        text: As `credential_path` takes it.
        least_bytes: A shorter one is refused.

    Raises:
        SinkError: The file cannot be read, or holds too little.
    """
    path = credential_path(text)
    try:
        secret = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise SinkError(f"{option}: {path}: cannot be read: {error.strerror}") from error
    if len(secret) < least_bytes:
        raise SinkError(f"{option}: {path}: holds {len(secret)} bytes; at least {least_bytes} are needed")
    return secret
