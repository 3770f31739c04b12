"""The TLS context of sinks whose libraries take one, from the files that their options name."""

import ssl

from slurmwatchd.sinks.credentials import TlsFiles, credential_path, read_credential


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a context that trusts who is named, and shows the daemon's own certificate where there is one.

    Raises:
        SinkError: A file cannot be read.
        OSError: It is no certificate or key.
    """
    for option in ("tls_ca_file", "tls_certificate_file", "tls_key_file"):
        if text := getattr(files, option):
            # OpenSSL's error names no file.
            read_credential(option, text)
    cafile = str(credential_path(files.tls_ca_file)) if files.tls_ca_file else None
    context = ssl.create_default_context(cafile=cafile)
    if files.tls_certificate_file:
        context.load_cert_chain(credential_path(files.tls_certificate_file), credential_path(files.tls_key_file))
    return context
