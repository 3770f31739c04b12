#!/usr/bin/env bash
# librdkafka's mock cluster takes transactions, and read_committed reads what was aborted.
#
# Expected: A test broker without transactions refuses them: init_transactions fails.
# What happens: init, begin, commit and abort all succeed. A read_committed consumer gets aborted and open
#   messages like others, and a second producer of the same transactional.id does not fence the first.
# Why it matters here: A sink tested against it looks as if it delivered exactly once. It can test delivery
#   and order, and no such claim.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'confluent-kafka==2.16.1'

cd "$folder"
venv/bin/python - <<'END'
import time

import confluent_kafka
from confluent_kafka import Consumer, Producer, TopicPartition

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

QUIET = {"log_level": 2}
first = Producer(QUIET | {"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "transactional.id": "slurmwatchd"})
broker = first.list_topics(timeout=10).brokers[1]
CLUSTER = QUIET | {"bootstrap.servers": f"{broker.host}:{broker.port}"}

def transaction(producer, body, end):
    producer.begin_transaction()
    producer.produce("jobs", body, partition=0)
    producer.flush(10)
    if end is not None:
        end(10)

expect("version", confluent_kafka.__version__, "2.16.1")
first.init_transactions(10)
transaction(first, b"aborted", first.abort_transaction)
transaction(first, b"committed", first.commit_transaction)
transaction(first, b"open", None)
consumer = Consumer(CLUSTER | {"group.id": "report", "isolation.level": "read_committed"})
consumer.assign([TopicPartition("jobs", 0, 0)])
seen, end = [], time.monotonic() + 20
while len(seen) < 3 and time.monotonic() < end:
    message = consumer.poll(1)
    if message is not None and message.error() is None:
        seen.append(message.value())
consumer.close()
expect("read by read_committed", seen, [b"aborted", b"committed", b"open"])
second = Producer(CLUSTER | {"transactional.id": "slurmwatchd"})
second.init_transactions(10)
first.commit_transaction(10)
print("the first producer commits after the second began: not fenced")
END
