"""The http sink forms the next request while one is on its way; what it sends does not depend on that."""

from collections.abc import Mapping, Sequence

import anyio
import pytest

from slurmwatchd.errors import SinkError
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.conformance import make_events
from slurmwatchd.sinks.forms.form import WrittenEvent
from slurmwatchd.sinks.webhook.answer import HttpAnswer
from slurmwatchd.sinks.webhook.sink import HttpSink
from slurmwatchd.telemetry.metrics import Metrics
from tests.patience import Patience
from tests.unit.subjects import delivery_to
from tests.unit.test_http_sink import Http


@pytest.mark.parametrize("max_events", [500, 3])
async def test_the_next_request_is_formed_while_one_is_on_its_way(
    max_events: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Http(max_events=max_events)
    hook = HttpSink("hook", subject.options, Metrics(), client=subject.receiver.connect)
    await hook.open({})
    made: list[int] = []
    form = hook._form.written

    def noting(events: Sequence[Event]) -> list[WrittenEvent]:
        made.append(len(events))
        return form(events)

    monkeypatch.setattr(hook._form, "written", noting)
    post = subject.receiver.post
    sent = 0

    async def waiting(body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        nonlocal sent
        sent += body.count(b"\n")
        # No answer before there is another request.
        patience = Patience(lambda: sum(made))
        while sum(made) < min(1100, sent + 1):
            assert not patience.is_over()
            await anyio.sleep(0.001)
        if sent == max_events:
            assert sum(made) < 1100, "the first one did not wait for all the others"
        return await post(body, headers)

    monkeypatch.setattr(subject.receiver, "post", waiting)
    await hook.write(make_events(1, 1100))
    assert made == [500, 500, 100], "few events at a time would cost more than they save"
    assert subject.receiver.took == list(range(1, 1101))
    await hook.close()


async def test_a_failure_leaves_what_is_formed_and_begins_behind_what_was_answered() -> None:
    subject = Http(max_events=300)
    subject.receiver.answer = lambda events: HttpAnswer(503, {}, "") if events[0]["job_id_raw"] > 600 else None
    delivery = await delivery_to(subject)
    with pytest.raises(SinkError, match="HTTP 503") as caught:
        await delivery.write(make_events(1, 1500))
    assert caught.value.written == 600
    subject.receiver.answer = lambda _: None
    await delivery.deliver(make_events(601, 1800))
    requests = [(headers["Idempotency-Key"], body.count(b"\n")) for headers, body in subject.receiver.posted]
    assert [events for _, events in requests] == [300] * 7
    assert requests[2] == requests[3], "the one without an answer came again"
    assert subject.receiver.took == list(range(1, 1801))
    await delivery.sink.close()
