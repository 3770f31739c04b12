"""Bodies unpacked many at a time, for sinks: the bytes that SQL reads one by one; damage is no body."""

from pathlib import Path

import aiosqlite
import pytest
import zstandard

from slurmwatchd.errors import StoreCorruptError
from slurmwatchd.store import outbox, usage, usage_queue
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from slurmwatchd.store.unpacking import PackedBodies, UnknownDictionaryError, UnusualBodyError, unpacked_bytes
from slurmwatchd.store.usage import UsageResults
from tests.unit.attempts import NOW, batch
from tests.unit.test_store_packing import varied


async def filled(database: Database) -> None:
    """900 records before there is a dictionary, 600 packed ones, and the usage of all, packed as an addition."""
    intake = await Intake.load(database, usage=True)
    attempts = list(varied(1500))
    await intake.commit(batch(*attempts[:900]))
    await intake.commit(batch(*attempts[900:]))
    waiting = await usage_queue.due(database, "sim", now=NOW, limit=1500)
    told = {entry.job: (entry.seq, b',"usage":{"steps":%d}' % entry.job) for entry in waiting}
    await usage.tell(intake, UsageResults(told=told, later={}, observed=NOW))


async def test_bodies_of_every_kind_are_unpacked_together_as_sql_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(tmp_path / "store.db") as database:
        await filled(database)
        rows = await database.read(outbox._WHOLE, (0, 3000))
        packed = await database.read("SELECT count(*) FROM events WHERE substr(body, 1, 4) = X'28B52FFD'")
        assert (len(rows), packed[0][0]) == (3000, 2100)
        # None of them is left to SQL.
        monkeypatch.setattr(outbox, "_WHOLE", "SELECT 'one by one'")
        database.recent.clear()
        events = await outbox.after(database, 0, 3000)
        assert [event.body for event in events] == [row[7] for row in rows]
        assert events[2000].body.endswith(b',"usage":{"steps":501}}')


def test_what_bodies_weigh_unpacked_stands_in_their_heads() -> None:
    dictionary = zstandard.ZstdCompressionDict(b"a dictionary" * 20, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    trained = zstandard.train_dictionary(2000, [b'{"job":%d,"user":"u%d"}' % (i, i % 7) for i in range(5000)])
    trained = zstandard.ZstdCompressionDict(
        b"\x37\xa4\x30\xec" + (7).to_bytes(4, "little") + trained.as_bytes()[8:]
    )
    ours = zstandard.ZstdCompressor(dict_data=trained, write_checksum=True)
    other = zstandard.ZstdCompressor(dict_data=dictionary)
    lengths = (1, 255, 256, 300, 65_791, 65_792, 1_000_000)
    frames = [ours.compress(b"x" * length) for length in lengths]
    assert unpacked_bytes(frames) == 1_132_395
    assert [unpacked_bytes([frame]) for frame in frames] == list(lengths)
    assert unpacked_bytes([frames[2], frames[3], frames[2]]) == 812
    assert unpacked_bytes([*frames[1:4], b'{"job":1}', other.compress(b"y" * 40)]) == 860
    # What is cut off within its size is as long as it stands there.
    assert unpacked_bytes([frames[2], frames[2][:7]]) == 263
    assert unpacked_bytes([b"%03d" % number for number in range(100)]) == 300
    assert unpacked_bytes([]) == 0


async def test_a_flipped_bit_anywhere_in_a_frame_is_noticed(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        await filled(database)
        rows = await database.read("SELECT seq, body FROM events WHERE seq IN (1200, 1201)")
        (first, frame), (second, other) = (tuple(row) for row in rows)
        database.recent.clear()
        await outbox.after(database, 0, 3000)
        unpacker = database.unpacker
        right = unpacker.whole(PackedBodies((first, second), (frame, other), (None, None), (None, None)))
        harmless = []
        for bit in range(8 * len(frame)):
            spoilt = bytearray(frame)
            spoilt[bit // 8] ^= 1 << bit % 8
            try:
                found = unpacker.whole(
                    PackedBodies((first, second), (bytes(spoilt), other), (None, None), (None, None))
                )
            except (UnusualBodyError, UnknownDictionaryError):
                continue
            assert found == right
            harmless.append(bit)
        # RFC 8878 has decoders ignore one bit of the head; what fills up a byte means nothing either.
        assert 8 * 4 + 4 in harmless
        assert len(harmless) < len(frame)


async def test_a_frame_that_is_cut_off_anywhere_is_damage_that_names_its_event(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        await filled(database)
        frame = (await database.read("SELECT body FROM events WHERE seq = 1200"))[0][0]
        database.recent.clear()
        # From here on heads that are alike are known, and not read again.
        await outbox.after(database, 0, 3000)
        for length in range(4, len(frame)):
            await put(database, frame[:length])
            with pytest.raises(StoreCorruptError, match="event 1200: its body is damaged"):
                await outbox.after(database, 1100, 200)
        await put(database, frame)
        assert len(await outbox.after(database, 1100, 200)) == 200


async def test_a_damaged_dictionary_is_damage_that_names_an_event(tmp_path: Path) -> None:
    async with open_database(tmp_path / "store.db") as database:
        await filled(database)

        async def cut_off(connection: aiosqlite.Connection) -> None:
            await connection.execute("UPDATE dictionaries SET data = substr(data, 1, 100)")

        await database.write(cut_off)
    async with open_database(tmp_path / "store.db") as database:
        # The first records were written before there was a dictionary.
        assert len(await outbox.after(database, 0, 900)) == 900
        with pytest.raises(StoreCorruptError, match="event 901: its body is damaged"):
            await outbox.after(database, 900, 100)


async def put(database: Database, body: bytes) -> None:
    async def work(connection: aiosqlite.Connection) -> None:
        await connection.execute("UPDATE events SET body = ? WHERE seq = 1200", (body,))

    await database.write(work)
