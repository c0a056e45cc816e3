"""What buyers are told (N-R1), as data: which events make a notice, of which kind and class, about what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.contracts.billing import (
    BillChargedOff,
    BillDueSoon,
    BillIssued,
    BillPaused,
    BillResumed,
    CollectionFailed,
    DelinquencyChanged,
    ExtensionDecided,
    FeeReversed,
    LateFeeAssessed,
    RepaymentAllocated,
)
from shared.contracts.checkout import (
    AccountActivated,
    AccountRejected,
    AccountStatusChanged,
    CreditLineChanged,
    DeliveryReported,
    OrderAuthorized,
    OrderCancelled,
    OrderCaptured,
    OrderCompleted,
    OrderDeclined,
    OrderExpired,
)
from shared.contracts.message import Event
from shared.contracts.notify import NoticeClass
from shared.contracts.refunds import (
    AppealDecided,
    AppealOpened,
    EvidenceRequested,
    RefundApproved,
    RefundCompleted,
    RefundDisputed,
    ReturnApproved,
    ReturnClosed,
    ReturnRejected,
    SlaMissed,
)

__all__ = ["CATALOGUE", "MUTABLE_KINDS", "WHILE_DUE", "Occasion", "occasion_of", "subject_of"]

MUTABLE_KINDS = frozenset({"ORDER_STATUS", "SCORE_IMPACT", "BILL_CHANGED"})
"""What a buyer may do without; everything else is owed to the buyer (N-R4)."""


def _always(_: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Occasion:
    """An event that makes a notice, provided that ``applies``."""

    kind: str
    class_: NoticeClass
    subject: tuple[str, ...]
    """Fields that may name what it is about; the first that is present does, else it is about the account."""
    applies: Callable[[Any], bool] = _always
    told_once_per: tuple[str, ...] = ()
    """Fields that make it the same notice whatever the event's id; none: every event is news (N-R4)."""
    while_due: bool = False
    """Whether it is idle talk once nothing is due on its bill (N-R5)."""


_ACCOUNT = ()
_ORDER = ("order_id",)
_REPAYMENT = ("repayment_id",)
_BILL = ("bill_id",)
_CASE = ("case_id", "appeal_id")
_REFUND = ("refund_id",)
_APPEAL = ("appeal_id",)
_REASON = ("cause_ref",)

CATALOGUE: Mapping[type[Event], Occasion] = {
    AccountActivated: Occasion("ACCOUNT_RESULT", "TRANSACTIONAL", _ACCOUNT),
    AccountRejected: Occasion("ACCOUNT_RESULT", "TRANSACTIONAL", _ACCOUNT),
    AccountStatusChanged: Occasion("ACCOUNT_RESULT", "TRANSACTIONAL", _ACCOUNT),
    OrderAuthorized: Occasion("ORDER_STATUS", "TRANSACTIONAL", _ORDER),
    OrderDeclined: Occasion("ORDER_STATUS", "TRANSACTIONAL", _ORDER),
    OrderCancelled: Occasion("ORDER_STATUS", "TRANSACTIONAL", _ORDER),
    OrderCaptured: Occasion("ORDER_STATUS", "TRANSACTIONAL", _ORDER),
    DeliveryReported: Occasion("ORDER_STATUS", "TRANSACTIONAL", _ORDER),
    OrderExpired: Occasion("ORDER_STATUS", "TRANSACTIONAL", _ORDER),
    OrderCompleted: Occasion("ORDER_STATUS", "TRANSACTIONAL", _ORDER),
    RepaymentAllocated: Occasion("PAYMENT_RESULT", "TRANSACTIONAL", _REPAYMENT),
    CollectionFailed: Occasion("PAYMENT_RESULT", "TRANSACTIONAL", _REPAYMENT),
    BillIssued: Occasion("BILL_AMOUNT", "TRANSACTIONAL", _BILL),
    BillDueSoon: Occasion(
        "BILL_DUE_SOON", "TRANSACTIONAL", _BILL, told_once_per=("due_version", "days_left"), while_due=True
    ),
    ExtensionDecided: Occasion("BILL_CHANGED", "TRANSACTIONAL", _BILL),
    BillPaused: Occasion("BILL_CHANGED", "TRANSACTIONAL", _BILL),
    BillResumed: Occasion("BILL_CHANGED", "TRANSACTIONAL", _BILL),
    DelinquencyChanged: Occasion(
        "OVERDUE",
        "DEBT",
        _BILL,
        applies=lambda change: change.dpd >= 1,
        told_once_per=("due_version", "dpd"),
        while_due=True,
    ),
    LateFeeAssessed: Occasion("FEE", "DEBT", _BILL, while_due=True),
    FeeReversed: Occasion("FEE", "DEBT", _BILL, while_due=True),
    CreditLineChanged: Occasion(
        "SCORE_IMPACT", "TRANSACTIONAL", _REASON, applies=lambda change: change.score_delta < 0
    ),
    BillChargedOff: Occasion("CHARGED_OFF", "LEGAL", _BILL),
    ReturnApproved: Occasion("RETURN_RESULT", "TRANSACTIONAL", _CASE),
    ReturnRejected: Occasion("RETURN_RESULT", "TRANSACTIONAL", _CASE),
    EvidenceRequested: Occasion("RETURN_RESULT", "TRANSACTIONAL", _CASE),
    RefundDisputed: Occasion("RETURN_RESULT", "TRANSACTIONAL", _CASE),
    ReturnClosed: Occasion("RETURN_RESULT", "TRANSACTIONAL", _CASE),
    RefundApproved: Occasion("REFUND_STATUS", "TRANSACTIONAL", _REFUND),
    RefundCompleted: Occasion("REFUND_STATUS", "TRANSACTIONAL", _REFUND),
    SlaMissed: Occasion(
        "REFUND_STATUS", "TRANSACTIONAL", _REFUND, applies=lambda missed: missed.rule == "REFUND_ARRIVAL"
    ),
    AppealOpened: Occasion("APPEAL_STATUS", "TRANSACTIONAL", _APPEAL),
    AppealDecided: Occasion("APPEAL_STATUS", "TRANSACTIONAL", _APPEAL),
}

WHILE_DUE = frozenset(occasion.kind for occasion in CATALOGUE.values() if occasion.while_due)
"""Kinds that only make sense while something is due on their bill."""


def occasion_of(event: Event) -> Occasion | None:
    """What the buyer is told because of an event; None if nothing."""
    occasion = CATALOGUE.get(type(event))
    return occasion if occasion is not None and occasion.applies(event) else None


def subject_of(event: Event) -> str:
    """The id of what an event of the catalogue is about; the buyer's own id stands for the account."""
    named = (getattr(event, name, None) for name in CATALOGUE[type(event)].subject)
    return next((one for one in named if one is not None), event.key)
