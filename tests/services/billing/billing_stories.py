"""The words billing's tests tell their stories in: a buyer with a card, orders accepted, days passing, reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.billing.service import billing
from services.billing.state import Autopay, Book
from shared.contracts.billing import RepayBill, ReportCollection
from shared.contracts.checkout import AcceptedLine, OrderAccepted
from shared.contracts.fields import Instrument
from shared.contracts.message import Event, Message
from shared.contracts.policy import DEFAULTS, PolicyVersions, Terms
from shared.engine.vocabulary import Cause, Rejected
from shared.testing.given import Given, Then

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


@dataclass(frozen=True)
class Story:
    """How a buyer's debts stand, and every event so far; immutable like what it wraps."""

    given: Given
    told: tuple[Event, ...] = ()
    rejected: Rejected | None = None

    @classmethod
    def of_a_buyer(cls, **autopay: Any) -> Story:
        """An active buyer whose debts are collected from the bound card."""
        return cls(Given(billing, Book(BUYER, "CNY", autopay=Autopay(**{"instrument": CARD, **autopay}))))

    def then(self, message: Message, at: str, cause: Cause | None = None) -> Story:
        """Everything due before, then this message."""
        before = self.until(at)
        done = before.given.when(message, local(at), *([cause] if cause else []))
        return before._after(done)

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
        return Story(done.given, (*self.told, *done.events), done.rejected)


def after_accepting(amount: int = 25769, **autopay: Any) -> Story:
    """A buyer who accepted order o-1 on 2027-03-12; its bill is due on 03-19."""
    return Story.of_a_buyer(**autopay).then(accepted(amount=amount), at="03-12 10:00")
