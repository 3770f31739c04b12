"""Small facts worth keeping over a restart, as text under a key."""

import secrets

import aiosqlite

from slurmwatchd.store.database import Database


async def get(database: Database, key: str) -> str | None:
    """Return a value, or None."""
    rows = await database.read("SELECT value FROM meta WHERE key = ?", (key,))
    return rows[0][0] if rows else None


async def put(database: Database, key: str, value: str) -> None:
    """Keep a value."""

    async def work(connection: aiosqlite.Connection) -> None:
        await connection.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )

    await database.write(work)


async def secret(database: Database, key: str) -> bytes:
    """Return 32 random bytes that are the store's own, made when they are first asked for."""

    async def work(connection: aiosqlite.Connection) -> None:
        await connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, secrets.token_hex(32)))

    await database.write(work)
    rows = await database.read("SELECT value FROM meta WHERE key = ?", (key,))
    return bytes.fromhex(rows[0][0])
