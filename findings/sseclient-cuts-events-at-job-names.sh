#!/usr/bin/env bash
# sseclient cuts an event of a stream at an "Å" or a U+2028 in a job name.
#
# Expected: A line of server-sent events ends with \n or \r and is UTF-8, as the standard says, whatever the text holds.
# What happens: sseclient (PyPI) splits an event's text with splitlines(), which knows U+2028 and U+0085 as line ends as
#   well. Where the server names no charset, it reads Latin-1, so that the second byte of "Å" is U+0085. What stands
#   behind that in the JSON is taken for a field that nobody knows: data is half an object, and the event looks
#   complete. sseclient-py, which is imported under the same name, requests-sse and httpx-sse keep the event whole.
# Why it matters here: sbatch --job-name takes any text. /api/v1/events names its charset, which leaves the cut at
#   U+2028. Read it with one of the others. pip installs sseclient and sseclient-py beside each other without a word.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" 'requests==2.34.2' 'six==1.17.0' 'httpx==0.28.1' 'httpx-sse==0.4.3' 'requests-sse==0.5.3'
"${pip[@]}" --no-deps --target "$folder/sseclient" 'sseclient==0.0.27'
"${pip[@]}" --no-deps --target "$folder/sseclient-py" 'sseclient-py==1.9.0'

cd "$folder"
cat >serve.py <<'END'
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

NAMES = ("train", "\u00c5ngstr\u00f6m", "train\u2028two")

class Stream(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" + ("; charset=utf-8" if self.path == "/utf-8" else ""))
        self.end_headers()
        for seq, name in enumerate(NAMES, 1):
            body = json.dumps({"job_id": str(4710 + seq), "name": name, "state": "FAILED"}, ensure_ascii=False)
            self.wfile.write(f"id: {seq}\nevent: job_ended\ndata: {body}\n\n".encode())

    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Stream)
print(server.server_port, flush=True)
server.serve_forever()
END
cat >read.py <<'END'
import json
import sys

def events(library, url):
    if library == "httpx-sse":
        import httpx
        from httpx_sse import connect_sse

        with httpx.Client() as client, connect_sse(client, "GET", url) as source:
            yield from source.iter_sse()
    elif library == "requests-sse":
        from requests_sse import EventSource

        with EventSource(url) as source:
            yield from source
    elif library == "sseclient-py":
        import requests
        from sseclient import SSEClient

        yield from SSEClient(requests.get(url, stream=True)).events()
    else:
        from sseclient import SSEClient

        yield from SSEClient(url)

library, url = sys.argv[1:]
seen = []
for event in events(library, url):
    try:
        seen.append(json.loads(event.data)["state"])
    except ValueError:
        seen.append(event.data)
    if len(seen) == 3:
        break
print(json.dumps(seen))
END
coproc venv/bin/python serve.py
server=$COPROC_PID
trap 'kill "$server"; rm -rf "$folder"' EXIT
read -r port <&"${COPROC[0]}"

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}
read_with() { PYTHONPATH=$folder/$1 venv/bin/python read.py "$1" "http://127.0.0.1:$port/$2"; }
of() { PYTHONPATH=$folder/$1 venv/bin/python -c "from importlib.metadata import version; print(version('$1'))"; }

for known in sseclient=0.0.27 sseclient-py=1.9.0 requests-sse=0.5.3 httpx-sse=0.4.3; do
    expect "version of ${known%=*}" "$(of "${known%=*}")" "${known#*=}"
done
echo "state of the jobs train, Ångström, train U+2028 two; or the data where it is no JSON"
expect "sseclient, no charset" "$(read_with sseclient plain)" '["FAILED", "{\"job_id\": \"4712\", \"name\": \"\u00c3", "FAILED"]'
expect "sseclient, charset=utf-8" "$(read_with sseclient utf-8)" '["FAILED", "FAILED", "{\"job_id\": \"4713\", \"name\": \"train"]'
for library in sseclient-py requests-sse httpx-sse; do
    expect "$library, no charset" "$(read_with "$library" plain)" '["FAILED", "FAILED", "FAILED"]'
done
