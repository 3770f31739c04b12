"""The nats sink on a real server: what it stores, what it says, and that nothing is lost or doubled."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import orjson
import pytest

from slurmwatchd.errors import SinkError, SinkFullError
from slurmwatchd.sinks.base import Sink
from slurmwatchd.sinks.conformance import CHECKS, Check, Deliverer, SinkUnderTest, make_event, make_events
from slurmwatchd.sinks.nats import KIND
from slurmwatchd.sinks.nats.options import NatsOptions
from slurmwatchd.sinks.nats.sink import NatsSink
from slurmwatchd.telemetry.metrics import Metrics
from tests.brokers.conftest import need_nats
from tests.brokers.nats_server import NatsServer, free_port
from tests.brokers.victims import certify
from tests.integration.rig import Rig
from tests.patience import HANGS_SECONDS
from tests.unit.subjects import delivery_to

# A sink that hangs is a fault, not a slow test.
pytestmark = pytest.mark.timeout(180)


def options(server: NatsServer, **given: Any) -> NatsOptions:  # noqa: ANN401 - any option
    return NatsOptions.model_validate({"type": "nats", "servers": [server.url], "timeout": "2s", **given})


def sink(server: NatsServer, **given: Any) -> NatsSink:  # noqa: ANN401 - any option
    return NatsSink("stream", options(server, **given), Metrics())


@asynccontextmanager
async def connected(server: NatsServer, **given: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - any option
    """A consumer of its own making: it owes nothing to the sink's code."""
    import nats  # noqa: PLC0415 - may not be there

    client = await nats.connect(server.url, **given)
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def stored(server: NatsServer) -> list[tuple[str, dict[str, Any]]]:
    """Subject and body of each message, by asking for one after the other."""
    async with connected(server) as js:
        state = (await js.stream_info("SLURM")).state
        found = []
        for seq in range(state.first_seq, state.last_seq + 1):
            message = await js.get_msg("SLURM", seq)
            found.append((message.subject, orjson.loads(message.data)))
        return found


class Nats(SinkUnderTest):
    """A stream on a server of its own."""

    def __init__(self, server: NatsServer) -> None:
        self.server = server

    def make(self, metrics: Metrics) -> Sink:
        return NatsSink("stream", options(self.server), metrics)

    async def delivered(self, sink: Sink) -> list[int]:
        return [body["job_id_raw"] for _, body in await stored(self.server)]

    def broken(self) -> AbstractContextManager[None]:
        return self._killed()

    @contextmanager
    def _killed(self) -> Iterator[None]:
        self.server.kill()
        yield
        self.server.start()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_nats_conforms(check: Check, nats: NatsServer) -> None:
    await check(Nats(nats))


async def test_a_message_has_the_events_id_subject_and_line(nats: NatsServer) -> None:
    delivery = await delivery_to(Nats(nats))
    await delivery.deliver([make_event(7)])
    await delivery.sink.close()
    async with connected(nats) as js:
        config = (await js.stream_info("SLURM")).config
        assert (config.subjects, config.storage, config.duplicate_window) == (["slurm.*.*.*"], "file", 7200.0)
        message = await js.get_msg("SLURM", 1)
    # uuid5 of sim/7/1795000004/job_ended/1 in the namespace that docs/events.md names.
    assert message.headers["Nats-Msg-Id"] == "941577fc-f651-5a1b-9c40-33d97360bfcf"
    assert message.subject == "slurm.sim.job_ended.p7"
    assert orjson.loads(message.data)["id"] == "941577fc-f651-5a1b-9c40-33d97360bfcf"


async def test_what_was_sent_before_a_crash_is_known_when_the_server_has_forgotten_its_ids(
    nats: NatsServer,
) -> None:
    subject = Nats(nats)
    subject.make = lambda metrics: sink(nats, duplicate_window="1s")  # type: ignore[method-assign]
    delivery = await delivery_to(subject)
    await delivery.deliver(make_events(1, 5))
    await delivery.write(make_events(6, 300))
    # The server's window, and no other way to let it pass.
    await anyio.sleep(2.5)
    async with connected(nats) as js:
        twice = await js.publish("slurm.sim.job_ended.x", b'{"job_id_raw":0}', headers={"Nats-Msg-Id": "x"})
        assert twice.duplicate is None
    await delivery.crash()
    await delivery.deliver(make_events(6, 310))
    await delivery.sink.close()
    found = [body["job_id_raw"] for _, body in await stored(nats)]
    assert [number for number in found if number] == list(range(1, 311))


