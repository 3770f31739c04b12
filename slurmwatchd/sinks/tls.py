"""The TLS context of sinks whose libraries take one, from the files that their options name."""

import ssl
from functools import lru_cache
from pathlib import Path

from slurmwatchd.sinks.credentials import TlsFiles, credential_path, read_credential

_Stamp = tuple[int, int, int] | None


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a context that trusts who is named, and shows the daemon's own certificate where there is one.

    As long as no file has changed it is the same one: to read all authorities of a system takes 75 ms of CPU, and
    a receiver that is away is asked again and again.

    Raises:
        SinkError: A file cannot be read.
        OSError: It is no certificate or key.
    """
    paths: list[Path | None] = []
    for option in ("tls_ca_file", "tls_certificate_file", "tls_key_file"):
        text = getattr(files, option)
        if text:
            # OpenSSL's error names no file.
            read_credential(option, text)
        paths.append(credential_path(text) if text else None)
    system = ssl.get_default_verify_paths()
    known = (*paths, *(Path(name) for name in (system.cafile, system.capath) if name))
    # Each kind of sink has its own: a library may set in it which protocols it talks.
    return _made(type(files), tuple(paths), tuple(map(_stamp, known)))


@lru_cache(maxsize=16)
def _made(
    kind: type[TlsFiles], paths: tuple[Path | None, Path | None, Path | None], stamps: tuple[_Stamp, ...]
) -> ssl.SSLContext:
    del kind, stamps
    cafile, certificate, key = paths
    context = ssl.create_default_context(cafile=cafile)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def _stamp(path: Path | None) -> _Stamp:
    """Return what changes whenever a file is written or replaced."""
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return None if status is None else (status.st_ino, status.st_size, status.st_mtime_ns)
