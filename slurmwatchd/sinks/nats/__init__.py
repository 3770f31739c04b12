"""Events to NATS JetStream, each stored once: `sink.py` says how; only `jetstream.py` imports nats-py."""

from slurmwatchd.sinks.base import SinkKind
from slurmwatchd.sinks.nats.answers import answers
from slurmwatchd.sinks.nats.options import NatsOptions
from slurmwatchd.sinks.nats.readback import read_back
from slurmwatchd.sinks.nats.sink import NatsSink

KIND = SinkKind(options=NatsOptions, make=NatsSink, read_back=read_back, replays=True, answers=answers)