async def test_a_full_stream_is_said_and_goes_on_when_there_is_room(nats: NatsServer) -> None:
    async with connected(nats) as js:
        config = {"name": "SLURM", "subjects": ["slurm.>"], "discard": "new"}
        await js.add_stream(**config, max_msgs=10)
        delivery = await delivery_to(Nats(nats))
        with pytest.raises(SinkFullError, match=r"JetStream: maximum messages exceeded \(10077\)") as caught:
            await delivery.write(make_events(1, 20))
        assert caught.value.written == 10
        await js.update_stream(**config, max_msgs=100)
    await delivery.deliver(make_events(11, 20))
    await delivery.expect(1, 20)


@pytest.mark.parametrize(
    ("existing", "given", "message"),
    [
        (None, {"create": False}, "there is no stream SLURM on the server"),
        ({"subjects": ["slurm.>"], "no_ack": True}, {}, "it acknowledges nothing"),
        ({"sources": True}, {}, "it knows no id again"),
        ({"subjects": ["other"]}, {}, "no stream takes these subjects; SLURM should"),
    ],
)
async def test_a_stream_that_does_not_fit_is_refused(
    nats: NatsServer, existing: dict[str, Any] | None, given: dict[str, Any], message: str
) -> None:
    from nats.js.api import StreamSource  # noqa: PLC0415 - may not be there

    async with connected(nats) as js:
        if existing is not None:
            if existing.pop("sources", False):
                await js.add_stream(name="OTHER", subjects=["slurm.>"])
                existing["sources"] = [StreamSource(name="OTHER")]
            await js.add_stream(name="SLURM", **existing)
    refused = sink(nats, **given)
    with pytest.raises(SinkError, match=message):
        await refused.write(make_events(1, 2))
    await refused.close()


async def test_an_event_larger_than_the_servers_payload_is_cut_to_it(tmp_path: Path) -> None:
    need_nats()
    with NatsServer(tmp_path, "max_payload: 4500") as server:
        delivery = await delivery_to(Nats(server))
        await delivery.deliver([make_event(1, text="ü" * 9000), make_event(2)])
        await delivery.sink.close()
        ((_, first), (_, second)) = await stored(server)
        assert first["truncated"] == ["name"]
        assert second["job_id_raw"] == 2


@pytest.mark.parametrize("how", ["killed", "paused"])
async def test_a_server_that_is_away_is_said_in_time_and_the_rest_comes_when_it_is_back(
    nats: NatsServer, how: str
) -> None:
    delivery = await delivery_to(Nats(nats))
    await delivery.deliver(make_events(1, 5))
    (nats.kill if how == "killed" else nats.pause)()
    with anyio.fail_after(HANGS_SECONDS):
        for _ in range(2):
            with pytest.raises(SinkError):
                await delivery.write(make_events(6, 900))
    (nats.start if how == "killed" else nats.go_on)()
    await delivery.deliver(make_events(6, 900))
    await delivery.expect(1, 900)


async def test_the_same_failure_is_said_in_the_same_words_and_no_password_is_told(tmp_path: Path) -> None:
    need_nats()
    away = NatsServer(tmp_path)
    refused = NatsSink(
        "stream",
        NatsOptions.model_validate(
            {"type": "nats", "servers": [f"nats://ann:secret@127.0.0.1:{away.port}"], "timeout": "1s"}
        ),
        Metrics(),
    )
    texts = set()
    for _ in range(2):
        with pytest.raises(SinkError) as caught:
            await refused.write(make_events(1, 1))
        texts.add(str(caught.value))
    (text,) = texts
    assert text.startswith(f"127.0.0.1:{away.port}: ")
    assert "secret" not in text


