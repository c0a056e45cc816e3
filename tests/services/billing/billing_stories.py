"""The words billing's tests tell their stories in: a buyer with a card, orders accepted, days passing, reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from services.billing.rules import schedule
from services.billing.service import billing
from services.billing.state import Autopay, Bill, Book, Instalment, Line, Plan, PlanStatus, Posting
from shared.contracts.billing import (
    ChargeOffBill,
    DecideExtension,
    RecordExternalPayment,
    RepayBill,
    ReportCollection,
    ReportCollectionReversal,
    RequestExtension,
    SimulateRefund,
    WaiveFee,
)
from shared.contracts.checkout import AcceptedLine, OrderAccepted
from shared.contracts.fields import Instrument
from shared.contracts.message import Event, Message
from shared.contracts.notify import NoticeSent
from shared.contracts.policy import DEFAULTS, PolicyVersions, RefundPolicy, Terms
from shared.contracts.refunds import (
    AppealDecided,
    AppealOpened,
    PayoutReported,
    RefundApproved,
    ReturnClosed,
    ReturnOpened,
)
from shared.engine.vocabulary import Cause, Rejected
from shared.testing.given import SOME_CAUSE, Given, Then

BUYER = "b-7"
MERCHANT = "m-42"
CARD = Instrument(kind="CARD", token="tok_first")
OTHER_CARD = Instrument(kind="CARD", token="tok_second")
TERMS = Terms.frozen(DEFAULTS)


def local(text: str | datetime) -> datetime:
    """An instant of 2027 by the local clock, as in ``local("03-19 14:00")``; an instant is itself."""
    if isinstance(text, datetime):
        return text
    return datetime.fromisoformat(f"2027-{text.replace(' ', 'T')}+08:00").astimezone(UTC)


def bill_of(order_id: str) -> str:
    return f"b:{order_id}"


def attempt(order_id: str, offset: int) -> str:
    """The repayment id of an automatic attempt for the first due date."""
    return f"a:b:{order_id}:1:{offset}"


def accepted(
    order_id: str = "o-1", amount: int = 25769, at: str | datetime = "03-12 10:00", **other: Any
) -> OrderAccepted:
    """checkout's word that the goods were accepted."""
    line = AcceptedLine(
        line_id="1", sku="case", category="ACCESSORY", quantity=1, goods=amount, freight=0, returnable=True
    )
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "order_id": order_id,
        "merchant_id": MERCHANT,
        "currency": "CNY",
        "kind": "GOODS",
        "amount": amount,
        "lines": (line,),
        "accepted_at": local(at),
        "by": "BUYER",
        "product": "PAY_AFTER_USE",
        "instalments": 1,
        "instrument": CARD,
        "terms": TERMS,
        "policy_versions": PolicyVersions(platform=0, merchant=0),
    }
    return OrderAccepted(**{**fields, **other})


def report(repayment_id: str, outcome: str, amount: int, at: str | datetime, **other: Any) -> ReportCollection:
    """A provider's answer."""
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "repayment_id": repayment_id,
        "outcome": outcome,
        "currency": "CNY",
        "amount": amount,
        "provider_ref": "psp-1",
        "occurred_at": local(at),
    }
    return ReportCollection(**{**fields, **other})


def repay(repayment_id: str = "pay-1", amount: int = 25769, **other: Any) -> RepayBill:
    """The buyer pays now: the bill of order o-1 unless told otherwise."""
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "repayment_id": repayment_id,
        "currency": "CNY",
        "amount": amount,
        "instrument": CARD,
    }
    if "order_id" not in other:
        fields["bill_id"] = bill_of("o-1")
    return RepayBill(**{**fields, **other})


def pay_outside(amount: int = 12000, at: str | datetime = "03-19 10:00", **other: Any) -> RecordExternalPayment:
    """The merchant records that the bill of order o-1 was paid in the shop."""
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "external_ref": "till-1",
        "bill_id": bill_of("o-1"),
        "currency": "CNY",
        "amount": amount,
        "channel": "CASH",
        "proof_ref": "receipt-1",
        "by": "MERCHANT",
        "occurred_at": local(at),
    }
    return RecordExternalPayment(**{**fields, **other})


def reversal(
    repayment_id: str, amount: int, at: str | datetime = "03-20 00:00", **other: Any
) -> ReportCollectionReversal:
    """A bank takes a repayment back."""
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "reversal_id": "cb-1",
        "repayment_id": repayment_id,
        "currency": "CNY",
        "amount": amount,
        "reason": "CHARGEBACK",
        "occurred_at": local(at),
    }
    return ReportCollectionReversal(**{**fields, **other})


def extend(days: int = 7, **other: Any) -> RequestExtension:
    """The buyer wants to pay the bill of order o-1 later."""
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "extension_id": "ext-1",
        "bill_id": bill_of("o-1"),
        "days": days,
        "reason": "salary comes later",
    }
    return RequestExtension(**{**fields, **other})


