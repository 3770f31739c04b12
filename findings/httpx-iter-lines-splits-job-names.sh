#!/usr/bin/env bash
# httpx's iter_lines splits a JSON line inside a job name.
#
# Expected: Lines of application/x-ndjson end at a line feed, and nowhere else.
# What happens: iter_lines ends a line at every separator of Unicode, U+2028 and U+0085 among them. JSON need
#   not escape these, so a name that holds one comes in two halves, and json.loads fails on both. (httpx-sse,
#   which reads server-sent events through httpx, does it right.)
# Why it matters here: A job name may hold either character. A client of the API's NDJSON stops at the first
#   such name, whoever's job it is. Split the bytes at b'\n', or take server-sent events.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'httpx==0.28.1' 'httpx-sse==0.4.3'

cd "$folder"
venv/bin/python - <<'END'
import json

import httpx
from httpx_sse import connect_sse

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

JOBS = [{"job_id": "31", "name": "train"}, {"job_id": "32", "name": "a\u2028b"}, {"job_id": "33", "name": "c\x85d"}]
LINES = [json.dumps(job, ensure_ascii=False) for job in JOBS]

def client(kind, text):
    answer = httpx.Response(200, headers={"content-type": kind}, content=text.encode())
    return httpx.Client(transport=httpx.MockTransport(lambda request: answer))

expect("version", httpx.__version__, "0.28.1")
with client("application/x-ndjson", "".join(line + "\n" for line in LINES)).stream("GET", "http://localhost/") as answer:
    expect("lines of three jobs by iter_lines", len(list(answer.iter_lines())), 5)
with client("application/x-ndjson", "".join(line + "\n" for line in LINES)).stream("GET", "http://localhost/") as answer:
    expect("split at line feeds", [json.loads(line) for line in answer.read().splitlines()], JOBS)
with connect_sse(client("text/event-stream", "".join(f"data: {line}\n\n" for line in LINES)), "GET", "http://localhost/") as events:
    expect("server-sent events", [json.loads(event.data) for event in events.iter_sse()], JOBS)
END
