"""The applications as they are composed: every view behind the token check, and documented as it is."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from shared.operations.house import service_names
from shared.operations.views import caller

OPEN = {"/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
"""What answers anybody: health, metrics, documents."""


@pytest.fixture(params=service_names())
def app(request: pytest.FixtureRequest) -> FastAPI:
    """A service's application."""
    found: FastAPI = import_module(f"services.{request.param}.app").app
    return found


def asked_for(dependant: Dependant | None) -> Iterator[Any]:
    """Everything a route depends on, through whatever it depends on."""
    for one in dependant.dependencies if dependant else ():
        yield one.call
        yield from asked_for(one)


def test_every_route_but_health_metrics_and_documents_asks_for_a_token(app: FastAPI) -> None:
    guarded = [one for one in iter_route_contexts(app.routes) if one.path not in OPEN]
    assert guarded, "this service shows nothing"
    for one in guarded:
        assert caller in asked_for(getattr(one, "dependant", None)), one.path


def test_views_only_read(app: FastAPI) -> None:
    for one in iter_route_contexts(app.routes):
        assert set(one.methods or ()) <= {"GET", "HEAD"}, one.path


def test_the_document_says_which_views_need_a_token_and_how_each_says_no(app: FastAPI) -> None:
    document = app.openapi()
    (scheme,) = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    for path, operations in document["paths"].items():
        shown = operations["get"]
        if path in OPEN:
            assert "security" not in shown, path
            continue
        assert shown["security"] == [{"token": []}], path
        refusals = {status: answer for status, answer in shown["responses"].items() if status != "200"}
        paged = "cursor" in {one["name"] for one in shown["parameters"]}
        own = ["400"] if paged else ["404"] if "{buyer_id}" in path else []
        assert sorted(refusals) == sorted(["401", "403", "422", "503", *own]), path
        for answer in refusals.values():
            assert list(answer["content"]) == ["application/problem+json"], path


def test_every_field_a_view_shows_is_described(app: FastAPI) -> None:
    """And everything the document points to is in it."""
    document = app.openapi()
    seen: dict[str, Any] = {}
    unseen = set(references([shown for path, shown in document["paths"].items() if path not in OPEN]))
    while unseen:
        name = unseen.pop().removeprefix("#/components/schemas/")
        seen[name] = document["components"]["schemas"][name]
        unseen |= {one for one in references(seen[name]) if one.rpartition("/")[2] not in seen}
    assert "Problem" in seen
    for name, schema in seen.items():
        for field, described in schema.get("properties", {}).items():
            assert "description" in described or "$ref" in described, f"{name}.{field}"


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)
