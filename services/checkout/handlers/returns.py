"""Return cases: while one is open, its order is not complete. What comes of it billing says, as a refund."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from services.checkout.handlers.acceptance import saved_or_completed
from services.checkout.service import checkout
from services.checkout.state import Acceptance, Order, ReturnCase
from shared.contracts.refunds import ReturnClosed, ReturnOpened
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause

__all__: list[str] = []


@checkout.on(ReturnOpened)
def return_opened(
    opened: ReturnOpened, cause: Cause, _accepted: Acceptance, order: Order, case: ReturnCase | None
) -> Iterator[Yielded]:
    """Goods may come back, for the first time or after an appeal: the order stays open meanwhile."""
    case = case or ReturnCase(opened.buyer_id, opened.case_id, opened.order_id)
    if cause.id in case.heard:
        return
    yield replace(case, is_open=True, heard=(*case.heard, cause.id))
    if not case.is_open:
        yield replace(order, open_cases=order.open_cases + 1)


@checkout.on(ReturnClosed)
def return_closed(closed: ReturnClosed, cause: Cause, order: Order, case: ReturnCase) -> Iterator[Yielded]:
    """The case ended: with its return windows over and its plan settled the order is complete."""
    if cause.id in case.heard:
        return
    yield replace(case, is_open=False, heard=(*case.heard, cause.id))
    if case.is_open:
        yield from saved_or_completed(replace(order, open_cases=order.open_cases - 1))
