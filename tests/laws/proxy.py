"""A wire between a service and its database that can be cut in the middle of a COMMIT."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit, urlunsplit

__all__ = ["Cut", "DatabaseProxy"]

COMMIT = b"COMMIT\0"
"""How a simple query that commits ends (PostgreSQL's protocol 3: the statement and a zero byte)."""

CHUNK_BYTES = 65536


class Cut(StrEnum):
    """When the wire is cut."""

    BEFORE = "before the database hears of it"
    AFTER = "before its answer is heard"


class DatabaseProxy:
    """Passes everything on between its own port and a database, until it is told to cut. Use as a context manager."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        assert parts.hostname is not None
        assert parts.port is not None
        self._database = parts.hostname, parts.port
        self._cut: Cut | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.cuts = 0
        """How many commits were cut so far."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in tuple(self._open):
            writer.transport.abort()
        await self._server.wait_closed()

    def instead_of(self, dsn: str) -> str:
        """The same DSN by way of this proxy."""
        parts = urlsplit(dsn)
        account = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{account}@127.0.0.1:{self.port}"))

    def cut_next_commit(self, cut: Cut) -> None:
        """The wire on which somebody commits next is cut."""
        self._cut = cut

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_database, to_database = await asyncio.open_connection(*self._database)
        ends = {writer, to_database}
        self._open |= ends
        answering = asyncio.create_task(_pass_on(from_database, writer))
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                if self._cut is not None and chunk.endswith(COMMIT):
                    cut, self._cut = self._cut, None
                    answering.cancel()
                    with suppress(asyncio.CancelledError):
                        await answering
                    if cut is Cut.AFTER:
                        to_database.write(chunk)
                        await from_database.read(CHUNK_BYTES)  # nobody will hear it
                    self.cuts += 1
                    return
                to_database.write(chunk)
                await to_database.drain()
        except OSError:
            pass
        finally:
            answering.cancel()
            for end in ends:
                end.transport.abort()
            self._open -= ends


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        writer.close()
