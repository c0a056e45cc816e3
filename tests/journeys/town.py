"""The town the stories play in: four services, a payment provider, a postman, and buyers who say what they want."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import services.billing.handlers
import services.checkout.handlers
import services.notify.handlers
import services.refunds.handlers  # noqa: F401 - importing them registers them
from services.billing.service import billing
from services.checkout.rules.proof import PaymentProofs, Purchase
from services.checkout.service import checkout
from services.notify.service import notify
from services.refunds.service import refunds
from shared.contracts import checkout as c
from shared.contracts import refunds as r
from shared.contracts.billing import CollectionRequested, RepayBill
from shared.contracts.envelope import Envelope
from shared.contracts.fields import Instrument
from shared.contracts.message import Command
from shared.contracts.notify import DeliveryRequested, ReportNoticeDelivery, SetPreferences
from shared.contracts.policy import PLATFORM
from shared.drivers.memory_log import MemoryLog
from shared.integration.adapter import Adapter
from shared.integration.sandbox import PROVIDER, Ledger, sandbox_provider
from shared.kernel.calendar import Calendar, WorkingWeek
from shared.kernel.partition import home_partition
from shared.testing.world import PARTITIONS, Told, World

SERVICES = (checkout, billing, refunds, notify)
EVENTS = tuple(f"{service.name}.events" for service in SERVICES)
ZONE = ZoneInfo("Asia/Shanghai")
CALENDAR = Calendar("Asia/Shanghai", WorkingWeek.CN_WEEKENDS)
PROOFS = PaymentProofs("a secret of the journeys, long enough for HS256")
MERCHANT = "m-42"
AGREEMENT = "2027-01"
LIMIT = 200_000
"""What a score of 640 is worth, in minor units."""


def local(text: str) -> datetime:
    """``"03-19 14:00"`` as an instant of 2027 in the tenant's zone."""
    return datetime.fromisoformat(f"2027-{text.replace(' ', 'T')}").replace(tzinfo=ZONE).astimezone(UTC)


@contextmanager
def furnished() -> Iterator[None]:
    """The constants the services' handlers ask for, as long as this lasts."""
    before = {service: dict(service.resources) for service in SERVICES}
    checkout.provide(PROOFS)
    for service in SERVICES:
        service.provide(CALENDAR)
    yield
    for service, resources in before.items():
        service.resources.clear()
        service.resources.update(resources)


OPENING = local("03-01 09:00")
TEN = local("03-01 10:00")


class LogLedger(Ledger):
    """The provider's record of what it was asked for, read from a log in memory."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def find(self, buyer_id: str, repayment_id: str) -> CollectionRequested | None:
        home = home_partition(buyer_id, PARTITIONS)
        for record in await self._log.read(CollectionRequested.topic(), home, 0, 1_000_000):
            told = Told.of(record)
            match told and told.message:
                case CollectionRequested() as asked if (asked.buyer_id, asked.repayment_id) == (buyer_id, repayment_id):
                    return asked
        return None


def provider_of(log: MemoryLog) -> Adapter:
    """The sandbox's payment provider as it ships, looking things up on this log."""
    provider = Adapter(PROVIDER, source=sandbox_provider.source)
    for reaction in sandbox_provider.reactions:
        provider.on(reaction.event, **dict(reaction.filters))(reaction.answer)
    return provider.provide(LogLedger(log))


postman = Adapter("postman", source="/town/postman")
"""Takes every notice to the door at once; how mail is really sent is shown elsewhere."""


@postman.on(DeliveryRequested)
async def carry(request: DeliveryRequested, asked: Envelope) -> AsyncIterator[Command]:
    """Whatever the channel: it is taken over; dated by the request, so that a repetition says the same."""
    yield ReportNoticeDelivery(
        buyer_id=request.buyer_id,
        notice_id=request.notice_id,
        delivery_id=request.delivery_id,
        outcome="ACCEPTED",
        occurred_at=asked.time,
    )


async def open_town(*, records: int = 500) -> World:
    """A world of the morning of 2027-03-01 in which nothing has happened yet."""
    world = World(*SERVICES, start=OPENING, records=records)
    return await world.admit(provider_of(world.log)).admit(postman).start()