def decide(decision: str = "GRANTED", by: str = "MERCHANT", **other: Any) -> DecideExtension:
    """The answer to it."""
    fields: dict[str, Any] = {"buyer_id": BUYER, "extension_id": "ext-1", "bill_id": bill_of("o-1")}
    return DecideExtension(**{**fields, "decision": decision, "by": by, **other})


def simulate(amount: int, **other: Any) -> SimulateRefund:
    """What would a refund of order o-1 do?"""
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "simulation_id": "sim-1",
        "order_id": "o-1",
        "merchant_id": MERCHANT,
        "currency": "CNY",
        "amount": amount,
        "destination": "ORIGINAL_ROUTE",
    }
    return SimulateRefund(**{**fields, **other})


def waive(fee_id: str = "b:o-1:f1", **other: Any) -> WaiveFee:
    """Support drops a late fee."""
    fields: dict[str, Any] = {"buyer_id": BUYER, "bill_id": fee_id.rpartition(":f")[0], "fee_id": fee_id}
    return WaiveFee(**{**fields, "reason": "first time", "by": "PLATFORM", **other})


def charge_off(bill_id: str = "b:o-1", **other: Any) -> ChargeOffBill:
    """The desk writes a bill off."""
    return ChargeOffBill(**{"buyer_id": BUYER, "bill_id": bill_id, "reason": "insolvency", "by": "PLATFORM", **other})


def appealed(amount: int | None = 5000, **other: Any) -> AppealOpened:
    """The buyer challenges an outcome about order o-1."""
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "appeal_id": "ap-1",
        "subject": "UNRECOGNISED_ORDER",
        "level": 1,
        "order_id": "o-1",
        "merchant_id": MERCHANT,
        "currency": "CNY",
        "amount": amount,
    }
    return AppealOpened(**{**fields, **other})


def ruled(outcome: str = "SELLER", **other: Any) -> AppealDecided:
    """The ruling on that challenge."""
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "appeal_id": "ap-1",
        "subject": "UNRECOGNISED_ORDER",
        "level": 1,
        "order_id": "o-1",
        "merchant_id": MERCHANT,
        "outcome": outcome,
        "lapsed": False,
    }
    return AppealDecided(**{**fields, **other})


def ruled_on_fee(outcome: str = "BUYER", fee_id: str = "b:o-1:f1", **other: Any) -> AppealDecided:
    """The ruling on a challenged late fee."""
    about = {"subject": "LATE_FEE", "order_id": None, "merchant_id": None}
    return ruled(outcome, bill_id=fee_id.rpartition(":f")[0], fee_id=fee_id, **about, **other)


def opened(case_id: str = "case-1", share: int = 12884, order_id: str = "o-1", **other: Any) -> ReturnOpened:
    """A return request is under review; ``share`` is what its goods are worth."""
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "order_id": order_id,
        "merchant_id": MERCHANT,
        "case_id": case_id,
        "currency": "CNY",
        "kind": "RETURN_REFUND",
        "review_mode": "SELLER",
        "lines": (),
        "reason": "NOT_WANTED",
        "share_amount": share,
        "reopened": False,
    }
    return ReturnOpened(**{**fields, **other})


def closed(case_id: str = "case-1", outcome: str = "REJECTED", order_id: str = "o-1") -> ReturnClosed:
    """The case ended."""
    return ReturnClosed(buyer_id=BUYER, order_id=order_id, merchant_id=MERCHANT, case_id=case_id, outcome=outcome)


def approved(amount: int, refund_id: str = "case-1:r1", order_id: str = "o-1", **other: Any) -> RefundApproved:
    """Part of an order's price goes back: for the case its id names, unless told otherwise."""
    case_id = refund_id.rpartition(":r")[0] or None
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "order_id": order_id,
        "merchant_id": MERCHANT,
        "refund_id": refund_id,
        "case_id": case_id,
        "currency": "CNY",
        "cause": "RETURN" if case_id else "GOODWILL",
        "amount": amount,
        "destination": "ORIGINAL_ROUTE",
        "value_on": date(2027, 3, 16),
        "skus": ("case",),
        "promise_from": date(2027, 3, 26),
        "promise_by": date(2027, 4, 9),
    }
    return RefundApproved(**{**fields, **other})


def payout(leg_id: str, outcome: str, amount: int, **other: Any) -> PayoutReported:
    """What is known of the first try to pay a leg."""
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "refund_id": leg_id.rpartition(":")[0],
        "leg_id": leg_id,
        "payout_id": f"{leg_id}:1",
        "currency": "CNY",
        "kind": "ORIGINAL_ROUTE",
        "cause": "RETURN",
        "outcome": outcome,
        "amount": amount,
    }
    return PayoutReported(**{**fields, **other})


