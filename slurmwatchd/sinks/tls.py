"""The TLS context of sinks whose libraries take one, from the files that their options name."""

import ssl
from functools import lru_cache
from pathlib import Path

from slurmwatchd.config.file_stamps import stamp
from slurmwatchd.sinks.credentials import TlsFiles, credential_path, read_credential


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
    known = filter(None, (*paths, *(Path(name) for name in (system.cafile, system.capath) if name)))
    # Each kind of sink has its own: a library may set in it which protocols it talks.
    return _made(type(files), tuple(paths), tuple(map(stamp, known)))


@lru_cache(maxsize=16)
def _made(
    kind: type[TlsFiles], paths: tuple[Path | None, Path | None, Path | None], stamps: tuple[object, ...]
) -> ssl.SSLContext:
    del kind, stamps
    cafile, certificate, key = paths
    context = ssl.create_default_context(cafile=cafile)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context
