"""The nats sink on a stream in memory; on a real server it is tested in tests/brokers."""

import importlib.util
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from slurmwatchd.errors import SinkError, SinkFullError
from slurmwatchd.sinks.base import Sink
from slurmwatchd.sinks.conformance import CHECKS, Check, SinkUnderTest, make_event, make_events
from slurmwatchd.sinks.extras import require
from slurmwatchd.sinks.nats.options import NatsOptions
from slurmwatchd.sinks.nats.sink import NatsSink
from slurmwatchd.sinks.nats.subjects import Subjects
from slurmwatchd.telemetry.metrics import Metrics
from tests.unit.fake_stream import Server
from tests.unit.subjects import delivery_to

WINDOW = 5


def options(**given: Any) -> NatsOptions:  # noqa: ANN401 - any option
    """Options as they are once the library was found."""
    return NatsOptions.model_construct(type="nats", **given)


class Nats(SinkUnderTest):
    """A stream in memory."""

    def __init__(self, **server: Any) -> None:  # noqa: ANN401 - any attribute
        self.server = Server(**server)

    def make(self, metrics: Metrics) -> Sink:
        return NatsSink("stream", options(window=WINDOW), metrics, connect=self.server.connect)

    async def delivered(self, sink: Sink) -> list[int]:
        return [int(str(body["job_id_raw"])) for body in self.server.bodies()]

    def broken(self) -> AbstractContextManager[None]:
        return self._full()

    @contextmanager
    def _full(self) -> Iterator[None]:
        self.server.takes = 2
        yield
        self.server.takes = None


# A duplicate window that is over, and a server that has one: neither loses or repeats anything.
@pytest.mark.parametrize("knows_ids", [False, True], ids=["ids forgotten", "ids known"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_nats_conforms(check: Check, knows_ids: bool) -> None:
    await check(Nats(knows_ids=knows_ids))


async def test_what_was_acknowledged_before_the_first_that_was_not_does_not_come_again() -> None:
    subject = Nats(knows_ids=False, answers=7)
    delivery = await delivery_to(subject)
    with pytest.raises(SinkError, match="no acknowledgement") as caught:
        await delivery.write(make_events(1, 20))
    assert caught.value.written == 7
    # It gave up when the eighth was not acknowledged, with others on their way that were stored as well.
    assert 8 <= len(subject.server.messages) <= 7 + WINDOW
    subject.server.answers = None
    await delivery.deliver(make_events(8, 20))
    await delivery.expect(1, 20)


async def test_no_more_than_a_window_is_on_its_way() -> None:
    subject = Nats()
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 50))
    assert subject.server.most == WINDOW


async def test_a_full_stream_is_said_and_the_connection_given_up() -> None:
    subject = Nats(takes=3)
    delivery = await delivery_to(subject)
    with pytest.raises(SinkFullError, match="maximum messages exceeded") as caught:
        await delivery.write(make_events(1, 20))
    assert caught.value.written == 3
    assert subject.server.open_count == 0


async def test_a_stream_that_was_made_anew_is_sent_everything_that_comes() -> None:
    subject = Nats()
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 9))
    subject.server.messages.clear()
    subject.server.created = "tomorrow"
    await delivery.crash()
    await delivery.deliver(make_events(10, 12))
    # From then on it is looked at as any other.
    subject.server.knows_ids = False
    await delivery.write(make_events(13, 14))
    await delivery.crash()
    await delivery.deliver(make_events(13, 15))
    await delivery.expect(10, 15)


async def test_a_server_that_is_away_is_an_error_and_nothing_is_written() -> None:
    subject = Nats(is_down=True)
    delivery = await delivery_to(subject)
    with pytest.raises(SinkError, match="nobody there") as caught:
        await delivery.write(make_events(1, 2))
    assert caught.value.written == 0
    subject.server.is_down = False
    await delivery.deliver(make_events(1, 2))
    await delivery.expect(1, 2)


async def test_an_event_is_cut_to_what_the_server_takes_with_its_headers() -> None:
    subject = Nats(max_bytes=4200)
    delivery = await delivery_to(subject)
    await delivery.deliver([make_event(1, text="x" * 9000)])
    ((_, identity, body),) = subject.server.messages
    assert len(identity) == 36
    # "NATS/1.0\r\n", "Nats-Msg-Id: ", the id, "\r\n\r\n".
    assert 4000 < len(body) <= 4200 - 10 - 13 - 36 - 4
    assert not body.endswith(b"\n")


async def test_an_event_that_is_too_large_is_said_before_the_server_cuts_the_connection() -> None:
    subject = Nats(max_bytes=700)
    delivery = await delivery_to(subject)
    with pytest.raises(SinkError, match="more than the 700 that the server takes") as caught:
        await delivery.write([make_event(1), make_event(2, text="x" * 900)])
    assert len(subject.server.messages) == 1
    assert caught.value.written == 0
    with pytest.raises(SinkError) as caught:
        await delivery.write([make_event(1), make_event(2, text="x" * 900)])
    assert caught.value.written == 1


@pytest.mark.parametrize(
    ("fields", "subject"),
    [
        ({"cluster": "tux", "event": "job_ended", "partition": "gpu"}, "slurm.tux.job_ended.gpu"),
        ({"cluster": "a.b", "event": "job_ended", "partition": "x,y"}, "slurm.a%2Eb.job_ended.x%2Cy"),
        ({"cluster": "*", "event": ">", "partition": "a b\r\nPUB"}, "slurm.%2A.%3E.a%20b%0D%0APUB"),
        ({"cluster": "tux", "event": "job_ended"}, "slurm.tux.job_ended._"),
        ({"cluster": "ü", "event": "", "partition": "%"}, "slurm.%C3%BC._.%25"),
    ],
)
def test_nothing_in_a_name_breaks_out_of_its_token(fields: dict[str, str], subject: str) -> None:
    assert Subjects("slurm.{cluster}.{event}.{partition}").of(fields) == subject


def test_a_long_token_is_cut_between_characters() -> None:
    assert Subjects("{user}").of({"user": "é" * 300}) == "%C3%A9" * 33
    assert Subjects("{user}").of({"user": "x" * 300}) == "x" * 200


def test_the_stream_takes_every_subject_of_a_template() -> None:
    assert Subjects("slurm.{cluster}.x-{event}.end").filter == "slurm.*.*.end"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("slurm.{name}", r"\{name\}: a subject can have cluster, event"),
        ("slurm..{event}", "'' in "),
        ("slurm.*", r"'\*' in "),
        ("slurm.{event", r"'\{event' in "),
        ("a b", "'a b' in "),
    ],
)
def test_a_template_that_is_no_subject_is_refused(template: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Subjects(template)


def test_a_missing_library_is_told_with_its_extra() -> None:
    with pytest.raises(
        ValueError, match=r"'nats' needs nats-py, which is not installed: install slurmwatchd\[nats\]"
    ):
        require("nats", "nats-py", "nats", find=lambda _: None)


@pytest.mark.skipif(importlib.util.find_spec("nats") is None, reason="nats-py is not installed")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"servers": ["http://x"]}, "write nats://HOST:PORT"),
        ({"servers": []}, "at least 1 item"),
        ({"stream": "a.b"}, "match pattern"),
        ({"subject": "slurm.{name}"}, "a subject can have"),
        ({"credentials_file": "a", "nkey_file": "b"}, "cannot both be given"),
        ({"tls_key_file": "a"}, "go together"),
    ],
)
def test_options_that_cannot_work_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NatsOptions.model_validate({"type": "nats", **given})