async def test_a_server_that_is_away_holds_up_neither_the_next_one_nor_its_own_failure(nats: NatsServer) -> None:
    away = [f"nats://127.0.0.1:{free_port()}" for _ in range(3)]
    with anyio.fail_after(HANGS_SECONDS):
        with_another = sink(nats, servers=[*away, nats.url], timeout="60s")
        await with_another.write(make_events(1, 3))
        await with_another.close()
        with pytest.raises(SinkError, match="Connect call failed"):
            await sink(nats, servers=away, timeout="60s").write(make_events(1, 3))
    assert len(await stored(nats)) == 3


async def test_a_user_who_may_not_publish_is_told_so(tmp_path: Path) -> None:
    need_nats()
    users = (
        'authorization { users: [ { user: "root", password: "r" }, { user: "ann", password: "a", '
        'permissions: { publish: { deny: "slurm.>" } } } ] }'
    )
    with NatsServer(tmp_path, users) as server:
        url = server.url.replace("//", "//ann:a@")
        refused = sink(server, servers=[url])
        with pytest.raises(SinkError, match=r"(?i)permissions violation for publish to .slurm\.sim"):
            await refused.write(make_events(1, 2))
        wrong = sink(server, servers=[server.url.replace("//", "//ann:b@")])
        with pytest.raises(SinkError, match=r"(?i)authorization violation"):
            await wrong.write(make_events(1, 2))


async def test_tls_with_certificates_that_are_renewed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    need_nats()
    certificate, key = certify(tmp_path)
    settings = f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}'
    with NatsServer(tmp_path, settings) as server:
        url = server.url.replace("nats:", "tls:")
        trusting = sink(server, servers=[url], tls_ca_file=str(certificate))
        await trusting.open({})
        await trusting.write(make_events(1, 3))
        distrusting = sink(server, servers=[url])
        with pytest.raises(SinkError, match=r"(?i)certificate verify failed"):
            await distrusting.write(make_events(1, 3))
        server.kill()
        certify(tmp_path)
        server.start()
        with pytest.raises(SinkError):
            await trusting.write(make_events(4, 5))
        # A SIGHUP is not needed either: each connection reads the files anew.
        await trusting.write(make_events(4, 6))
        await trusting.close()
    # An end of a connection that the library asks asyncio about is nothing an operator can act on.
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


async def test_what_the_stream_has_is_read_back_where_the_store_was_lost(nats: NatsServer, tmp_path: Path) -> None:
    sinks = {"stream": {"type": "nats", "servers": [nats.url]}}
    folder = tmp_path / "rig"
    folder.mkdir()
    with Rig(folder, sinks=sinks) as rig:
        for number in range(3):
            rig.ended(5, job_name=f"before {number}")
            await rig.once()
            rig.move(30)
        assert [body["name"] for _, body in await stored(nats)] == ["before 0", "before 1", "before 2"]
        for suffix in ("", "-wal", "-shm", ".lock"):
            rig.store.with_name(rig.store.name + suffix).unlink(missing_ok=True)
        async with connected(nats) as js:
            # No help from the server's own memory of ids: this is another stream with the same messages.
            messages = await stored(nats)
            await js.delete_stream("SLURM")
            await js.add_stream(name="SLURM", subjects=["slurm.>"])
            for subject, body in messages:
                await js.publish(subject, orjson.dumps(body))
        rig.ended(5, job_name="meanwhile")
        rig.move(30)
        await rig.once()
        names = [body["name"] for _, body in await stored(nats)]
        assert names == ["before 0", "before 1", "before 2", "meanwhile"]
        assert rig.ask_store("SELECT min(seq) FROM events") == [(4,)]


