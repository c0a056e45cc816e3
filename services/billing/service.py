"""The billing service: what it is called, how it refuses and what it may publish."""

from __future__ import annotations

from shared.contracts.billing import (
    AutopayChanged,
    BillChargedOff,
    BillDueSoon,
    BillIssued,
    BillPaid,
    BillPaused,
    BillResumed,
    BillVoided,
    CollectionFailed,
    CollectionPending,
    CollectionRequested,
    CommandRejected,
    DelinquencyChanged,
    ExtensionDecided,
    ExtensionRequested,
    FeeReversed,
    LateFeeAssessed,
    LateFeeWithheld,
    OverpaymentDetected,
    PlanOpened,
    PlanReopened,
    PlanSettled,
    RefundAllocated,
    RefundSimulated,
    RepaymentAllocated,
    RepaymentReversed,
)
from shared.engine.service import Service

__all__ = ["billing"]

billing = Service(
    "billing",
    rejected=CommandRejected,
    emits=(
        AutopayChanged,
        BillChargedOff,
        BillDueSoon,
        BillIssued,
        BillPaid,
        BillPaused,
        BillResumed,
        BillVoided,
        CollectionFailed,
        CollectionPending,
        CollectionRequested,
        DelinquencyChanged,
        ExtensionDecided,
        ExtensionRequested,
        FeeReversed,
        LateFeeAssessed,
        LateFeeWithheld,
        OverpaymentDetected,
        PlanOpened,
        PlanReopened,
        PlanSettled,
        RefundAllocated,
        RefundSimulated,
        RepaymentAllocated,
        RepaymentReversed,
    ),
)
