"""The http sink: what it posts, and what becomes of each answer."""

import base64
import hashlib
import hmac
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from slurmwatchd.errors import SinkError
from slurmwatchd.model.records import Event, EventKind
from slurmwatchd.sinks.conformance import CHECKS, Check, make_event, make_events
from slurmwatchd.sinks.webhook.answer import HttpAnswer
from slurmwatchd.sinks.webhook.options import HttpOptions
from tests.unit.http_subject import NOW, Http, Receiver, poison
from tests.unit.subjects import delivery_to


@pytest.mark.parametrize("options", [{}, {"batch": "array", "max_events": 2}], ids=["ndjson", "array"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_http_conforms(check: Check, options: dict[str, Any]) -> None:
    await check(Http(**options))


async def posted(subject: Http, events: Sequence[Event]) -> tuple[Mapping[str, str], bytes]:
    delivery = await delivery_to(subject)
    await delivery.deliver(events)
    await delivery.sink.close()
    return subject.receiver.posted[-1]


async def test_events_stand_one_a_line() -> None:
    headers, body = await posted(Http(), make_events(1, 3))
    assert headers["Content-Type"] == "application/x-ndjson"
    assert [orjson.loads(line)["job_id_raw"] for line in body.splitlines()] == [1, 2, 3]
    assert body.endswith(b"}\n")


@pytest.mark.parametrize(
    ("format_", "content"), [("flat", "application/json"), ("cloudevents", "application/cloudevents-batch+json")]
)
async def test_events_stand_in_an_array(format_: str, content: str) -> None:
    headers, body = await posted(Http(batch="array", format=format_), make_events(1, 3))
    assert headers["Content-Type"] == content
    events = orjson.loads(body)
    assert [event["id"][:8] for event in events] == [event.id[:8] for event in make_events(1, 3)]
    assert all(("specversion" in event) == (format_ == "cloudevents") for event in events)


async def test_a_request_is_no_longer_than_it_may_be() -> None:
    subject = Http(max_body_bytes=4096, max_line_bytes=4096, batch="array")
    await posted(subject, [make_event(number, text="x" * 1000) for number in range(1, 7)])
    sizes = [(len(orjson.loads(body)), len(body)) for _, body in subject.receiver.posted]
    assert [events for events, _ in sizes] == [2, 2, 2]
    assert max(size for _, size in sizes) <= 4096
    assert subject.receiver.took == [1, 2, 3, 4, 5, 6]


async def test_a_request_has_no_more_events_than_it_may_have() -> None:
    subject = Http(max_events=5)
    await posted(subject, make_events(1, 24))
    assert [body.count(b"\n") for _, body in subject.receiver.posted] == [5, 5, 5, 5, 4]


async def test_a_request_that_nobody_answered_comes_again_as_it_was() -> None:
    subject = Http(max_events=4)
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 2))
    subject.receiver.loses_answers = True
    with pytest.raises(SinkError, match=r"hook\.example\.org: no answer"):
        await delivery.write(make_events(3, 5))
    subject.receiver.loses_answers = False
    # There are more by now, and yet it is the same request.
    await delivery.deliver(make_events(3, 9))
    keys = [headers["Idempotency-Key"] for headers, _ in subject.receiver.posted]
    assert keys[1] == keys[2]
    assert subject.receiver.posted[1][1] == subject.receiver.posted[2][1]
    assert len(set(keys)) == 3
    assert subject.receiver.took == [1, 2, 3, 4, 5, 3, 4, 5, 6, 7, 8, 9]


async def test_the_key_of_one_event_is_its_id() -> None:
    headers, _ = await posted(Http(), [make_event(7)])
    assert headers["Idempotency-Key"] == "941577fc-f651-5a1b-9c40-33d97360bfcf"


