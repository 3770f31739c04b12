#!/usr/bin/env bash
# librdkafka refuses a body that is smaller than message.max.bytes, by its overhead and before compression.
#
# Expected: message.max.bytes 2,000 takes a body of 1,990 bytes; with compression it takes more, since the
#   broker's limit is on what it stores.
# What happens: Around 1,970 bytes without headers are the most, and each header takes its own; 5,000 bytes
#   that compress to a few are refused as well. The error is raised at produce(), MSG_SIZE_TOO_LARGE.
# Why it matters here: max_line_bytes of a line is not message.max.bytes: leave at least 500 bytes for
#   CloudEvents headers and overhead, or the longest lines never go out.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'confluent-kafka==2.16.1'

cd "$folder"
venv/bin/python - <<'END'
import confluent_kafka
from confluent_kafka import KafkaException, Producer

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def fits(size, compression="none", **headers):
    options = {"bootstrap.servers": "127.0.0.1:1", "message.max.bytes": 2000, "compression.type": compression, "log_level": 0}
    producer = Producer(options)
    try:
        producer.produce("jobs", b"x" * size, headers=headers)
    except KafkaException as error:
        return error.args[0].name()
    finally:
        producer.purge()
    return "taken"

LARGE = "MSG_SIZE_TOO_LARGE"
expect("version", confluent_kafka.__version__, "2.16.1")
expect("1,900 bytes", fits(1900), "taken")
expect("1,990 bytes", fits(1990), LARGE)
expect("1,900 bytes and ce_id", fits(1900, ce_id="5c1c7a4e-0000-5000-8000-000000000001"), "taken")
expect("1,930 bytes", fits(1930), "taken")
expect("1,930 bytes and ce_id", fits(1930, ce_id="5c1c7a4e-0000-5000-8000-000000000001"), LARGE)
expect("5,000 bytes that compress well", fits(5000, compression="zstd"), LARGE)
END
