"""The words the tests of refunds tell their stories in: an accepted order, what is said of it, days passing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from services.refunds.service import refunds
from services.refunds.state import Case, Order, Refund
from shared.contracts.billing import OverpaymentDetected, RefundAllocated, RefundLeg
from shared.contracts.checkout import AcceptedLine, OrderAccepted
from shared.contracts.fields import Instrument
from shared.contracts.message import Event, Message
from shared.contracts.policy import DEFAULTS, PolicyVersions, ReturnTerms, Terms
from shared.contracts.refunds import (
    AssessedLine,
    AssessReturn,
    IssueRefund,
    PayoutRequested,
    RefundApproved,
    ReportPayout,
    ReportReturnReceipt,
    ReportReturnShipment,
    RequestReturn,
    RetryPayout,
    ReturnedLine,
    ReviewRefund,
    ReviewReturn,
    SubmitEvidence,
    WithdrawReturn,
)
from shared.engine.vocabulary import Cause, Due, Rejected, Row
from shared.testing.given import Given, Then

BUYER, MERCHANT, ORDER, CASE = "b-7", "m-42", "o-1", "case-1"
REFUND = f"{CASE}:r1"
CARD = Instrument(kind="CARD", token="tok_first")
OTHER_CARD = Instrument(kind="CARD", token="tok_second")
EXTERNAL = Instrument(kind="EXTERNAL", token="cash")


def local(text: str | datetime) -> datetime:
    """An instant of 2027 by the local clock, as in ``local("03-19 14:00")``; an instant is itself."""
    if isinstance(text, datetime):
        return text
    return datetime.fromisoformat(f"2027-{text.replace(' ', 'T')}+08:00").astimezone(UTC)


def day(text: str) -> date:
    return date.fromisoformat(f"2027-{text}")


def in_order(kind: type[Any], /, **fields: Any) -> Any:
    """A message about an order of this buyer and merchant: o-1 unless told otherwise."""
    return kind(**{"buyer_id": BUYER, "order_id": ORDER, "merchant_id": MERCHANT, **fields})


def in_case(kind: type[Any], /, **fields: Any) -> Any:
    """A message about a case of this order: case-1 unless told otherwise."""
    return in_order(kind, **{"case_id": CASE, **fields})


# -- checkout ----------------------------------------------------------------------------------------------------------


def line(line_id: str = "A", goods: int = 25000, freight: int = 769, quantity: int = 2, **other: Any) -> AcceptedLine:
    """Accepted units; by default those of example 3."""
    fields: dict[str, Any] = {"sku": f"sku-{line_id}", "category": "ACCESSORY", "returnable": True}
    return AcceptedLine(line_id=line_id, goods=goods, freight=freight, quantity=quantity, **{**fields, **other})


def accepted(*lines: AcceptedLine, at: str | datetime = "03-12 10:00", **other: Any) -> OrderAccepted:
    """checkout's word that the goods were accepted; ``returns`` are the return terms."""
    lines = lines or (line(),)
    terms = Terms.frozen(DEFAULTS).model_copy(update={"return_terms": other.pop("returns", ReturnTerms())})
    fields: dict[str, Any] = {
        "currency": "CNY",
        "kind": "GOODS",
        "amount": sum(one.goods + one.freight for one in lines),
        "lines": lines,
        "accepted_at": local(at),
        "by": "BUYER",
        "product": "PAY_AFTER_USE",
        "instalments": 1,
        "instrument": CARD,
        "terms": terms,
        "policy_versions": PolicyVersions(platform=0, merchant=0),
    }
    return in_order(OrderAccepted, **{**fields, **other})


# -- the case ----------------------------------------------------------------------------------------------------------


def units(**quantities: int) -> tuple[ReturnedLine, ...]:
    return tuple(ReturnedLine(line_id=line_id, quantity=quantity) for line_id, quantity in quantities.items())


def request(reason: str = "NOT_WANTED", lines: tuple[ReturnedLine, ...] = units(A=1), **other: Any) -> RequestReturn:
    """The buyer asks to give one unit back; a fault comes with a photo."""
    fields: dict[str, Any] = {
        "kind": "RETURN_REFUND",
        "lines": lines,
        "reason": reason,
        "description": "does not fit",
        "evidence_refs": () if reason in ReturnTerms().reasons.remorse else ("photo-1",),
        "destination": "ORIGINAL_ROUTE",
    }
    return in_case(RequestReturn, **{**fields, **other})


def review(decision: str = "APPROVE", by: str = "SELLER", **other: Any) -> ReviewReturn:
    return in_case(ReviewReturn, decision=decision, by=by, **other)


def proof(by: str = "BUYER", **other: Any) -> SubmitEvidence:
    return in_case(SubmitEvidence, **{"by": by, "evidence_refs": ("photo-2",), "text": "the seam is open", **other})


def withdraw(**other: Any) -> WithdrawReturn:
    return in_case(WithdrawReturn, **other)


