"""The checkout service: its name, its refusal, and every event it may publish."""

from __future__ import annotations

from shared.contracts.checkout import (
    AccountActivated,
    AccountApplied,
    AccountRejected,
    AccountStatusChanged,
    ApplicationAdvanced,
    AuthorisationExtended,
    CardBound,
    CommandRejected,
    CreditLineChanged,
    DeliveryReported,
    MerchantConsentChanged,
    MerchantPolicyPublished,
    OrderAccepted,
    OrderAuthorized,
    OrderCancelled,
    OrderCaptured,
    OrderCompleted,
    OrderDeclined,
    OrderExpired,
)
from shared.engine.service import Service

__all__ = ["checkout"]

checkout = Service(
    "checkout",
    rejected=CommandRejected,
    emits=(
        AccountActivated,
        AccountApplied,
        AccountRejected,
        AccountStatusChanged,
        ApplicationAdvanced,
        AuthorisationExtended,
        CardBound,
        CreditLineChanged,
        DeliveryReported,
        MerchantConsentChanged,
        MerchantPolicyPublished,
        OrderAccepted,
        OrderAuthorized,
        OrderCancelled,
        OrderCaptured,
        OrderCompleted,
        OrderDeclined,
        OrderExpired,
    ),
)