@pytest.mark.parametrize("secret", [b"0123456789abcdef", b"whsec_" + base64.b64encode(b"0123456789abcdef")])
async def test_a_request_is_signed_over_name_time_and_body(tmp_path: Path, secret: bytes) -> None:
    (tmp_path / "key").write_bytes(secret + b"\n")
    (tmp_path / "token").write_bytes(b"t0ken\n")
    subject = Http(signing_key_file=str(tmp_path / "key"), bearer_token_file=str(tmp_path / "token"))
    headers, body = await posted(subject, [make_event(7)])
    signed = b"941577fc-f651-5a1b-9c40-33d97360bfcf.1795000500." + body
    digest = hmac.new(b"0123456789abcdef", signed, hashlib.sha256).digest()
    assert headers["webhook-id"] == "941577fc-f651-5a1b-9c40-33d97360bfcf"
    assert headers["webhook-timestamp"] == "1795000500"
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert headers["Authorization"] == "Bearer t0ken"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("Wed, 18 Nov 2026 11:17:40 GMT", 160),
        ("Wed, 18 Nov 2026 11:14:50 GMT", 0),
        ("99999999", 3600),
        ("soon", 0),
        ("", 0),
        ("-3", 0),
    ],
)
async def test_a_receiver_that_asks_to_be_left_alone_is(text: str, seconds: float) -> None:
    subject = Http()
    subject.receiver.answer = lambda _: HttpAnswer(429, {"Retry-After": text}, "slow\n down")
    delivery = await delivery_to(subject)
    with pytest.raises(SinkError, match=r"HTTP 429: slow down$") as caught:
        await delivery.write(make_events(1, 3))
    await delivery.sink.close()
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_one_event_that_is_refused_is_set_aside_and_the_others_arrive(status: int) -> None:
    subject = Http(refusals=3)
    subject.receiver.answer = poison(7, status)
    delivery = await delivery_to(subject)
    identity = make_event(7).id
    with pytest.raises(SinkError, match=f"event {identity} is refused: HTTP {status}: no such job") as caught:
        await delivery.write(make_events(1, 20))
    assert caught.value.written == 6
    requests = len(subject.receiver.posted)
    with pytest.raises(SinkError) as caught:
        await delivery.write(make_events(7, 20))
    assert caught.value.written == 0
    # By itself this time.
    assert len(subject.receiver.posted) == requests + 1
    await delivery.deliver(make_events(7, 20))
    assert subject.receiver.took == [number for number in range(1, 21) if number != 7]
    assert subject.asides() == 1
    assert orjson.loads(delivery.state["aside"]) == [
        {
            "id": identity,
            "event": "job_ended",
            "cluster": "sim",
            "job_id": "7",
            "reason": f"HTTP {status}: no such job",
        }
    ]
    await delivery.sink.close()


@pytest.mark.parametrize("status", [301, 401, 403, 404, 500, 503])
async def test_what_may_heal_sets_nothing_aside(status: int) -> None:
    subject = Http(refusals=1)
    subject.receiver.answer = lambda _: HttpAnswer(status, {}, "")
    delivery = await delivery_to(subject)
    for _ in range(5):
        with pytest.raises(SinkError, match=f"HTTP {status}$"):
            await delivery.write(make_events(1, 3))
    await delivery.sink.close()
    assert len(subject.receiver.posted) == 5
    assert subject.asides() == 0


HOSTILE = "`<!channel> @all **b** [x](http://y)&\n\x1b[31m"


@pytest.mark.parametrize("chat", ["slack", "mattermost"])
async def test_a_chat_is_told_some_and_how_many_more_in_a_block_of_code(chat: str) -> None:
    _, body = await posted(Http(chat=chat, chat_lines=2), [make_event(1, text=HOSTILE), *make_events(2, 40)])
    text = orjson.loads(body)["text"]
    assert text.startswith("```\nsim 1 COMPLETED ann p1 after 1s: '")
    assert text.endswith("\nand 38 more\n```")
    assert text.count("`") == 6
    assert len(text.splitlines()) == 5
    assert ("<!channel>" in text) == (chat == "mattermost")
    assert "\x1b" not in text


