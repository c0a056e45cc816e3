"""What probes and scrapers get of a service and of an adapter: the same pages in the same form, and no token asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException

from shared.integration.health import serve_health
from shared.operations import metrics
from shared.operations.health import Health
from shared.operations.meters import CONTENT_TYPE, Meters
from shared.operations.metrics import Of
from shared.operations.pages import CountedRequests, watching_pages

WELL = Health.of("till", None, [0, 3], 7)
ILL = Health.of("till", "the line is stopped: 20 keys failed alike", [0, 3], 4711)


class Watched:
    """A process by its pages, whichever kind it is."""

    def __init__(self, of: Of) -> None:
        self.meters = Meters(of, "till")
        self.health = WELL
        self.asking = httpx.AsyncClient()

    async def page(self, path: str) -> httpx.Response:
        return await self.asking.get(path)


@pytest.fixture(params=[Of.SERVICE, Of.ADAPTER])
async def watched(request: pytest.FixtureRequest) -> AsyncIterator[Watched]:
    found = Watched(request.param)
    if request.param is Of.SERVICE:
        app = FastAPI()
        app.include_router(watching_pages("till", lambda: found.health, found.meters))
        found.asking = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://till")
        yield found
    else:
        async with serve_health("127.0.0.1", 0, lambda: found.health, found.meters) as port:
            found.asking = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False)
            yield found
    await found.asking.aclose()


async def test_a_process_that_works_says_so(watched: Watched) -> None:
    live, ready = await watched.page("/health/live"), await watched.page("/health/ready")
    assert (live.status_code, live.json()) == (200, {"service": "till", "live": True})
    assert (ready.status_code, ready.json()) == (
        200,
        {"service": "till", "ready": True, "trouble": None, "lanes": [0, 3], "lag": 7},
    )
    assert ready.headers["content-type"] == "application/json"


async def test_one_that_does_not_is_alive_and_not_ready_and_says_why(watched: Watched) -> None:
    watched.health = ILL
    live, ready = await watched.page("/health/live"), await watched.page("/health/ready")
    assert live.status_code == 200
    assert (ready.status_code, ready.json()["ready"], ready.json()["trouble"]) == (503, False, ILL.trouble)


async def test_metrics_come_in_the_form_prometheus_asks_for(watched: Watched) -> None:
    watched.meters.count(metrics.PUBLISH_FAILURES)
    found = await watched.page("/metrics")
    assert (found.status_code, found.headers["content-type"]) == (200, CONTENT_TYPE)
    assert 'houfu_publish_failures_total{service="till"} 1.0' in found.text


async def test_there_is_nothing_else(watched: Watched) -> None:
    assert (await watched.page("/nothing")).status_code == 404


async def test_a_client_that_says_nothing_or_nonsense_hurts_nobody() -> None:
    async with serve_health("127.0.0.1", 0, lambda: WELL, Meters(Of.ADAPTER, "till")) as port:
        _, silent = await asyncio.open_connection("127.0.0.1", port)
        reader, nonsense = await asyncio.open_connection("127.0.0.1", port)
        nonsense.write(b"\xff\xfe\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 404")
        async with httpx.AsyncClient(trust_env=False) as asking:
            assert (await asking.get(f"http://127.0.0.1:{port}/health/live")).status_code == 200
        for writer in (silent, nonsense):
            writer.close()


@pytest.fixture
async def counted() -> AsyncIterator[tuple[httpx.AsyncClient, Meters]]:
    """A service with two views, one of them broken."""
    meters = Meters(Of.SERVICE, "till")
    views = APIRouter(prefix="/buyers/{buyer_id}")

    @views.get("/parcels/{parcel_id}")
    async def parcel(buyer_id: str, parcel_id: str) -> dict[str, str]:
        if parcel_id == "unknown":
            raise HTTPException(404)
        return {"parcel_id": parcel_id, "buyer_id": buyer_id}

    @views.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    app = FastAPI()
    app.include_router(watching_pages("till", lambda: WELL, meters))
    app.include_router(views)
    app.add_middleware(CountedRequests, meters=meters)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://till") as asking:
        yield asking, meters


async def test_requests_are_counted_by_the_pattern_of_their_route_and_never_by_whom_they_are_about(
    counted: tuple[httpx.AsyncClient, Meters],
) -> None:
    asking, meters = counted
    for path in ("b-1/parcels/p-1", "b-2/parcels/p-2", "b-1/parcels/unknown", "b-1/broken", "b-1/nowhere"):
        await asking.get(f"/buyers/{path}")
    route = "/buyers/{buyer_id}/parcels/{parcel_id}"
    assert meters.value(metrics.VIEW_REQUESTS, route, "200") == 2
    assert meters.value(metrics.VIEW_REQUESTS, route, "404") == 1
    assert meters.value(metrics.VIEW_REQUESTS, "/buyers/{buyer_id}/broken", "500") == 1
    assert meters.value(metrics.VIEW_REQUESTS, "none", "404") == 1
    assert meters.value(metrics.VIEW_SECONDS, route) == 3
    assert not any(name in meters.exposition() for name in (b"b-1", b"p-1", b"nowhere"))


async def test_probes_and_scrapes_do_not_count_as_views(counted: tuple[httpx.AsyncClient, Meters]) -> None:
    asking, meters = counted
    for path in ("/metrics", "/health/live", "/health/ready"):
        assert (await asking.get(path)).status_code == 200
    assert b"houfu_view_requests_total{" not in meters.exposition()
