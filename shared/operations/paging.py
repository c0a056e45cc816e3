"""Long lists in pages: newest first by a time, or by a number; each page begins where the last one ended.

The place is what the last item shown is sorted by, not how many were shown. So a page costs the same however deep it
lies, and what is added meanwhile neither repeats nor hides anything.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query, Request, Response
from pydantic import Field, TypeAdapter

from shared.contracts.fields import BusinessDate, DerivedId, Instant
from shared.operations.problems import Refused
from shared.operations.views import View

__all__ = ["Asked", "Keyset", "Page"]

PAGE_MAX = 100
"""Most items of one page, as of any list in a message."""

PAGE_DEFAULT = 20

CURSOR_MAX = 1_000
"""Longest cursor that is looked at; ours stay below half of it."""

FRONT_INSTANT = datetime(9999, 1, 1, tzinfo=UTC)
FRONT_DATE = date(9999, 1, 1)
"""In front of everything: the contracts end before."""
FRONT_NUMBER = 0
"""In front of everything: the database numbers from one."""

BIGINT_MAX = 2**63 - 1


Shown = TypeVar("Shown", bound=View)
Place = TypeVar("Place", bound=date | int)
"""What a list is sorted by: an instant, a date or a number."""


class Page(View, Generic[Shown]):
    """Some items of a list, and where to go on."""

    items: tuple[Shown, ...] = Field(description="In the order of the list")
    next_cursor: str | None = Field(
        default=None, description="What to give as cursor for the next page; absent on the last one"
    )


@dataclass(frozen=True, slots=True)
class Wish:
    """Which page a caller wants, and the answer that will hold it."""

    request: Request
    response: Response
    limit: int
    cursor: str | None


async def _asked(
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX, description="Most items of the page")] = PAGE_DEFAULT,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before; absent: from the front")] = None,
) -> Wish:
    return Wish(request, response, limit, cursor)


Asked = Annotated[Wish, Depends(_asked)]
"""How a list asks for ``limit`` and ``cursor``."""


class Keyset(Generic[Place]):
    """The order of one list: by a field of its items, the latest first, and by their id where that is the same.

    Its statement takes a place and a number, as in ``(time, id) < ($2, $3) ORDER BY time DESC, id DESC LIMIT $4``, and
    has an index that is sorted alike.
    """

    def __init__(self, view: str, by: str, row_id: str, kind: Any, front: Place) -> None:
        self._view = view
        self._by = by
        self._row_id = row_id
        self._front: Place = front
        self._places: TypeAdapter[tuple[str, Place, str]] = TypeAdapter(tuple[str, kind, DerivedId])

    @staticmethod
    def of_instants(view: str, by: str, row_id: str) -> Keyset[datetime]:
        """By an instant. ``view`` names the list, so that it takes no cursor of another one."""
        return Keyset(view, by, row_id, Instant, FRONT_INSTANT)

    @staticmethod
    def of_dates(view: str, by: str, row_id: str) -> Keyset[date]:
        """By a date."""
        return Keyset(view, by, row_id, BusinessDate, FRONT_DATE)

    @staticmethod
    def of_numbers(view: str, by: str, row_id: str) -> Keyset[int]:
        """By a number that is given upwards, the lowest first: ``number > $2 ORDER BY number LIMIT $4``."""
        return Keyset(view, by, row_id, Annotated[int, Field(ge=FRONT_NUMBER, le=BIGINT_MAX)], FRONT_NUMBER)

    def after(self, asked: Wish) -> tuple[Place, str, int]:
        """The last three arguments of the statement: behind which place to begin, and how many to read.

        One more than asked for is read; it says whether there is another page.
        """
        if asked.cursor is None:
            return self._front, "", asked.limit + 1
        try:
            if len(asked.cursor) > CURSOR_MAX:
                raise ValueError("too long")
            view, place, row_id = self._places.validate_json(base64.urlsafe_b64decode(asked.cursor + "=="), strict=True)
            if view != self._view:
                raise ValueError("of another list")
        except ValueError:
            raise Refused(HTTPStatus.BAD_REQUEST, "BAD_CURSOR", "The cursor is none of this list's") from None
        return place, row_id, asked.limit + 1

    def page(self, asked: Wish, items: Sequence[Shown]) -> Page[Shown]:
        """The page of what was read, with the way to the next one in its body and in the header ``Link``."""
        shown = tuple(items[: asked.limit])
        if len(items) <= asked.limit:
            return Page(items=shown)
        last = (self._view, getattr(shown[-1], self._by), getattr(shown[-1], self._row_id))
        cursor = base64.urlsafe_b64encode(self._places.dump_json(last)).rstrip(b"=").decode()
        following = asked.request.url.include_query_params(cursor=cursor)
        asked.response.headers["Link"] = f'<?{following.query}>; rel="next"'
        return Page(items=shown, next_cursor=cursor)
