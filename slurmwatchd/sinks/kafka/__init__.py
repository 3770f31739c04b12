"""Events to a Kafka topic: `sink.py` says how none is lost; only `cluster.py` imports confluent-kafka."""

from slurmwatchd.sinks.base import SinkKind
from slurmwatchd.sinks.kafka.answers import answers
from slurmwatchd.sinks.kafka.options import KafkaOptions
from slurmwatchd.sinks.kafka.readback import read_back
from slurmwatchd.sinks.kafka.sink import KafkaSink

KIND = SinkKind(options=KafkaOptions, make=KafkaSink, read_back=read_back, replays=True, answers=answers)
