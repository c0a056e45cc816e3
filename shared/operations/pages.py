"""What a service answers to whoever watches it: health and metrics, without a token, and a count of its views' answers.

They are for probes and scrapers of the deployment. They name no one and tell no business.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from fastapi import APIRouter, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.operations import metrics
from shared.operations.health import Health, Liveness
from shared.operations.meters import CONTENT_TYPE, Meters

__all__ = ["CountedRequests", "watching_pages"]

NO_ROUTE = "none"


def watching_pages(service: str, health: Callable[[], Health], meters: Meters) -> APIRouter:
    """``/health/live``, ``/health/ready`` and ``/metrics``."""
    router = APIRouter(tags=["health"])

    @router.get("/health/live")
    async def live() -> Liveness:
        """The process runs and its event loop turns."""
        return Liveness(service)

    @router.get("/health/ready")
    async def ready(response: Response) -> Health:
        """The process owns its share of the work and gets on with it; otherwise 503, and ``trouble`` says why not."""
        found = health()
        response.status_code = 200 if found.ready else 503
        return found

    @router.get("/metrics", include_in_schema=False)
    async def exposition() -> Response:
        """Everything counted, for Prometheus. Nothing is asked of the database or the broker for it."""
        return Response(meters.exposition(), media_type=CONTENT_TYPE)

    return router


class CountedRequests:
    """ASGI middleware: counts what is asked, by the route's pattern, never by what stands in its place."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/metrics" or scope["path"].startswith("/health/"):
            return await self._app(scope, receive, send)
        began = perf_counter()
        status = 500  # what a client gets if nobody has answered when the application raises

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            self._meters.count(metrics.VIEW_REQUESTS, route, str(status))
            self._meters.observe(metrics.VIEW_SECONDS, route, value=perf_counter() - began)
        return None
