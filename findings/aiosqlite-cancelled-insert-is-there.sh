#!/usr/bin/env bash
# aiosqlite: the INSERT whose await was cancelled is in the table afterwards, also one that had not begun.
#
# Expected: An await that ended with CancelledError or TimeoutError did nothing, or says what it did.
# What happens: The statement goes to a queue that a thread empties; cancelling ends the wait alone. What
#   waits behind a slow statement, and was cancelled there, runs all the same.
# Why it matters here: A retry after a time-out writes twice, unless the statement may run twice. Writes must
#   be shielded, rolled back by the writer, and upserts.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'aiosqlite==0.22.1'

cd "$folder"
venv/bin/python - <<'END'
import asyncio
import time
from importlib.metadata import version

import aiosqlite

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def slow(text):
    time.sleep(0.3)
    return text

async def outcome(waiting):
    try:
        async with asyncio.timeout(0.05):
            await waiting
    except TimeoutError:
        return "timed out"
    return "done"

async def main():
    database = await aiosqlite.connect(":memory:", isolation_level=None)
    await database.create_function("slow", 1, slow)
    await database.execute("CREATE TABLE events (id TEXT)")

    async def events():
        return [row[0] for row in await database.execute_fetchall("SELECT id FROM events")]

    expect("an insert that takes 0.3 s", await outcome(database.execute("INSERT INTO events VALUES (slow('first'))")), "timed out")
    expect("in the table", await events(), ["first"])
    busy = asyncio.create_task(database.execute("SELECT slow('report')"))
    await asyncio.sleep(0)
    expect("an insert behind a slow report", await outcome(database.execute("INSERT INTO events VALUES ('second')")), "timed out")
    await busy
    expect("in the table", await events(), ["first", "second"])
    await database.close()

expect("version", version("aiosqlite"), "0.22.1")
asyncio.run(main())
END
