"""Read-only HTTP views of a service's own rows: who may ask, and what every view shares.

A service writes its views in ``services/<name>/views.py``: a :class:`Views` router, its questions as named statements,
its answers as pydantic models. ``application(service, views=[views])`` serves them behind the token check, whatever
the router itself says. A view declares whom it is for by the type of its ``buyer_id``:

- :data:`OwnBuyer`: the buyer and operators; anybody else gets 403, whether the buyer exists or not;
- :data:`AnyBuyer`: merchants too, and what they get goes through :func:`shown`, which answers 404 for what belongs to
  another merchant exactly as for what does not exist.

A view about no one buyer says so by ``dependencies=[OPERATORS_ONLY]``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Protocol, Self, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Path, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict

from shared.contracts.fields import BuyerId
from shared.drivers.queries import PostgresQueries
from shared.operations.problems import Refused, answer_problems, documented
from shared.operations.tokens import Access, TokenRefused, TokenVerifier

__all__ = [
    "LISTING",
    "OPERATORS_ONLY",
    "SINGLE",
    "AnyBuyer",
    "Asking",
    "Caller",
    "OwnBuyer",
    "Questions",
    "View",
    "Views",
    "Zone",
    "caller",
    "serve_views",
    "shown",
    "unknown",
]

REALM = 'Bearer realm="houfu"'

PROBLEMS = documented(
    {
        HTTPStatus.UNAUTHORIZED: "TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED: nobody we know asks",
        HTTPStatus.FORBIDDEN: "SCOPE_INSUFFICIENT: the token is not for this",
        HTTPStatus.UNPROCESSABLE_ENTITY: "INVALID_REQUEST: a parameter is not as it should be",
        HTTPStatus.SERVICE_UNAVAILABLE: "UNAVAILABLE: the database does not answer in time",
    }
)

LISTING = documented({HTTPStatus.BAD_REQUEST: "BAD_CURSOR: the cursor is none of this list's"})
"""What else a list may answer with."""

SINGLE = documented({HTTPStatus.NOT_FOUND: "UNKNOWN_…: this buyer has no such thing, or it is another merchant's"})
"""What else a view of one thing may answer with."""

bearer = HTTPBearer(
    scheme_name="token",
    bearerFormat="JWT",
    description="A JWT whose scope holds buyer:<id>, merchant:<id> or operator",
    auto_error=False,
)


@dataclass(frozen=True, slots=True)
class Asking:
    """What a running process answers its views with."""

    questions: PostgresQueries
    tokens: TokenVerifier
    zone: str
    """The tenant's time zone, for what is told in words."""


class View(BaseModel):
    """What is shown of something. Amounts, instants and dates have the form they have in messages."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    @classmethod
    def of(cls, row: object, **other: Any) -> Self:
        """What this view shows of a row: what has the names of its fields, and ``other`` where the row has it not."""
        return cls.model_validate({name: getattr(row, name) for name in cls.model_fields.keys() - other} | other)


class Views(APIRouter):
    """A router of views. As in messages, a field that has nothing to say is absent from an answer."""

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().add_api_route(path, endpoint, **{**options, "response_model_exclude_none": True})


def serve_views(app: FastAPI, views: Sequence[APIRouter]) -> None:
    """Serve these views to whoever has a token for them; ``app.state.asking`` is set while the process runs."""
    for view in views:
        app.include_router(view, dependencies=[Security(caller)], responses=PROBLEMS)
    answer_problems(app)


async def caller(
    request: Request, response: Response, given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Access:
    """Who asks, by the token in the request; 401 as RFC 6750 has it where there is none that is believed."""
    response.headers["Cache-Control"] = "no-store"  # what a buyer owes stays in no cache
    if given is None:
        raise _unauthorized("TOKEN_MISSING", "Give a token: Authorization: Bearer <token>", REALM)
    asking: Asking = request.app.state.asking
    try:
        return asking.tokens.access(given.credentials)
    except TokenRefused as refusal:
        challenge = f'{REALM}, error="invalid_token", error_description="{refusal}"'
        raise _unauthorized(refusal.code, str(refusal), challenge) from None


Caller = Annotated[Access, Security(caller)]
"""How a view asks who is asking."""


async def _questions(request: Request) -> PostgresQueries:
    asking: Asking = request.app.state.asking
    return asking.questions


Questions = Annotated[PostgresQueries, Depends(_questions)]
"""How a view asks for the service's rows."""


async def _zone(request: Request) -> str:
    asking: Asking = request.app.state.asking
    return asking.zone


Zone = Annotated[str, Depends(_zone)]
"""How a view asks for the tenant's time zone."""


async def _own_buyer(buyer_id: Annotated[BuyerId, Path()], access: Caller) -> str:
    if not access.may_see_buyer(buyer_id):
        raise _forbidden(f"This is for the scopes buyer:{buyer_id} and operator")
    return buyer_id


async def _any_buyer(buyer_id: Annotated[BuyerId, Path()], access: Caller) -> str:
    if not (access.may_see_buyer(buyer_id) or access.merchants):
        raise _forbidden(f"This is for the scopes buyer:{buyer_id}, operator and merchant:<id>")
    return buyer_id


async def _operator(access: Caller) -> None:
    if not access.operator:
        raise _forbidden("This is for the scope operator")


OPERATORS_ONLY = Depends(_operator)
"""How a view says that it is for operators alone; anybody else gets 403."""

OwnBuyer = Annotated[str, Depends(_own_buyer)]
"""The buyer a view is about, whom only the buyer and operators may look at."""

AnyBuyer = Annotated[str, Depends(_any_buyer)]
"""The buyer a view is about; a merchant may look at what belongs to its own orders."""


class OfOrder(Protocol):
    """What belongs to a buyer and, if it is about an order, to the order's merchant."""

    @property
    def buyer_id(self) -> str: ...

    @property
    def merchant_id(self) -> str | None: ...


Found = TypeVar("Found", bound=OfOrder)


def shown(found: Found | None, access: Access, code: str) -> Found:
    """What was found, if the caller may see it; otherwise the same 404, with the code of the absent row."""
    if found is None or not (access.may_see_buyer(found.buyer_id) or access.may_see_merchant(found.merchant_id)):
        raise unknown(code)
    return found


def unknown(code: str) -> Refused:
    """There is no such thing of this buyer; ``code`` is what a command about it would be rejected with."""
    return Refused(HTTPStatus.NOT_FOUND, code, "There is no such thing of this buyer")


def _unauthorized(code: str, detail: str, challenge: str) -> Refused:
    return Refused(HTTPStatus.UNAUTHORIZED, code, detail, {"WWW-Authenticate": challenge})


def _forbidden(detail: str) -> Refused:
    challenge = f'{REALM}, error="insufficient_scope", error_description="{detail}"'
    return Refused(HTTPStatus.FORBIDDEN, "SCOPE_INSUFFICIENT", detail, {"WWW-Authenticate": challenge})
