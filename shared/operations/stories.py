"""Stories of buyers, as data: what is done, how time passes, and what must have been published in the end.

``houfu demo`` tells them on a running system; the tests tell the same ones in memory and on real processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.contracts.billing import (
    BillDueSoon,
    BillIssued,
    BillPaid,
    CollectionFailed,
    CollectionRequested,
    DelinquencyChanged,
    PlanOpened,
    PlanSettled,
    RepaymentAllocated,
)
from shared.contracts.checkout import (
    AccountActivated,
    AccountStatusChanged,
    ApplyForAccount,
    BindCard,
    CancelOrder,
    ConfirmReceipt,
    CreditLineChanged,
    OrderAccepted,
    OrderAuthorized,
    OrderCancelled,
    OrderCaptured,
    OrderDeclined,
    PlaceOrder,
    PublishMerchantPolicy,
    RecordPasswordSet,
    ReportDelivery,
    ReportIdentity,
    ReportScore,
    ReportShipment,
    ReviewAccount,
    SetMerchantConsent,
)
from shared.contracts.message import Command, Event
from shared.operations.sightings import Moment

__all__ = ["STORIES", "Check", "Expect", "Pass", "Purchase", "Scene", "Stage", "Step", "Story", "Teller"]

AGREEMENT = "2027-01"
DEVICE = "dev-1"
CURRENCY = "CNY"


class Stage(Protocol):
    """Where a story is told: a running system, or a world in memory."""

    async def now(self) -> datetime:
        """The business time."""

    async def tell(self, *commands: Command) -> None:
        """Publish commands in this order and let everything come of them that can come now."""

    async def advance(self, by: timedelta) -> object:
        """Move business time from due instant to due instant."""

    async def history(self, key: str) -> Sequence[Moment]:
        """Every command and event of one owner so far, in order."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """What a payment proof is asked for; ``amount`` in minor units."""

    buyer_id: str
    order_id: str
    amount: int
    currency: str
    device_ref: str


Prove = Callable[[Purchase, datetime], str]
"""Makes the token that checkout's password endpoint would: the buyer entered the password for exactly this."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One buyer, one merchant, one order, and the words to speak about them at the business time ``now``."""

    buyer_id: str
    merchant_id: str
    prove: Prove
    now: datetime

    @property
    def order_id(self) -> str:
        return f"{self.buyer_id}-order"

    @property
    def _order(self) -> dict[str, str]:
        return {"buyer_id": self.buyer_id, "order_id": self.order_id, "merchant_id": self.merchant_id}

    def policies(self) -> Iterable[Command]:
        """The platform's policy and the merchant's, in force an hour from now."""
        version = int(self.now.timestamp()) // 60
        common = {"version": version, "effective_from": self.now + timedelta(hours=1)}
        yield PublishMerchantPolicy.model_validate(
            {"merchant_id": "platform", "agreement_version": AGREEMENT, **common}
        )
        yield PublishMerchantPolicy.model_validate(
            {"merchant_id": self.merchant_id, "display_name": "花间小铺", "window_days": 7, **common}
        )

    def enrolment(self, token: str) -> Iterable[Command]:
        """Everything from the application to the approved account and the merchant's activation."""
        buyer = {"buyer_id": self.buyer_id}
        card = {"kind": "CARD", "token": token}
        yield ApplyForAccount.model_validate(
            {**buyer, "currency": CURRENCY, "platform_account_ref": "acc", "agreement_version": AGREEMENT}
        )
        yield ReportIdentity.model_validate({**buyer, "outcome": "VERIFIED", "document_ref": "doc"})
        yield BindCard.model_validate(
            {
                **buyer,
                "instrument": card,
                "issuer": "ICBC",
                "brand": "UNIONPAY",
                "card_type": "DEBIT",
                "holder_match": True,
                "device_ref": DEVICE,
            }
        )
        yield RecordPasswordSet.model_validate({**buyer, "set_at": self.now})
        yield ReportScore.model_validate({**buyer, "score": 640, "provider": "sandbox"})
        yield ReviewAccount.model_validate({**buyer, "decision": "APPROVE", "reasons": ()})
        yield SetMerchantConsent.model_validate(
            {
                **buyer,
                "merchant_id": self.merchant_id,
                "granted": True,
                "text_version": AGREEMENT,
                "scopes": ("CREDIT_DECISION",),
            }
        )

    def order(self, name: str, category: str, amount: int) -> Iterable[Command]:
        """One unit of something, payable within seven days of its receipt; ``amount`` in minor units."""
        line = {
            "line_id": "1",
            "sku": "sku-1",
            "name": name,
            "category": category,
            "quantity": 1,
            "unit_price": amount,
            "discount": 0,
            "amount": amount,
            "eligible": True,
            "returnable": True,
        }
        confirmed = {
            "amount": amount,
            "window_days": 7,
            "instalment_fee": 0,
            "agreement_version": AGREEMENT,
            "expected_receipt_on": (self.now + timedelta(days=3)).date(),
            "quoted_at": self.now,
        }
        yield PlaceOrder.model_validate(
            {
                **self._order,
                "currency": CURRENCY,
                "kind": "GOODS",
                "product": "PAY_AFTER_USE",
                "instalments": 1,
                "lines": (line,),
                "freight": 0,
                "amount": amount,
                "confirmed": confirmed,
                "payment_proof": self.prove(Purchase(self.buyer_id, self.order_id, amount, CURRENCY, DEVICE), self.now),
                "device_ref": DEVICE,
                "address_ref": "adr-1",
            }
        )

    def cancellation(self) -> Iterable[Command]:
        yield CancelOrder.model_validate({**self._order, "by": "BUYER", "reason": "changed my mind"})

    def shipment(self) -> Iterable[Command]:
        yield ReportShipment.model_validate(
            {
                **self._order,
                "shipment_id": "s-1",
                "lines": ({"line_id": "1", "quantity": 1},),
                "final": True,
                "waybill_no": "SF1234567890",
                "occurred_at": self.now,
            }
        )

    def delivery(self) -> Iterable[Command]:
        yield ReportDelivery.model_validate(
            {**self._order, "shipment_id": "s-1", "outcome": "DELIVERED", "occurred_at": self.now}
        )

    def receipt(self) -> Iterable[Command]:
        yield ConfirmReceipt.model_validate(self._order)


