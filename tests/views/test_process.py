"""Views in a whole process: what it needs, what it refuses to start without, what stays open to everybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from os import environ
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.drivers.migrate import migrate
from shared.local.ports import free_port
from shared.local.process import Process
from shared.local.servers import Servers
from shared.operations.settings import EXIT_MISCONFIGURED
from shared.operations.tokens import key_set_of
from tests.laws.conftest import create
from tests.laws.replicas import uvicorn
from tests.patience import PATIENCE_S, eventually
from tests.views.bench import AUDIENCE, ISSUER, SECRET, token
from tests.views.gallery_app import REVISIONS

KEYS = {"HOUFU_TOKEN_ISSUER": ISSUER, "HOUFU_TOKEN_AUDIENCE": AUDIENCE, "HOUFU_TOKEN_KEYS": key_set_of(SECRET)}
PICTURE = "/buyers/ann/picture"

Start = Callable[..., tuple[Process, str]]


@pytest.fixture(scope="module")
async def settings(servers: Servers) -> dict[str, str]:
    """The gallery's topics and schema, and the environment that leads to them."""
    await create(servers.bootstrap, "gallery.commands", "gallery.events", "gallery.dlq")
    migrate(servers.admin_dsn, "gallery", [REVISIONS])
    dsn = f"{servers.admin_dsn}?options=-csearch_path%3Dgallery"
    return {"HOUFU_KAFKA_BOOTSTRAP": servers.bootstrap, "HOUFU_DSN": dsn}


@pytest.fixture
def start(settings: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Start the gallery with these settings besides; where it answers. None is left when the test ends."""
    started: list[Process] = []

    def launch(**stated: str) -> tuple[Process, str]:
        port = str(free_port())
        ours = {name: value for name, value in environ.items() if not name.startswith("HOUFU_TOKEN_")}
        argv = uvicorn("tests.views.gallery_app:app", port)
        process = Process("gallery", argv, log=tmp_path / f"{port}.log", env={**ours, **settings, **stated})
        started.append(process)
        return process, f"http://127.0.0.1:{port}"

    yield launch
    for process in started:
        process.stop()


@asynccontextmanager
async def answering(address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a process, as soon as that answers."""
    async with httpx.AsyncClient(base_url=address) as client:

        async def lives() -> Any:
            try:
                return (await client.get("/health/live")).is_success
            except httpx.TransportError:
                return False

        await eventually(lives)
        yield client


async def test_a_process_serves_its_views_to_tokens_and_its_documents_to_everybody(start: Start) -> None:
    process, address = start(**KEYS)
    async with answering(address) as client:
        for path in ("/openapi.json", "/docs", "/redoc", "/health/live"):
            assert (await client.get(path)).status_code == 200, path
        assert (await client.get(PICTURE)).status_code == 401
        shown = await client.get(PICTURE, headers={"Authorization": f"Bearer {token('buyer:ann')}"})
        assert shown.json() == {"buyer_id": "ann", "title": "A phone case, in oil"}
    assert "views.closed" not in process.log.read_text()


async def test_a_process_without_keys_says_so_once_and_lets_nobody_in(start: Start) -> None:
    process, address = start()
    async with answering(address) as client:
        for _ in range(3):
            refused = await client.get(PICTURE, headers={"Authorization": f"Bearer {token('operator')}"})
            assert (refused.status_code, refused.json()["code"]) == (401, "TOKEN_INVALID")
    assert process.log.read_text().count("views.closed") == 1


async def test_a_process_with_half_a_set_of_keys_does_not_start(start: Start) -> None:
    process, _ = start(HOUFU_TOKEN_ISSUER=ISSUER)
    await asyncio.to_thread(process.finish, PATIENCE_S)
    assert process.exit_code == EXIT_MISCONFIGURED
    assert process.last_words() == (
        "houfu: HOUFU_TOKEN_AUDIENCE, HOUFU_TOKEN_KEYS: not set; issuer, audience and keys are set together or not"
    )