def notice(sent_at: str, bill_id: str | None = "b:o-1", due_version: int | None = 1, **other: Any) -> NoticeSent:
    """A channel took a notice over: a reminder by SMS unless told otherwise."""
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "notice_id": "n-1",
        "kind": "BILL_DUE_SOON",
        "class_": "TRANSACTIONAL",
        "subject_id": "b:o-1",
        "bill_id": bill_id,
        "due_version": due_version,
        "channel": "SMS",
        "sent_at": local(sent_at),
    }
    return NoticeSent(**{**fields, **other})


def plan(
    order_id: str = "o-1",
    accepted_on: date = date(2027, 1, 12),
    *instalments: Instalment,
    refund_policy: RefundPolicy = "REVERSE_DUE",
) -> Plan:
    """A plan made by hand."""
    return Plan(
        BUYER,
        order_id,
        MERCHANT,
        PlanStatus.OPEN,
        "MONTHLY",
        "CNY",
        accepted_on,
        sum(one.principal for one in instalments),
        instalments,
        refund_policy,
    )


def bill(*lines: Line, bill_id: str = "b:o-1") -> Bill:
    """An issued bill that holds these lines, due with the earliest."""
    one = first_bill(accepted())
    return replace(one, bill_id=bill_id, lines=lines, due_on=min(line.due_on for line in lines))


def first_bill(order: OrderAccepted) -> Bill:
    """The first bill of an order accepted on 2027-03-12."""
    return schedule.bills_holding(schedule.opened_plan(order, date(2027, 3, 12), {}), order, {})[0]


def monthly(order_id: str = "o-1", amount: int = 10000, instalments: int = 3, **other: Any) -> OrderAccepted:
    """An order on monthly statements: accepted on 2027-01-12 in three instalments, unless told otherwise."""
    fields: dict[str, Any] = {"at": "01-12 10:00", "product": "MONTHLY", "instalments": instalments, **other}
    return accepted(order_id, amount, **fields)


def line(order_id: str, due_on: date, seq: int = 1) -> Line:
    return Line(order_id, MERCHANT, seq, due_on, 1)


def moved(entries: Iterable[Posting]) -> list[tuple[str, int]]:
    """What postings move: debits above zero, credits below."""
    return [(str(one.account), one.debit - one.credit) for one in entries]


def sums(entries: Iterable[Posting]) -> dict[str, int]:
    """What postings move in all, by account."""
    by_account: Counter[str] = Counter()
    for account, amount in moved(entries):
        by_account[account] += amount
    return dict(by_account)


@dataclass(frozen=True)
class Story:
    """How a buyer's debts stand, and every event and posting so far; immutable like what it wraps."""

    given: Given
    told: tuple[Event, ...] = ()
    rejected: Rejected | None = None
    posted: tuple[Posting, ...] = ()
    messages: int = 0

    @classmethod
    def of_a_buyer(cls, **autopay: Any) -> Story:
        """An active buyer whose debts are collected from the bound card."""
        return cls(Given(billing, Book(BUYER, "CNY", autopay=Autopay(**{"instrument": CARD, **autopay}))))

    def then(self, message: Message, at: str, cause: Cause | None = None) -> Story:
        """Everything due before, then this message; each has an id of its own."""
        before = self.until(at)
        number = self.messages + 1
        done = before.given.when(message, local(at), cause or replace(SOME_CAUSE, id=f"message-{number}"))
        return replace(before._after(done), messages=number)

    def until(self, at: str) -> Story:
        """Let time pass up to and including this instant."""
        story = self
        for done in self.given.until(local(at)):
            story = story._after(done)
        return story

    def row(self, kind: Any, row_id: str) -> Any:
        return self.given.row(kind, row_id)

    def events(self, *kinds: type[Event]) -> list[Any]:
        """The events told so far, of these kinds if any are named."""
        return [event for event in self.told if not kinds or isinstance(event, kinds)]

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.told]

    @property
    def code(self) -> str | None:
        """The code of the last message's rejection."""
        return self.rejected.code if self.rejected else None

    def armed(self, kind: type) -> list[datetime]:
        """When deadlines of this kind are due."""
        return [one.at for one in self.given.armed if isinstance(one.message, kind)]

    def _after(self, done: Then) -> Story:
        postings = [one for one in done.entries if isinstance(one, Posting)]
        told, posted = (*self.told, *done.events), (*self.posted, *postings)
        return replace(self, given=done.given, told=told, rejected=done.rejected, posted=posted)


def after_accepting(amount: int = 25769, **autopay: Any) -> Story:
    """A buyer who accepted order o-1 on 2027-03-12; its bill is due on 03-19."""
    return Story.of_a_buyer(**autopay).then(accepted(amount=amount), at="03-12 10:00")
