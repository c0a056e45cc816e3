"""A few lines of HTTP for whoever watches an adapter: is it alive, does it work, what has it counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

__all__ = ["serve_health"]

REQUEST_TIMEOUT_S = 5.0

Page = Callable[[], tuple[int, str, bytes]]
"""Status, content type and body of one page."""


@asynccontextmanager
async def serve_health(port: int, not_ready: Callable[[], str], metrics: Callable[[], bytes]) -> AsyncIterator[int]:
    """Serve ``/health/live``, ``/health/ready`` and ``/metrics`` on the loopback; gives the port (0: a free one)."""

    def ready() -> tuple[int, str, bytes]:
        reason = not_ready()
        return (503 if reason else 200), "text/plain", (reason or "ready").encode()

    pages: dict[str, Page] = {
        "/health/live": lambda: (200, "text/plain", b"alive"),
        "/health/ready": ready,
        "/metrics": lambda: (200, "text/plain; version=0.0.4", metrics()),
    }

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(TimeoutError, OSError, ValueError):
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                asked = (await reader.readline()).decode("ascii", "replace").split(" ")
                while (await reader.readline()).strip():
                    pass
                page = pages.get(asked[1].partition("?")[0]) if len(asked) > 1 else None
                status, kind, body = page() if page else (404, "text/plain", b"no such page")
                head = (
                    f"HTTP/1.1 {status} -\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close"
                )
                writer.write(head.encode() + b"\r\n\r\n" + body)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
