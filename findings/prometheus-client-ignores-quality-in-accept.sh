#!/usr/bin/env bash
# prometheus_client answers OpenMetrics to a client that refuses it.
#
# Expected: Accept: application/openmetrics-text;q=0, text/plain gets text/plain, as HTTP says of q=0; of
#   q=0.1 and q=1 the latter wins.
# What happens: Wherever application/openmetrics-text stands in the header, it is answered, whatever its
#   quality, as 1.0.0 where a version is named.
# Why it matters here: A proxy or script that states its preference this way gets # EOF, exemplars and
#   counters without _total in their TYPE lines. Prometheus itself lists OpenMetrics first and sees no
#   difference. To be sure of the old format, send text/plain alone.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'prometheus_client==0.26.0'

cd "$folder"
venv/bin/python - <<'END'
from importlib.metadata import version

from prometheus_client.exposition import choose_encoder

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def answer(accept):
    return choose_encoder(accept)[1].split(";")[0]

expect("version", version("prometheus_client"), "0.26.0")
expect("text/plain", answer("text/plain"), "text/plain")
expect("*/*", answer("*/*"), "text/plain")
expect("openmetrics refused", answer("application/openmetrics-text;q=0, text/plain"), "application/openmetrics-text")
both = "text/plain;q=1, application/openmetrics-text;version=1.0.0;q=0.1"
expect("text preferred", answer(both), "application/openmetrics-text")
END
