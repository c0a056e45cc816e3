"""I-5: available = limit - held - used. How holds and billing's book move the account. Amounts in minor units."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from services.checkout.state import Account, MerchantPair, Order
from shared.contracts.billing import DebtChanged

__all__ = ["recounted", "with_book", "with_open_order", "without_hold"]

Counter = TypeVar("Counter", Account, MerchantPair)


def with_book(account: Account, debt: DebtChanged) -> Account:
    """The account with what billing says is unpaid, if billing's book is newer than the one seen last."""
    if debt.book_version <= account.book_version:
        return account
    return replace(account, used=debt.outstanding_principal, book_version=debt.book_version)


def without_hold(account: Account, amount: int) -> Account:
    """The account with ``amount`` less held."""
    return replace(account, held=account.held - amount) if amount else account


def with_open_order(counter: Counter) -> Counter:
    """The account, or its pair with the merchant, with one more order open."""
    return replace(counter, open_orders=counter.open_orders + 1)


def recounted(counter: Counter, before: Order, after: Order) -> Counter:
    """The account, or its pair with the merchant, after an order ceased to be open or is open again."""
    change = after.is_open - before.is_open
    return replace(counter, open_orders=counter.open_orders + change) if change else counter
