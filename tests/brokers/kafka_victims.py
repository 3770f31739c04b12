"""Brokers of Kafka's protocol that the torture harms: librdkafka's mock cluster, and Tansu."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from tests.brokers.tansu import Tansu
from tests.brokers.victims import Record, Victim, certify
from tests.patience import Patience

TOPIC = "slurm-jobs"


class KafkaVictim(Victim):
    """A mock cluster: its data lives in its process, and so does its port.

    It keeps the last five megabytes of a partition, so the consumer reads all the time.
    """

    name = "bus"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._start()

    def _start(self) -> None:
        command = [sys.executable, "-m", "tests.brokers.mock_kafka"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.bootstrap = self._process.stdout.readline().decode().split()[1]
        self._found: list[Record] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._consume, daemon=True)
        self._thread.start()

    def section(self) -> str:
        return f'[sinks.bus]\ntype = "kafka"\nbootstrap = "{self.bootstrap}"\ntimeout = "4s"\n'

    @property
    def port(self) -> int:
        return int(self.bootstrap.rpartition(":")[2])

    def harms(self) -> Mapping[str, Callable[[], None]]:
        return {"paused": lambda: os.kill(self._process.pid, signal.SIGSTOP)}

    def heal(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def _consume(self) -> None:
        from confluent_kafka import TopicPartition  # noqa: PLC0415 - may not be there

        consumer = self._consumer()
        assigned: set[int] = set()
        while not self._ended.is_set():
            if not assigned and (assigned := self._partitions(consumer)):
                consumer.assign([TopicPartition(TOPIC, number, 0) for number in assigned])
            for message in consumer.consume(500, timeout=0.2):
                if message.error() is None:
                    self._found.append(orjson.loads(message.value()))
        consumer.close()

    def _consumer(self) -> Any:  # noqa: ANN401 - the library's
        from confluent_kafka import Consumer  # noqa: PLC0415 - may not be there

        return Consumer(
            {
                "bootstrap.servers": self.bootstrap, "group.id": "torture", "auto.offset.reset": "error",
                "log_level": 0,
            }
        )  # fmt: skip

    def _partitions(self, consumer: Any) -> set[int]:  # noqa: ANN401 - the library's
        from confluent_kafka import KafkaException  # noqa: PLC0415 - may not be there

        try:
            topics = consumer.list_topics(timeout=2).topics
        except KafkaException:
            # It is paused.
            return set()
        return set(topics[TOPIC].partitions) if TOPIC in topics else set()

    def read(self) -> list[Record]:
        # The mock counts more than messages in its ends: what comes no more for a while is all.
        patience = Patience(lambda: len(self._found), seconds=5)
        while not patience.is_over():
            time.sleep(0.1)
        return list(self._found)

    def wipe(self) -> None:
        self.close()
        self._start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._process.kill()
        self._process.wait()


class TansuVictim(Victim):
    """Tansu with TLS; its data is in a store of objects that outlives it."""

    name = "topic"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._certificate, key = certify(folder)
        self._broker = Tansu(folder, self._certificate, key)
        self._broker.start()

    def section(self) -> str:
        return (
            f'[sinks.topic]\ntype = "kafka"\nbootstrap = "{self._broker.address}"\ntimeout = "4s"\n'
            f'security = "ssl"\ntls_ca_file = "{self._certificate}"\n'
        )

    @property
    def port(self) -> int:
        return int(self._broker.address.rpartition(":")[2])

    def harms(self) -> Mapping[str, Callable[[], None]]:
        return {
            "killed": self._broker.kill,
            "paused": self._broker.pause,
            "full": (self.folder / "full").touch,
            "renewed": self._renew,
        }

    def _renew(self) -> None:
        certify(self.folder)
        self._broker.renew()

    def heal(self) -> None:
        (self.folder / "full").unlink(missing_ok=True)
        self._broker.go_on()

    def read(self) -> list[Record]:
        from confluent_kafka import Consumer, KafkaException, TopicPartition  # noqa: PLC0415 - may not be there

        patience = Patience()
        while True:
            consumer = Consumer(
                {
                    "bootstrap.servers": self._broker.address, "group.id": "torture", "log_level": 0,
                    "security.protocol": "ssl", "ssl.ca.location": str(self._certificate),
                    "isolation.level": "read_committed", "auto.offset.reset": "error",
                }
            )  # fmt: skip
            try:
                return self._read(consumer, TopicPartition)
            except KafkaException:
                # One that was just started has its port before its topics.
                assert not patience.is_over(), f"{self.name} does not answer"
                time.sleep(0.5)
            finally:
                consumer.close()

    def _read(self, consumer: Any, place: Any) -> list[Record]:  # noqa: ANN401 - the library's
        topics = consumer.list_topics(timeout=5).topics
        if TOPIC not in topics:
            return []
        low_high = {
            number: consumer.get_watermark_offsets(place(TOPIC, number), timeout=5)
            for number in topics[TOPIC].partitions
        }
        left = {number: high for number, (low, high) in low_high.items() if low < high}
        consumer.assign([place(TOPIC, number, 0) for number in left])
        found: list[Record] = []
        # An end behind the last message is a transaction's: what comes no more for a while is all.
        patience = Patience(lambda: len(found), seconds=10)
        while left and not patience.is_over():
            for message in consumer.consume(500, timeout=0.2):
                if message.error() is None:
                    found.append(orjson.loads(message.value()))
                    if message.offset() + 1 >= left.get(message.partition(), 0):
                        left.pop(message.partition(), None)
        return found

    def wipe(self) -> None:
        self._broker.forget()

    def close(self) -> None:
        self._broker.close()
