"""What any command must satisfy before its own rules count: its merchant, its currency (H-5)."""

from __future__ import annotations

from services.checkout.state import Account, Order
from shared.engine.vocabulary import Rejected

__all__ = ["refuse_foreign_merchant", "refuse_other_currency"]


def refuse_foreign_merchant(order: Order, merchant_id: str) -> None:
    """An order is known only together with its merchant: UNKNOWN_ORDER."""
    if order.merchant_id != merchant_id:
        raise Rejected("UNKNOWN_ORDER", "This merchant has no such order of the buyer")


def refuse_other_currency(account: Account, currency: str) -> None:
    """An account has one currency: CURRENCY_MISMATCH."""
    if currency != account.currency:
        raise Rejected("CURRENCY_MISMATCH", currency=currency, account_currency=account.currency)
