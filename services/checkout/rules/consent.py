"""C-R10: when a merchant consent may change."""

from __future__ import annotations

from services.checkout.state import MerchantPair
from shared.contracts.checkout import SetMerchantConsent
from shared.engine.vocabulary import Rejected

__all__ = ["check_change"]


def check_change(pair: MerchantPair, wish: SetMerchantConsent) -> None:
    """Refuse a change that changes nothing (ALREADY_DONE) or withdraws with orders open (ORDERS_IN_FLIGHT)."""
    stands = pair.consent
    if not wish.granted and (stands is None or not stands.granted):
        raise Rejected("ALREADY_DONE", "There is no consent to withdraw", granted=False)
    if not wish.granted and pair.open_orders > 0:
        raise Rejected("ORDERS_IN_FLIGHT", open_orders=pair.open_orders)
    if stands is not None and (stands.granted, stands.text_version, stands.scopes) == (
        wish.granted,
        wish.text_version,
        wish.scopes,
    ):
        raise Rejected("ALREADY_DONE", granted=stands.granted, text_version=stands.text_version)
