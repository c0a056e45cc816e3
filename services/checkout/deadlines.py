"""What checkout tells itself to do later (H-7): each class is one kind of deadline, armed once per subject."""

from __future__ import annotations

from dataclasses import dataclass

from shared.engine.vocabulary import Due

__all__ = ["ApplicationIdle", "AuthExpiry", "AutoAccept", "ReturnWindow"]


@dataclass(frozen=True, slots=True)
class ApplicationIdle(Due, subject="buyer_id"):
    """Nothing was added to the application for a week: it lapses."""

    buyer_id: str


@dataclass(frozen=True, slots=True)
class AuthExpiry(Due, subject="order_id"):
    """The authorisation ends: what is unshipped is released, what is shipped and unreported counts as received."""

    buyer_id: str
    order_id: str
    merchant_id: str


@dataclass(frozen=True, slots=True)
class AutoAccept(Due, subject="order_id"):
    """The buyer was silent since delivery: the goods count as accepted."""

    buyer_id: str
    order_id: str
    merchant_id: str


@dataclass(frozen=True, slots=True)
class ReturnWindow(Due, subject="order_id"):
    """The longest return window of the order's lines is over."""

    buyer_id: str
    order_id: str
    merchant_id: str
