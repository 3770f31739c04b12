"""librdkafka's mock cluster of Kafka as a process of its own, which can be paused and killed.

python -m tests.brokers.mock_kafka [MILLISECONDS]

Its brokers answer after so many milliseconds, as those that replicate do.
A line `bootstrap HOST:PORT` on stdout says where it listens, until its stdin ends.
"""

import sys

from confluent_kafka import Producer


def main() -> None:
    """Serve until stdin ends."""
    # The cluster lives as long as this client.
    settings = {"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0}
    if len(sys.argv) > 1:
        settings["test.mock.broker.rtt"] = int(sys.argv[1])
    client = Producer(settings)
    (broker,) = client.list_topics(timeout=20).brokers.values()
    sys.stdout.write(f"bootstrap {broker.host}:{broker.port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
