#!/usr/bin/env bash
# confluent-kafka's AIOProducer takes no headers, and says so only when the first message comes.
#
# Expected: The asyncio producer takes what Producer.produce takes, headers among it.
# What happens: produce(headers=...) raises NotImplementedError, 'Headers are not supported in AIOProducer
#   batch mode', at run time; the signature takes them.
# Why it matters here: CloudEvents in Kafka's binary mode live in headers (ce_id). An asyncio program that
#   forwards our events cannot keep them with it; use the plain Producer in a thread.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'confluent-kafka==2.16.1'

cd "$folder"
venv/bin/python - <<'END'
import asyncio

import confluent_kafka
from confluent_kafka.aio import AIOProducer

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

async def send(**options):
    producer = AIOProducer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 2})
    try:
        await producer.produce("jobs", value=b"{}", **options)
        return "taken"
    except NotImplementedError as error:
        return str(error).split(".")[0]
    finally:
        await producer.close()

expect("version", confluent_kafka.__version__, "2.16.1")
expect("without headers", asyncio.run(send()), "taken")
expect("with ce_id", asyncio.run(send(headers={"ce_id": "event-1"})), "Headers are not supported in AIOProducer batch mode")
END