async def test_teams_is_sent_a_card_whose_texts_are_no_markdown() -> None:
    _, body = await posted(Http(chat="teams"), [make_event(1, text=HOSTILE)])
    (attachment,) = orjson.loads(body)["attachments"]
    (block,) = attachment["content"]["body"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert block["type"] == "RichTextBlock"
    assert block["inlines"][0]["type"] == "TextRun"
    assert "**b** [x](http://y)" in block["inlines"][0]["text"]


async def test_there_is_one_message_in_a_while() -> None:
    subject = Http(chat="slack", chat_every="60s")
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 3))
    assert subject.now == NOW
    subject.now += 20
    await delivery.deliver([make_event(4, kind=EventKind.JOB_USAGE)])
    assert subject.now == NOW + 60
    assert "(usage 1)" in orjson.loads(subject.receiver.posted[1][1])["text"]
    await delivery.sink.close()


async def test_a_message_that_a_chat_refuses_is_given_up_as_well() -> None:
    subject = Http(chat="slack", refusals=2, chat_every="0s")
    subject.receiver.answer = lambda _: HttpAnswer(400, {}, "invalid_payload")
    delivery = await delivery_to(subject)
    with pytest.raises(SinkError, match="a message is refused: HTTP 400: invalid_payload"):
        await delivery.write(make_events(1, 3))
    await delivery.deliver(make_events(1, 3))
    assert subject.asides() == 3
    await delivery.sink.close()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"url": "ftp://x"}, "write https://HOST/PATH"),
        ({"url": "https:///x"}, "write https://HOST/PATH"),
        ({"tls_key_file": "a"}, "go together"),
        ({"max_body_bytes": 5000}, "max_line_bytes must not be more than max_body_bytes"),
        ({"chat": "irc"}, "'slack', 'mattermost' or 'teams'"),
    ],
)
def test_options_that_cannot_work_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        HttpOptions.model_validate({"type": "http", "url": "https://hook.example.org/", **given})


async def test_requests_that_were_answered_do_not_come_again() -> None:
    subject = Http(max_events=2)
    subject.receiver.answer = lambda events: HttpAnswer(503, {}, "") if events[0]["job_id_raw"] > 4 else None
    delivery = await delivery_to(subject)
    with pytest.raises(SinkError, match="HTTP 503") as caught:
        await delivery.write(make_events(1, 9))
    await delivery.sink.close()
    assert caught.value.written == 4


@pytest.mark.parametrize(
    ("given", "events"),
    [({}, 2000), ({"max_events": 1}, 8), ({"max_events": 100, "timeout": "120s"}, 200), ({"timeout": "1s"}, 2000)],
)
def test_a_write_gets_no_more_than_there_is_time_for(given: dict[str, Any], events: int) -> None:
    options = HttpOptions.model_validate({"type": "http", "url": "https://hook.example.org/", **given})
    assert options.batch_events() == events


async def test_a_connection_that_failed_is_made_again_with_the_certificates_of_that_time() -> None:
    subject = Http()
    connected: list[int] = []
    connect = subject.receiver.connect

    def noting(options: HttpOptions) -> Receiver:
        connected.append(threading.get_ident())
        return connect(options)

    subject.receiver.connect = noting  # type: ignore[method-assign]
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 2))
    await delivery.deliver(make_events(3, 4))
    assert len(connected) == 1
    subject.receiver.loses_answers = True
    with pytest.raises(SinkError, match="no answer"):
        await delivery.write(make_events(5, 6))
    assert subject.receiver.open_count == 0
    subject.receiver.loses_answers = False
    await delivery.deliver(make_events(5, 6))
    assert len(connected) == 2
    # Reading all authorities of a system takes a tenth of a second.
    assert threading.get_ident() not in connected, "no other sink waits for it"
    await delivery.sink.close()
