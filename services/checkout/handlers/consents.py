"""Whether a buyer lets a merchant sell to them on credit (C-R10)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from services.checkout.rules.consent import check_change
from services.checkout.service import checkout
from services.checkout.state import Account, Consent, MerchantPair
from shared.contracts.checkout import MerchantConsentChanged, SetMerchantConsent
from shared.engine.service import Yielded

__all__: list[str] = []


@checkout.on(SetMerchantConsent)
def set_merchant_consent(
    wish: SetMerchantConsent, now: datetime, account: Account, pair: MerchantPair | None
) -> Iterator[Yielded]:
    """A buyer activates a merchant, or withdraws that while no order is in flight (CHK-06, CHK-07)."""
    pair = pair or MerchantPair(account.buyer_id, wish.merchant_id)
    check_change(pair, wish)
    yield replace(pair, consent=Consent(wish.granted, wish.text_version, wish.scopes, now))
    yield MerchantConsentChanged(
        buyer_id=wish.buyer_id, merchant_id=wish.merchant_id, granted=wish.granted, text_version=wish.text_version
    )
