"""The billing service: what it is called, how it refuses and what it may publish."""

from __future__ import annotations

from shared.contracts.billing import (
    AutopayChanged,
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
    OverpaymentDetected,
    PlanOpened,
    PlanSettled,
    RefundAllocated,
    RepaymentAllocated,
)
from shared.engine.service import Service

__all__ = ["billing"]

billing = Service(
    "billing",
    rejected=CommandRejected,
    emits=(
        AutopayChanged,
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
        OverpaymentDetected,
        PlanOpened,
        PlanSettled,
        RefundAllocated,
        RepaymentAllocated,
    ),
)