def shipped(at: str | datetime, **other: Any) -> ReportReturnShipment:
    return in_case(ReportReturnShipment, waybill_no="SF7654321098", carrier="SF", occurred_at=local(at), **other)


def arrived(at: str | datetime, lines: tuple[ReturnedLine, ...] = units(A=1), **other: Any) -> ReportReturnReceipt:
    return in_case(ReportReturnReceipt, lines=lines, occurred_at=local(at), **other)


def graded(*groups: tuple[str, int, str], by: str = "SELLER", **other: Any) -> AssessReturn:
    """The condition of units as (line, quantity, grade); ``by`` is who answers for it."""
    lines = tuple(AssessedLine(line_id=name, quantity=quantity, grade=grade) for name, quantity, grade in groups)
    return in_case(AssessReturn, lines=lines, responsibility=by, **other)


def ruling(decision: str = "APPROVE", by: str = "SELLER", amount: int | None = None, **other: Any) -> ReviewRefund:
    currency = None if amount is None else "CNY"
    return in_case(ReviewRefund, **{"decision": decision, "by": by, "amount": amount, "currency": currency, **other})


# -- the refund --------------------------------------------------------------------------------------------------------


def gesture(amount: int = 2000, refund_id: str = "rf-1", **other: Any) -> IssueRefund:
    """The merchant gives something back without a return."""
    fields: dict[str, Any] = {
        "refund_id": refund_id,
        "currency": "CNY",
        "amount": amount,
        "reason": "a scratch",
        "by": "MERCHANT",
        "destination": "ORIGINAL_ROUTE",
    }
    return in_order(IssueRefund, **{**fields, **other})


def leg(kind: str, amount: int, instrument: Instrument | None = None) -> tuple[str, int, Instrument | None]:
    """A share of a refund as billing would name it; cash goes back to the first card unless told otherwise."""
    return kind, amount, CARD if kind == "ORIGINAL_ROUTE" and instrument is None else instrument


def allocated(
    refund: Refund | RefundApproved, *legs: tuple[str, int, Instrument | None], **other: Any
) -> RefundAllocated:
    """billing's word on where a refund falls."""
    fields: dict[str, Any] = {
        "order_id": refund.order_id,
        "refund_id": refund.refund_id,
        "case_id": refund.case_id,
        "currency": refund.currency,
        "cause": refund.cause,
        "amount": refund.amount,
        "legs": tuple(_leg(refund.refund_id, n, *one) for n, one in enumerate(legs, start=1)),
        "before": (),
        "after": (),
        "policy": "REVERSE_DUE",
        "value_on": day("03-16"),
        "fees_reversed": 0,
        "unallocated": 0,
        "skus": (),
        "outstanding_principal": 0,
        "book_version": 2,
    }
    return in_order(RefundAllocated, **{**fields, **other})


def _leg(refund_id: str, n: int, kind: str, amount: int, instrument: Instrument | None) -> RefundLeg:
    paid_by = "a:b:o-1:1:0" if kind in ("ORIGINAL_ROUTE", "EXTERNAL") else None
    return RefundLeg(leg_id=f"{refund_id}:{n}", kind=kind, amount=amount, instrument=instrument, repayment_id=paid_by)


def overpaid(amount: int = 4000, overpayment_id: str = "pay-1:o1", **other: Any) -> OverpaymentDetected:
    """billing's word that more came in than was owed."""
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "overpayment_id": overpayment_id,
        "currency": "CNY",
        "amount": amount,
        "repayment_id": overpayment_id.rpartition(":")[0],
        "instrument": CARD,
        "reason": "EXCEEDS_DEBT",
    }
    return OverpaymentDetected(**{**fields, **other})


def paid(payout_id: str, outcome: str, at: str | datetime, **other: Any) -> ReportPayout:
    """A provider's answer to a payout."""
    fields: dict[str, Any] = {
        "buyer_id": BUYER,
        "refund_id": payout_id.rpartition(":")[0].rpartition(":")[0],
        "payout_id": payout_id,
        "outcome": outcome,
        "provider_ref": "psp-1",
        "occurred_at": local(at),
    }
    return ReportPayout(**{**fields, **other})


def repair(leg_id: str, instrument: Instrument | None = None) -> RetryPayout:
    return RetryPayout(buyer_id=BUYER, refund_id=leg_id.rpartition(":")[0], leg_id=leg_id, instrument=instrument)


