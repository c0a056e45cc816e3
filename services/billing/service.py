"""The billing service: what it is called, how it refuses and what it may publish."""

from __future__ import annotations

from shared.contracts.billing import (
    AutopayChanged,
    BillDueSoon,
    BillIssued,
    BillPaid,
    CollectionFailed,
    CollectionPending,
    CollectionRequested,
    CommandRejected,
    DelinquencyChanged,
    OverpaymentDetected,
    PlanOpened,
    PlanSettled,
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
        CollectionFailed,
        CollectionPending,
        CollectionRequested,
        DelinquencyChanged,
        OverpaymentDetected,
        PlanOpened,
        PlanSettled,
        RepaymentAllocated,
    ),
)
