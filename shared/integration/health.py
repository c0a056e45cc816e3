"""A few lines of HTTP for whoever watches an adapter: the same pages as a service has, without its web framework."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict

from shared.operations.health import Health, Liveness
from shared.operations.meters import CONTENT_TYPE, Meters

__all__ = ["serve_health"]

REQUEST_TIMEOUT_S = 5.0

JSON = "application/json"

Page = Callable[[], tuple[int, str, bytes]]
"""Status, content type and body of one page."""


@asynccontextmanager
async def serve_health(host: str, port: int, health: Callable[[], Health], meters: Meters) -> AsyncIterator[int]:
    """Serve ``/health/live``, ``/health/ready`` and ``/metrics``; gives the port (0: a free one)."""

    def live() -> tuple[int, str, bytes]:
        return 200, JSON, json.dumps(asdict(Liveness(health().service))).encode()

    def ready() -> tuple[int, str, bytes]:
        found = health()
        return (200 if found.ready else 503), JSON, json.dumps(asdict(found), ensure_ascii=False).encode()

    pages: dict[str, Page] = {
        "/health/live": live,
        "/health/ready": ready,
        "/metrics": lambda: (200, CONTENT_TYPE, meters.exposition()),
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

    server = await asyncio.start_server(answer, host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
