"""Events to a URL: `sink.py` says what becomes of an answer; only `client.py` imports httpx."""

from slurmwatchd.sinks.base import SinkKind
from slurmwatchd.sinks.webhook.answers import answers
from slurmwatchd.sinks.webhook.options import HttpOptions
from slurmwatchd.sinks.webhook.sink import HttpSink

KIND = SinkKind(options=HttpOptions, make=HttpSink, replays=True, answers=answers)
