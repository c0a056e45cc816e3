"""What any command must satisfy before its own rules count: whose order and case it is (H-5)."""

from __future__ import annotations

from typing import Protocol

from services.refunds.state import Case, Order
from shared.engine.vocabulary import Rejected

__all__ = ["own_case", "refuse_foreign_merchant"]


class _AboutACase(Protocol):
    @property
    def order_id(self) -> str: ...
    @property
    def merchant_id(self) -> str: ...


def refuse_foreign_merchant(order: Order, merchant_id: str) -> None:
    """An order is known only together with its merchant: ORDER_NOT_ACCEPTED."""
    if order.merchant_id != merchant_id:
        raise Rejected(Order.UNKNOWN, "This merchant has no such accepted order of the buyer")


def own_case(command: _AboutACase, case: Case | None) -> Case:
    """The case, known only together with its order and merchant: UNKNOWN_CASE."""
    if case is None or (case.order_id, case.merchant_id) != (command.order_id, command.merchant_id):
        raise Rejected(Case.UNKNOWN, "This order of this merchant has no such case")
    return case
