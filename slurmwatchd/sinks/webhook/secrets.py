"""What proves to a receiver who sends."""

from slurmwatchd.sinks.credentials import read_credential
from slurmwatchd.sinks.forms.pseudonyms import KEY_BYTES
from slurmwatchd.sinks.webhook.options import HttpOptions


def read_secrets(options: HttpOptions) -> dict[str, bytes]:
    """Return the token and the signing key, as far as the options name their files.

    Raises:
        SinkError: One cannot be read, or is too short.
    """
    found = {}
    if options.bearer_token_file:
        found["token"] = read_credential("bearer_token_file", options.bearer_token_file)
    if options.signing_key_file:
        found["key"] = read_credential("signing_key_file", options.signing_key_file, least_bytes=KEY_BYTES)
    return found