@dataclass(frozen=True, slots=True)
class Step:
    """Something is done: the commands somebody sends."""

    text: str
    commands: Callable[[Scene], Iterable[Command]]


@dataclass(frozen=True, slots=True)
class Pass:
    """Time passes."""

    text: str
    by: timedelta


@dataclass(frozen=True, slots=True)
class Expect:
    """In the end the buyer's history holds ``times`` events of this kind whose fields have these values."""

    text: str
    kind: type[Event]
    fields: Mapping[str, Any] = field(default_factory=dict)
    times: int = 1

    def check(self, history: Iterable[Moment]) -> Check:
        found = [one.message for one in history if isinstance(one.message, self.kind)]
        fitting = [one for one in found if all(_value(one, name) == value for name, value in self.fields.items())]
        return Check(self.text, self.times, len(fitting))


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation and what came of it: how often an event was expected and how often it is there."""

    text: str
    expected: int
    found: int

    @property
    def holds(self) -> bool:
        return self.expected == self.found


@dataclass(frozen=True, slots=True)
class Story:
    """A buyer's story, told the same way everywhere. ``token`` is what the sandbox's provider decides by."""

    name: str
    title: str
    token: str
    steps: tuple[Step | Pass, ...]
    outcome: tuple[Expect, ...]


@dataclass(slots=True)
class Teller:
    """Tells stories on a stage. ``mark`` sets their buyers apart from those of another telling."""

    stage: Stage
    prove: Prove
    mark: str

    async def prologue(self) -> None:
        """The policies every story is told under."""
        scene = await self._scene("nobody")
        await self.stage.tell(*scene.policies())
        await self.stage.advance(timedelta(hours=1))

    async def enrol(self, story: Story) -> None:
        scene = await self._scene(story.name)
        await self.stage.tell(*scene.enrolment(story.token))

    async def take(self, story: Story, step: Step | Pass) -> None:
        """Let one step of the story happen."""
        match step:
            case Step():
                await self.stage.tell(*step.commands(await self._scene(story.name)))
            case Pass():
                await self.stage.advance(step.by)

    async def history(self, story: Story) -> Sequence[Moment]:
        """Everything that has happened to the story's buyer so far."""
        return await self.stage.history(self.buyer_of(story.name))

    async def checks(self, story: Story) -> list[Check]:
        """Every expectation of the story against what happened."""
        history = await self.history(story)
        return [expect.check(history) for expect in story.outcome]

    async def tell(self, story: Story) -> list[Check]:
        """The whole story at once."""
        await self.enrol(story)
        for step in story.steps:
            await self.take(story, step)
        return await self.checks(story)

    def buyer_of(self, name: str) -> str:
        return f"demo-{name}-{self.mark}"

    async def _scene(self, name: str) -> Scene:
        return Scene(self.buyer_of(name), f"demo-shop-{self.mark}", self.prove, await self.stage.now())


def _value(message: object, path: str) -> Any:
    value = message
    for name in path.split("."):
        value = getattr(value, name, None)
    return list(value) if isinstance(value, tuple) else value


def _case(scene: Scene) -> Iterable[Command]:
    return scene.order("手机壳 · phone case", "ACCESSORY", 12_900)


