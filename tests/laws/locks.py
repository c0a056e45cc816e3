"""Holds a table, so that a turn stands still in the middle of its transaction for as long as a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from shared.local.servers import Servers

__all__ = ["locked"]


@asynccontextmanager
async def locked(servers: Servers, table: str) -> AsyncIterator[None]:
    """Nobody else writes to ``schema.table`` while the block runs."""
    connection = await asyncpg.connect(servers.admin_dsn)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()
