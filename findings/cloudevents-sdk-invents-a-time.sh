#!/usr/bin/env bash
# The CloudEvents SDK gives an event without a time the time at which it was read.
#
# Expected: `time` is optional, as CloudEvents has it; an event without one has none.
# What happens: The SDK puts the present into it, so that each reading of one message gives another time, and
#   nothing marks it. A message without an id gets a new id in the same way. What is sent on (to_binary) has the
#   made-up time as ce_time, and the message's key as a new header, ce_partitionkey.
# Why it matters here: An attempt whose end Slurm never recorded has no time. Who measures delays by event.time, or
#   files events by its day, gets the day of a replay for those. Take time and end from the data.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'cloudevents==2.2.0'

cd "$folder"
venv/bin/python - <<'END'
import time
from datetime import UTC, datetime
from importlib.metadata import version

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary
from cloudevents.core.formats.json import JSONFormat

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

HEADERS = {
    "ce_id": b"6ab448b7-93f1-5b8a-8fef-71ddef87c52d",
    "ce_source": b"/slurm/alpha",
    "ce_type": b"org.slurmwatchd.job.ended.v1",
    "ce_specversion": b"1.0",
    "content-type": b"application/json",
}

def read(**headers):
    return from_binary(KafkaMessage(headers=HEADERS | headers, key=b"alpha/12", value=b'{"job_id":"12"}'), JSONFormat())

expect("version", version("cloudevents"), "2.2.0")
expect("a time in the message", str(read(ce_time=b"2026-11-23T02:12:20Z").get_time()), "2026-11-23 02:12:20+00:00")
before = datetime.now(UTC)
event = read()
expect("none: between the start of the reading and its end", before <= event.get_time() <= datetime.now(UTC), True)
time.sleep(0.01)
expect("none: the same in two readings", read().get_time() == event.get_time(), False)
sent = to_binary(event, JSONFormat())
expect("none: sent on with", sorted(set(sent.headers) - set(HEADERS)), ["ce_partitionkey", "ce_time"])
del HEADERS["ce_id"]
expect("no id: the same in two readings", read().get_id() == read().get_id(), False)
END