def _fridge(scene: Scene) -> Iterable[Command]:
    return scene.order("冰箱 · refrigerator", "APPLIANCE", 250_000)


_BOUGHT = (
    Step("The buyer orders a phone case for 129.00, to pay after use", _case),
    Pass("A day passes", timedelta(days=1)),
    Step("The shop hands the parcel to the carrier", Scene.shipment),
    Pass("Two days on the road", timedelta(days=2)),
    Step("The courier delivers", Scene.delivery),
    Step("The buyer confirms the receipt: the debt begins", Scene.receipt),
)

_OWED = (
    Expect("The account is open with a limit of 2000.00", AccountActivated, {"limit": 200_000}),
    Expect("The order is authorised against the limit", OrderAuthorized, {"amount": 12_900}),
    Expect("It is captured when it ships", OrderCaptured, {"amount": 12_900}),
    Expect("It is accepted by the buyer", OrderAccepted, {"amount": 12_900, "by": "BUYER"}),
    Expect("Its plan is opened", PlanOpened, {"principal": 12_900}),
    Expect("Its bill is issued", BillIssued, {"amount_due": 12_900}),
    Expect("Three reminders go out, the last on the due date", BillDueSoon, times=3),
)

STORIES: tuple[Story, ...] = (
    Story(
        "a",
        "A phone case, bought pay-after-use, collected on its due date",
        "tok_ok",
        (*_BOUGHT, Pass("The due date comes and goes", timedelta(days=8))),
        (
            *_OWED,
            Expect("It is collected once, on the due date", CollectionRequested, {"amount": 12_900, "attempt": 1}),
            Expect("The money is allocated and nothing is owed", RepaymentAllocated, {"outstanding_principal": 0}),
            Expect("The bill is paid in time", BillPaid, {"max_dpd": 0}),
            Expect("The plan is settled", PlanSettled, {"paid": 12_900}),
            Expect("Nothing failed", CollectionFailed, times=0),
            Expect("Nothing was overdue", DelinquencyChanged, times=0),
        ),
    ),
    Story(
        "b1",
        "An order above the limit is declined, and says what would have been possible",
        "tok_ok",
        (Step("The buyer orders a refrigerator for 2500.00", _fridge),),
        (
            Expect("It is declined for the limit alone", OrderDeclined, {"reasons": ["INSUFFICIENT_LIMIT"]}),
            Expect("2000.00 would have been possible", OrderDeclined, {"counterfactual.max_amount": 200_000}),
            Expect("Nothing was authorised", OrderAuthorized, times=0),
        ),
    ),
    Story(
        "b2",
        "An order is cancelled before it ships",
        "tok_ok",
        (
            Step("The buyer orders a phone case for 129.00", _case),
            Pass("Three hours pass", timedelta(hours=3)),
            Step("The buyer cancels", Scene.cancellation),
        ),
        (
            Expect("It was authorised", OrderAuthorized, {"amount": 12_900}),
            Expect("It is cancelled as a whole", OrderCancelled, {"complete": True, "by": "BUYER"}),
            Expect("The limit was held", CreditLineChanged, {"held": 12_900}),
            Expect("It never became a debt", PlanOpened, times=0),
        ),
    ),
    Story(
        "c1",
        "A soft-declined collection succeeds on the retry",
        "tok_soft_once",
        (*_BOUGHT, Pass("The due date and the day after pass", timedelta(days=9))),
        (
            *_OWED,
            Expect("The first attempt is declined, another will follow", CollectionFailed, {"final": False}),
            Expect("The second attempt takes the money", CollectionRequested, {"attempt": 2}),
            Expect("It is allocated and nothing is owed", RepaymentAllocated, {"outstanding_principal": 0}),
            Expect("The bill is paid, one day late", BillPaid, {"max_dpd": 1}),
            Expect("The plan is settled", PlanSettled, {"paid": 12_900}),
        ),
    ),
    Story(
        "c2",
        "A collection that never succeeds goes overdue",
        "tok_soft",
        (*_BOUGHT, Pass("Eighteen days pass", timedelta(days=18))),
        (
            *_OWED,
            Expect("A reminder stage after a day", DelinquencyChanged, {"dpd": 1, "stage": "REMINDER"}),
            Expect("Restricted after four", DelinquencyChanged, {"dpd": 4, "stage": "RESTRICTED"}),
            Expect("Suspended after ten", DelinquencyChanged, {"dpd": 10, "stage": "SUSPENDED"}),
            Expect("Five attempts, each declined", CollectionFailed, {"decline": "SOFT"}, times=5),
            Expect("The account may no longer order", AccountStatusChanged, {"to_status": "SUSPENDED"}),
            Expect("Nothing was paid", RepaymentAllocated, times=0),
        ),
    ),
)
"""In the order in which they are told: what stays overdue comes last, so that it delays nobody's time."""