# -- the story ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """How a buyer's orders, cases and refunds stand, and every event so far; immutable like what it wraps."""

    given: Given
    told: tuple[Event, ...] = ()
    rejected: Rejected | None = None

    @classmethod
    def of_an_order(cls, *lines: AcceptedLine, **other: Any) -> Story:
        """The order o-1, accepted on Friday 2027-03-12 at 10:00."""
        return cls(Given(refunds)).then(accepted(*lines, **other), at=other.get("at", "03-12 10:00"))

    def then(self, message: Message | Due, at: str | datetime, cause: Cause | None = None) -> Story:
        """Everything due before, then this message. Equal commands have one content (H-3)."""
        before = self.until(at)
        content = repr(message.model_dump(exclude=message.NOT_CONTENT)) if isinstance(message, Message) else ""
        done = before.given.when(message, local(at), cause or Cause("some-cause", content))
        return before._after(done)

    def until(self, at: str | datetime) -> Story:
        """Let time pass up to and including this instant."""
        story = self
        for done in self.given.until(local(at)):
            story = story._after(done)
        return story

    def with_row(self, row: Row) -> Story:
        """The same story, had this row come out like that."""
        others = [one for one in self.given.rows if (type(one), one.identity()) != (type(row), row.identity())]
        return replace(self, given=Given(self.given.service, *others, row, armed=self.given.armed))

    @property
    def order(self) -> Order:
        return self.given.row(Order, ORDER)

    @property
    def case(self) -> Case:
        return self.given.row(Case, CASE)

    @property
    def refund(self) -> Refund:
        """The refund of case-1."""
        return self.given.row(Refund, REFUND)

    def row(self, kind: Any, row_id: str) -> Any:
        return self.given.row(kind, row_id)

    def events(self, *kinds: type[Event]) -> list[Any]:
        """The events told so far, of these kinds if any are named."""
        return [event for event in self.told if not kinds or isinstance(event, kinds)]

    @property
    def names(self) -> list[str]:
        return names(self.told)

    @property
    def code(self) -> str | None:
        """The code of the last message's rejection."""
        return self.rejected.code if self.rejected else None

    def armed(self) -> list[tuple[str, datetime]]:
        """The deadlines that stand: kind and instant."""
        return [(one.message.KIND, one.at) for one in self.given.armed]

    def payouts(self) -> list[tuple[str, int]]:
        """Every payout asked for so far, with the number of the question."""
        return [(event.payout_id, event.ask) for event in self.events(PayoutRequested)]

    def _after(self, done: Then) -> Story:
        return Story(done.given, (*self.told, *done.events), done.rejected)


def names(events: Iterable[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


# -- where stories begin -----------------------------------------------------------------------------------------------


def opened(asked: RequestReturn | None = None, *lines: AcceptedLine, **other: Any) -> Story:
    """A case under review since Monday 03-15 10:00: one unit not wanted, unless told otherwise."""
    return Story.of_an_order(*lines, **other).then(asked or request(), at="03-15 10:00")


def approved(asked: RequestReturn | None = None, *lines: AcceptedLine, **other: Any) -> Story:
    """The seller approved it at 20:00."""
    return opened(asked, *lines, **other).then(review(), at="03-15 20:00")


def in_transit(asked: RequestReturn | None = None, *lines: AcceptedLine, **other: Any) -> Story:
    """The buyer posted it on 03-16 at 09:00."""
    return approved(asked, *lines, **other).then(shipped("03-16 09:00"), at="03-16 09:00")


def received(
    asked: RequestReturn | None = None,
    *lines: AcceptedLine,
    came: tuple[ReturnedLine, ...] | None = None,
    **other: Any,
) -> Story:
    """It arrived on Thursday 03-18 at 11:00, all of it unless told otherwise."""
    asked = asked or request()
    return in_transit(asked, *lines, **other).then(arrived("03-18 11:00", came or asked.lines), at="03-18 11:00")


def assessed(
    asked: RequestReturn | None = None, *lines: AcceptedLine, grades: AssessReturn | None = None, **other: Any
) -> Story:
    """It was assessed at 15:00, as new unless told otherwise."""
    return received(asked, *lines, **other).then(grades or graded(), at="03-18 15:00")


def disputed(asked: RequestReturn | None = None, *lines: AcceptedLine, **other: Any) -> Story:
    """The seller contested the refund at 16:00."""
    return assessed(asked, *lines, **other).then(ruling("DISPUTE", reason="worn"), at="03-18 16:00")


def refund_due(asked: RequestReturn | None = None, *lines: AcceptedLine, **other: Any) -> Story:
    """The seller approved the refund on 03-18 at 16:00; billing has not said yet where it falls."""
    return assessed(asked, *lines, **other).then(ruling(), at="03-18 16:00")


def executing(*legs: tuple[str, int, Instrument | None], **other: Any) -> Story:
    """The refund of 12500 is being paid out, all of it to the first card unless told otherwise, since 16:01."""
    story = refund_due(**other)
    legs = legs or (leg("ORIGINAL_ROUTE", story.refund.amount),)
    return story.then(allocated(story.refund, *legs), at="03-18 16:01")


LEG = f"{REFUND}:1"
FIRST = f"{LEG}:1"
"""The first payout of that only leg."""


def completed() -> Story:
    """It arrived on 03-18 at 17:00, and the case is closed."""
    return executing().then(paid(FIRST, "SUCCEEDED", "03-18 17:00"), at="03-18 17:00")