async def open_shops(*buyers: Buyer, records: int = 500, **stated: object) -> World:
    """A world of 10:00 in which the platform's policy is in force and these buyers may order."""
    world = await open_town(records=records)
    await world.publish(platform_policy(**stated))
    for buyer in buyers:
        for command in buyer.enrolment():
            await world.publish(command)
    await world.advance(to=TEN)
    return world


def platform_policy(**stated: object) -> c.PublishMerchantPolicy:
    """The platform's first policy, in force an hour after the town opens; ``stated`` is what it says."""
    return c.PublishMerchantPolicy.model_validate(
        {
            "merchant_id": PLATFORM,
            "version": 1,
            "effective_from": OPENING + timedelta(hours=1),
            "agreement_version": AGREEMENT,
            **stated,
        }
    )


@dataclass(frozen=True)
class Buyer:
    """One buyer and the commands that concern them. ``token`` decides what the provider answers."""

    name: str
    token: str = "tok_good"

    def enrolment(self, score: int = 640) -> Sequence[Command]:
        """Everything from the application to the approved account, and the consent to the merchant."""
        return (
            c.ApplyForAccount(
                buyer_id=self.name, currency="CNY", platform_account_ref="acc-1", agreement_version=AGREEMENT
            ),
            c.ReportIdentity(buyer_id=self.name, outcome="VERIFIED", document_ref="doc-1"),
            self.card(self.token),
            c.RecordPasswordSet(buyer_id=self.name, set_at=OPENING),
            c.ReportScore(buyer_id=self.name, score=score, provider="zhima"),
            c.ReviewAccount(buyer_id=self.name, decision="APPROVE", reasons=()),
            c.SetMerchantConsent(
                buyer_id=self.name, merchant_id=MERCHANT, granted=True, text_version=AGREEMENT, scopes=()
            ),
            SetPreferences(buyer_id=self.name, contacts={"EMAIL": f"mail-{self.name}"}),
        )

    def card(self, token: str) -> c.BindCard:
        return c.BindCard(
            buyer_id=self.name,
            instrument=Instrument(kind="CARD", token=token),
            issuer="ICBC",
            brand="UNIONPAY",
            card_type="DEBIT",
            holder_match=True,
            device_ref="dev-1",
        )

    def order(self, order_id: str, amount: int, at: datetime, *, window_days: int = 7) -> c.PlaceOrder:
        """One phone case of this price, proven and confirmed at ``at``."""
        line = c.OrderLine(
            line_id="1",
            sku="case",
            name="手机壳",
            category="HOME",
            quantity=1,
            unit_price=amount,
            discount=0,
            amount=amount,
            eligible=True,
            returnable=True,
        )
        return c.PlaceOrder(
            buyer_id=self.name,
            order_id=order_id,
            merchant_id=MERCHANT,
            currency="CNY",
            kind="GOODS",
            product="PAY_AFTER_USE",
            instalments=1,
            lines=(line,),
            freight=0,
            amount=amount,
            confirmed=c.Confirmed(
                amount=amount,
                window_days=window_days,
                instalment_fee=0,
                agreement_version=AGREEMENT,
                expected_receipt_on=date(2027, 3, 5),
                quoted_at=at,
            ),
            payment_proof=PROOFS.sign(Purchase(self.name, order_id, amount, "CNY", "dev-1"), at),
            device_ref="dev-1",
            address_ref="adr-1",
        )

    def shipment(self, order_id: str, at: datetime) -> c.ReportShipment:
        return c.ReportShipment(
            buyer_id=self.name,
            order_id=order_id,
            merchant_id=MERCHANT,
            shipment_id="s-1",
            lines=(c.ShippedLine(line_id="1", quantity=1),),
            final=True,
            waybill_no="SF-1",
            occurred_at=at,
        )

    def delivery(
        self, order_id: str, at: datetime, outcome: Literal["DELIVERED", "REFUSED", "LOST"] = "DELIVERED"
    ) -> c.ReportDelivery:
        return c.ReportDelivery(
            buyer_id=self.name,
            order_id=order_id,
            merchant_id=MERCHANT,
            shipment_id="s-1",
            outcome=outcome,
            occurred_at=at,
        )

    def confirmation(self, order_id: str) -> c.ConfirmReceipt:
        return c.ConfirmReceipt(buyer_id=self.name, order_id=order_id, merchant_id=MERCHANT)

    def purchase(self, order_id: str, amount: int, at: datetime) -> Sequence[Command]:
        """An order that is shipped, delivered and accepted all at ``at``: its bill is due seven days later."""
        return (
            self.order(order_id, amount, at),
            self.shipment(order_id, at),
            self.delivery(order_id, at),
            self.confirmation(order_id),
        )

    def cancellation(self, order_id: str, by: Literal["BUYER", "MERCHANT"] = "BUYER") -> c.CancelOrder:
        return c.CancelOrder(
            buyer_id=self.name, order_id=order_id, merchant_id=MERCHANT, by=by, reason="changed my mind"
        )

    def repayment(self, repayment_id: str, order_id: str, amount: int, token: str = "tok_good") -> RepayBill:
        """The buyer pays the bill of an order by hand."""
        return RepayBill(
            buyer_id=self.name,
            repayment_id=repayment_id,
            bill_id=f"b:{order_id}",
            currency="CNY",
            amount=amount,
            instrument=Instrument(kind="CARD", token=token),
        )

    # -- goods that come back

    def _case(self, order_id: str, case: str) -> dict[str, str]:
        return {"buyer_id": self.name, "order_id": order_id, "merchant_id": MERCHANT, "case_id": f"{case}-{order_id}"}

    def return_request(
        self, order_id: str, case: str = "case", destination: r.Destination = "ORIGINAL_ROUTE"
    ) -> r.RequestReturn:
        """The buyer wants to give the one unit of an order back."""
        return r.RequestReturn(
            **self._case(order_id, case),
            kind="RETURN_REFUND",
            lines=(r.ReturnedLine(line_id="1", quantity=1),),
            reason="NOT_WANTED",
            description="颜色不合适",
            evidence_refs=(),
            destination=destination,
        )

    def return_review(
        self, order_id: str, decision: Literal["APPROVE", "REJECT", "NEED_EVIDENCE"], case: str = "case"
    ) -> r.ReviewReturn:
        return r.ReviewReturn(**self._case(order_id, case), decision=decision, by="SELLER", reason="seen")

    def return_shipment(self, order_id: str, at: datetime, case: str = "case") -> r.ReportReturnShipment:
        return r.ReportReturnShipment(**self._case(order_id, case), waybill_no="SF-2", carrier="SF", occurred_at=at)

    def return_receipt(self, order_id: str, at: datetime, case: str = "case") -> r.ReportReturnReceipt:
        lines = (r.ReturnedLine(line_id="1", quantity=1),)
        return r.ReportReturnReceipt(**self._case(order_id, case), lines=lines, occurred_at=at)

    def assessment(self, order_id: str, grade: r.Grade = "A", case: str = "case") -> r.AssessReturn:
        graded = (r.AssessedLine(line_id="1", quantity=1, grade=grade),)
        return r.AssessReturn(**self._case(order_id, case), lines=graded, responsibility="BUYER")

    def refund_review(
        self, order_id: str, decision: Literal["APPROVE", "DISPUTE", "REJECT"], case: str = "case"
    ) -> r.ReviewRefund:
        by: r.ReviewMode = "PLATFORM" if decision == "REJECT" else "SELLER"
        return r.ReviewRefund(**self._case(order_id, case), decision=decision, by=by, reason="seen")

    def withdrawal(self, order_id: str, case: str = "case") -> r.WithdrawReturn:
        return r.WithdrawReturn(**self._case(order_id, case))

    def goodwill(
        self, order_id: str, amount: int, refund_id: str = "gift", destination: r.Destination = "WALLET"
    ) -> r.IssueRefund:
        """The merchant gives part of the price back without a return."""
        return r.IssueRefund(
            buyer_id=self.name,
            order_id=order_id,
            merchant_id=MERCHANT,
            refund_id=f"{refund_id}-{order_id}",
            currency="CNY",
            amount=amount,
            reason="a gesture",
            by="MERCHANT",
            destination=destination,
        )

    def given_back(self, order_id: str, at: datetime) -> Sequence[Command]:
        """A return from the request to the approved refund, all at ``at``."""
        return (
            self.return_request(order_id),
            self.return_review(order_id, "APPROVE"),
            self.return_shipment(order_id, at),
            self.return_receipt(order_id, at),
            self.assessment(order_id),
            self.refund_review(order_id, "APPROVE"),
        )
