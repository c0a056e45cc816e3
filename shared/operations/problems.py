"""How a service says no over HTTP: a problem document (RFC 9457) whose ``code`` is stable, as in a rejection.

``type`` is ``about:blank`` and ``title`` the status in words, so that nothing needs to be looked up; programs go by
``code``, people read ``detail``.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from shared.engine.ports import Unavailable

__all__ = ["PROBLEM_TYPE", "Problem", "Refused", "answer_problems", "documented"]

log: Any = structlog.get_logger(__name__)

PROBLEM_TYPE = "application/problem+json"

RETRY_AFTER_S = 2
"""When to ask again after a 503: a question waited as long for a connection."""


class WrongParameter(BaseModel):
    """A parameter that is not as it should be."""

    parameter: str = Field(description="Which, as path.<name> or query.<name>")
    reason: str = Field(description="What is wrong with it, for people")


class Problem(BaseModel):
    """Why a request was not answered (RFC 9457)."""

    type: str = Field(default="about:blank", description="Always about:blank: what it means stands in code")
    title: str = Field(description="The status in words")
    status: int = Field(description="The HTTP status")
    code: str = Field(description="Why, as a stable code, UPPER_SNAKE")
    detail: str = Field(description="Why, for people")
    errors: list[WrongParameter] | None = Field(default=None, description="INVALID_REQUEST: what is wrong with what")


class Refused(Exception):
    """A request that is not answered, and the problem that says why."""

    def __init__(self, status: HTTPStatus, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or {}


def answer_problems(app: FastAPI) -> None:
    """Whatever goes wrong in this application is answered as a problem, and OpenAPI knows its schema."""
    app.exception_handler(Refused)(_refused)
    app.exception_handler(Unavailable)(_unavailable)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_elsewhere)
    app.exception_handler(Exception)(_failed)
    undocumented = app.openapi

    def openapi() -> dict[str, Any]:
        document = undocumented()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs"), Problem=problem)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def documented(meanings: Mapping[HTTPStatus, str]) -> dict[int | str, dict[str, Any]]:
    """The problems a route may answer with, for OpenAPI: for each status, which code it is and when."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {int(status): {"description": meaning, "content": content} for status, meaning in meanings.items()}


async def _refused(_: Request, refused: Refused) -> JSONResponse:
    return _problem(refused.status, refused.code, refused.detail, refused.headers)


async def _unavailable(_: Request, silence: Unavailable) -> JSONResponse:
    log.warning("view.unavailable", reason=str(silence))
    detail = "The database does not answer in time; ask again"
    return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE", detail, {"Retry-After": str(RETRY_AFTER_S)})


async def _invalid(_: Request, invalid: RequestValidationError) -> JSONResponse:
    errors = [
        WrongParameter(parameter=".".join(map(str, one["loc"])), reason=str(one["msg"])) for one in invalid.errors()
    ]
    detail = "; ".join(f"{one.parameter}: {one.reason}" for one in errors)
    return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID_REQUEST", detail, errors=errors)


async def _elsewhere(_: Request, refused: HTTPException) -> JSONResponse:
    """What the framework itself refuses: a path or a method that is not there."""
    status = HTTPStatus(refused.status_code)
    return _problem(status, status.name, str(refused.detail), refused.headers)


async def _failed(_: Request, __: Exception) -> JSONResponse:
    """A defect; the server logs it with its traceback."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return _problem(status, status.name, "Something is wrong in this service; it is in its log")


def _problem(
    status: HTTPStatus,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: list[WrongParameter] | None = None,
) -> JSONResponse:
    problem = Problem(title=status.phrase, status=status, code=code, detail=detail, errors=errors)
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type=PROBLEM_TYPE,
    )
