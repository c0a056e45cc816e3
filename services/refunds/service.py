"""The refunds service: what it is called, how it refuses and what it may publish."""

from __future__ import annotations

from shared.contracts.refunds import (
    CommandRejected,
    EvidenceRequested,
    EvidenceSubmitted,
    PayoutReported,
    PayoutRequested,
    RefundApproved,
    RefundCompleted,
    RefundDisputed,
    ReturnApproved,
    ReturnAssessed,
    ReturnClosed,
    ReturnInTransit,
    ReturnOpened,
    ReturnReceived,
    ReturnRejected,
    SlaMissed,
)
from shared.engine.service import Service

__all__ = ["refunds"]

refunds = Service(
    "refunds",
    rejected=CommandRejected,
    emits=(
        EvidenceRequested,
        EvidenceSubmitted,
        PayoutReported,
        PayoutRequested,
        RefundApproved,
        RefundCompleted,
        RefundDisputed,
        ReturnApproved,
        ReturnAssessed,
        ReturnClosed,
        ReturnInTransit,
        ReturnOpened,
        ReturnReceived,
        ReturnRejected,
        SlaMissed,
    ),
)
