"""The buyer's book: opened with the account, and the instrument its debts are collected from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from services.billing.service import billing
from services.billing.state import Book
from shared.contracts.billing import AutopayChanged, SetAutopay
from shared.contracts.checkout import AccountActivated, CardBound
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause, Rejected

__all__ = ["open_book", "replace_card", "set_autopay"]


@billing.on(AccountActivated)
def open_book(activated: AccountActivated, cause: Cause, book: Book | None) -> Iterator[Yielded]:
    """An account is usable from now: its bound card is what debts will be collected from."""
    book = book or Book(activated.buyer_id, activated.currency)
    yield replace(book, autopay=book.autopay.told(activated.instrument, cause.id))


@billing.on(CardBound)
def replace_card(bound: CardBound, cause: Cause, book: Book) -> Iterator[Yielded]:
    """The buyer replaced the card: collections go on with the new one, also after a hard decline (B-C3)."""
    yield replace(book, autopay=book.autopay.told(bound.instrument, cause.id))


@billing.on(SetAutopay)
def set_autopay(command: SetAutopay, cause: Cause, book: Book) -> Iterator[Yielded]:
    """The buyer switches automatic deduction on or off, or names another instrument for it (BIL-06)."""
    if command.instrument is not None and command.instrument.kind == "EXTERNAL":
        raise Rejected("INSTRUMENT_NOT_ALLOWED", "Nothing can be collected from an external instrument")
    autopay = replace(book.autopay.told(command.instrument, cause.id), enabled=command.enabled)
    yield replace(book, autopay=autopay)
    yield AutopayChanged(buyer_id=command.buyer_id, enabled=autopay.enabled, instrument=autopay.instrument)