async def test_a_sink_whose_server_is_away_holds_up_only_the_first_start_of_a_store(
    nats: NatsServer, tmp_path: Path
) -> None:
    stream = {"type": "nats", "servers": [nats.url]}
    folder = tmp_path / "rig"
    folder.mkdir()
    sinks = {"jobs": {"type": "jsonl", "path": str(folder / "jobs.jsonl")}, "stream": stream}
    nats.kill()
    with Rig(folder, sinks=sinks) as rig:
        both = rig.config.sinks
        rig.ended(5, job_name="first")
        # What an earlier store may have sent is not known: nothing may be sent.
        with pytest.raises(SinkError, match=r"sinks\.stream: SLURM: cannot be read"):
            await rig.once()
        rig.config = rig.config.model_copy(update={"sinks": {"jobs": both["jobs"]}})
        await rig.once()
        rig.config = rig.config.model_copy(update={"sinks": both})
        rig.move(30)
        rig.ended(5, job_name="second")
        with pytest.raises(SinkError, match="Connect"):
            await rig.once()
        assert rig.names() == ["first", "second"]
        nats.start()
        await rig.once()
        assert [body["name"] for _, body in await stored(nats)] == ["second"]


def test_a_stream_that_cannot_be_read_back_is_an_error_that_says_so(tmp_path: Path) -> None:
    need_nats()
    with pytest.raises(OSError, match=r"127\.0\.0\.1"):
        list(KIND.read_back(options(NatsServer(tmp_path)), []))  # type: ignore[misc]


async def test_nothing_is_lost_or_doubled_while_the_server_is_killed_and_paused_at_random(
    nats: NatsServer,
) -> None:
    """Twenty harms by a fixed seed; the sink dies as well, and the server forgets ids after a second."""
    rng = random.Random(7)  # noqa: S311 - harms, not secrets
    subject = Nats(nats)
    subject.make = lambda metrics: sink(nats, duplicate_window="1s", window=50)  # type: ignore[method-assign]
    delivery = await delivery_to(subject)
    total, done = 4000, 0

    async def harm() -> None:
        for _ in range(20):
            await anyio.sleep(rng.uniform(0.02, 0.2))
            if rng.random() < 0.6:
                await anyio.to_thread.run_sync(nats.kill)
                await anyio.sleep(rng.uniform(0, 1.5))
                await anyio.to_thread.run_sync(nats.start)
            else:
                nats.pause()
                await anyio.sleep(rng.uniform(0, 3))
                nats.go_on()

    async with anyio.create_task_group() as group:
        group.start_soon(harm)
        while done < total:
            batch = make_events(done + 1, min(done + rng.randint(1, 60), total))
            try:
                await delivery.write(batch)
            except SinkError as error:
                done += error.written
                await anyio.sleep(0.05)
                continue
            if rng.random() < 0.1:
                await delivery.crash()
                continue
            delivery.commit()
            done += len(batch)
    await _expect_each_once(delivery, total)


async def _expect_each_once(delivery: Deliverer, total: int) -> None:
    found = await delivery.subject.delivered(delivery.sink)
    await delivery.sink.close()
    assert sorted(set(range(1, total + 1)) - set(found)) == []
    assert len(found) == total


@pytest.mark.parametrize("option", ["credentials_file", "nkey_file", "tls_ca_file"])
async def test_secrets_that_are_not_there_are_named(nats: NatsServer, tmp_path: Path, option: str) -> None:
    options = NatsOptions.model_validate(
        {"type": "nats", "servers": [nats.url], option: str(tmp_path / "none.creds")}
    )
    sink = NatsSink("stream", options, Metrics())
    with pytest.raises(
        SinkError, match=rf"^127\.0\.0\.1:\d+: {option}: {tmp_path}/none\.creds: cannot be read: No"
    ):
        await sink.write(make_events(1, 2))


async def test_check_finds_the_stream_or_says_that_the_daemon_will_make_it(nats: NatsServer) -> None:
    options = NatsOptions.model_validate({"type": "nats", "servers": [nats.url]})
    assert KIND.answers is not None
    assert await KIND.answers(options) == "the server answers; the daemon will make the stream SLURM"
    # It was not made by asking.
    assert await KIND.answers(options) == "the server answers; the daemon will make the stream SLURM"
    sink = NatsSink("stream", options, Metrics())
    await sink.write(make_events(1, 3))
    await sink.close()
    assert await KIND.answers(options) == "the server answers; its stream SLURM is at message 3"
    nats.kill()
    with pytest.raises(SinkError, match=r"^127\.0\.0\.1"):
        await KIND.answers(options)
