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
    BillPaused,
    BillVoided,
    CollectionFailed,
    CollectionRequested,
    DelinquencyChanged,
    ExtensionDecided,
    LateFeeAssessed,
    LateFeeWithheld,
    PlanOpened,
    PlanSettled,
    RefundAllocated,
    RefundSimulated,
    RepaymentAllocated,
)
from shared.contracts.checkout import (
    AccountActivated,
    AccountStatusChanged,
    CreditLineChanged,
    OrderAccepted,
    OrderAuthorized,
    OrderCancelled,
    OrderCaptured,
    OrderCompleted,
    OrderDeclined,
)
from shared.contracts.message import Command, Event
from shared.contracts.notify import NoticeSent
from shared.contracts.refunds import (
    CommandRejected,
    PayoutReported,
    PayoutRequested,
    RefundApproved,
    RefundCompleted,
    ReturnApproved,
    ReturnClosed,
    ReturnOpened,
    SlaMissed,
)
from shared.operations.scene import Prove, Scene
from shared.operations.sightings import Moment

__all__ = ["STATEMENT_STORIES", "STORIES", "Check", "Expect", "Pass", "Stage", "Step", "Story", "Teller", "Until"]


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
class Until:
    """Time passes up to an instant that the calendar sets, as the first of a month."""

    text: str
    instant: Callable[[datetime], datetime]
    """The business time then, from the business time now."""


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
    steps: tuple[Step | Pass | Until, ...]
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
        await self.stage.tell(*scene.preferences())
        await self.stage.tell(*scene.enrolment(story.token))

    async def take(self, story: Story, step: Step | Pass | Until) -> None:
        """Let one step of the story happen."""
        match step:
            case Step():
                await self.stage.tell(*step.commands(await self._scene(story.name)))
            case Pass():
                await self.stage.advance(step.by)
            case Until():
                now = await self.stage.now()
                await self.stage.advance(step.instant(now) - now)

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

    async def tell_together(self, stories: Sequence[Story]) -> None:
        """Stories side by side: every buyer's steps at their times, while time passes once for all."""
        for story in stories:
            await self.enrol(story)
        elapsed = timedelta()
        for at, story, step in _agenda(stories, await self.stage.now()):
            await self.stage.advance(at - elapsed)
            elapsed = at
            if step is not None:
                await self.take(story, step)

    def buyer_of(self, name: str) -> str:
        return f"demo-{name}-{self.mark}"

    async def _scene(self, name: str) -> Scene:
        return Scene(self.buyer_of(name), f"demo-shop-{self.mark}", self.prove, await self.stage.now())


def _agenda(stories: Iterable[Story], began: datetime) -> list[tuple[timedelta, Story, Step | None]]:
    """What is to be done and how long after the beginning; None where a story only ends."""
    agenda: list[tuple[timedelta, Story, Step | None]] = []
    for story in stories:
        at = timedelta()
        for step in story.steps:
            match step:
                case Step():
                    agenda.append((at, story, step))
                case Pass():
                    at += step.by
                case Until():
                    at = step.instant(began + at) - began
        agenda.append((at, story, None))
    return sorted(agenda, key=lambda one: one[0])


def _value(message: object, path: str) -> Any:
    value = message
    for name in path.split("."):
        value = getattr(value, name, None)
    return list(value) if isinstance(value, tuple) else value


def _case(scene: Scene) -> Iterable[Command]:
    return scene.order("手机壳 · phone case", "ACCESSORY", 12_900)


def _washing_machine(scene: Scene) -> Iterable[Command]:
    return scene.order("洗衣机 · washing machine", "APPLIANCE", 60_000, instalments=3)


def _next_month(now: datetime) -> datetime:
    """Ten in the morning, local time, on the first of the next month."""
    return (now.replace(day=1) + timedelta(days=32)).replace(day=1, hour=2, minute=0, second=0, microsecond=0)


def _a_day_before_it_is_due(now: datetime) -> datetime:
    """Ten in the morning, local time, on the day before this month's statement is due."""
    return now.replace(day=1, hour=2, minute=0, second=0, microsecond=0) + timedelta(days=29)


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

_ON_STATEMENTS = (
    Step("The buyer orders a washing machine for 600.00, in three instalments on monthly statements", _washing_machine),
    *_BOUGHT[1:],
)

_RETURNED = (
    Step("The buyer asks to give it back", Scene.return_request),
    Pass("Three hours pass", timedelta(hours=3)),
    Step("The seller agrees", Scene.seller_approval),
    Pass("A day passes", timedelta(days=1)),
    Step("The buyer posts the parcel", Scene.return_shipment),
    Pass("Two days on the road", timedelta(days=2)),
    Step("It arrives, as good as new", Scene.return_receipt),
    Step("The seller approves the refund", Scene.refund_approval),
)

_OWED = (
    Expect("The account is open with a limit of 2000.00", AccountActivated, {"limit": 200_000}),
    Expect("The order is authorised against the limit", OrderAuthorized, {"amount": 12_900}),
    Expect("It is captured when it ships", OrderCaptured, {"amount": 12_900}),
    Expect("It is accepted by the buyer", OrderAccepted, {"amount": 12_900, "by": "BUYER"}),
    Expect("Its plan is opened", PlanOpened, {"principal": 12_900}),
    Expect("Its bill is issued", BillIssued, {"amount_due": 12_900}),
    Expect("Three reminders go out, the last on the due date", BillDueSoon, times=3),
    Expect("Each is mailed, and its proof kept", NoticeSent, {"kind": "BILL_DUE_SOON", "channel": "EMAIL"}, times=3),
)

_GIVEN_BACK = (
    Expect("The request is opened for the seller to review", ReturnOpened, {"review_mode": "SELLER"}),
    Expect("The refund is approved once, for one cause", RefundApproved, {"amount": 12_900, "cause": "RETURN"}),
    Expect("The case is closed with it", ReturnClosed, {"outcome": "REFUNDED"}),
    Expect("The order is complete, given back", OrderCompleted, {"outcome": "REFUNDED"}),
    Expect("Nothing is owed any more", RefundAllocated, {"outstanding_principal": 0, "unallocated": 0}),
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
    Story(
        "d1",
        "A return of an unpaid order extinguishes its debt",
        "tok_ok",
        (*_BOUGHT, *_RETURNED, Pass("The due date comes and goes", timedelta(days=8))),
        (
            *_GIVEN_BACK,
            Expect("The seller agreed in time", ReturnApproved, {"lapsed": False}),
            Expect("The share was paused meanwhile", BillPaused, {"amount": 12_900, "amount_due": 0}),
            Expect("The bill is void: nothing was ever paid on it", BillVoided),
            Expect("The plan is settled by the refund alone", PlanSettled, {"paid": 0, "refunded": 12_900}),
            Expect("No cash moved", RefundCompleted, {"amount": 12_900, "cash_amount": 0}),
            Expect("Nothing was collected", CollectionRequested, times=0),
        ),
    ),
    Story(
        "d2",
        "A return of a paid order gives the money back to the card, although the seller never answers",
        "tok_ok",
        (
            *_BOUGHT,
            Step("The buyer pays at once", lambda scene: scene.repayment(12_900, "tok_ok")),
            Step("The buyer asks to give it back", Scene.return_request),
            Pass("The seller is silent for more than a day", timedelta(hours=25)),
            Step("The buyer posts the parcel", Scene.return_shipment),
            Pass("Two days on the road", timedelta(days=2)),
            Step("It arrives, as good as new", Scene.return_receipt),
            Pass("The seller is silent again", timedelta(hours=25)),
        ),
        (
            *_GIVEN_BACK,
            Expect("Silence approved the request", ReturnApproved, {"lapsed": True}),
            Expect("A broken promise is noted: the first review", SlaMissed, {"rule": "SELLER_REVIEW"}),
            Expect("And the second", SlaMissed, {"rule": "REFUND_REVIEW"}),
            Expect("The bill was paid in time", BillPaid, {"max_dpd": 0}),
            Expect("The card gets it back", PayoutRequested, {"amount": 12_900, "kind": "ORIGINAL_ROUTE"}),
            Expect("The provider paid", PayoutReported, {"outcome": "SUCCEEDED"}),
            Expect("All of it in cash", RefundCompleted, {"cash_amount": 12_900}),
        ),
    ),
    Story(
        "d3",
        "A return of a partly paid order does both: the debt first, then the card",
        "tok_ok",
        (*_BOUGHT, Step("The buyer pays 50.00", lambda scene: scene.repayment(5_000, "tok_ok")), *_RETURNED),
        (
            *_GIVEN_BACK,
            Expect("50.00 were paid", RepaymentAllocated, {"amount": 5_000, "outstanding_principal": 7_900}),
            Expect("The rest was paused meanwhile", BillPaused, {"amount": 7_900}),
            Expect("The plan is settled by both", PlanSettled, {"paid": 5_000, "refunded": 7_900}),
            Expect("50.00 go back to the card", PayoutRequested, {"amount": 5_000, "kind": "ORIGINAL_ROUTE"}),
            Expect("No more than that in cash", RefundCompleted, {"amount": 12_900, "cash_amount": 5_000}),
        ),
    ),
    Story(
        "e",
        "Nobody turns credit into cash: more than was paid never comes out",
        "tok_ok",
        (
            *_BOUGHT,
            Step(
                "The merchant would refund 2000.00, the whole limit, to the buyer's wallet",
                lambda scene: scene.goodwill("limit", 200_000, "WALLET"),
            ),
            Step(
                "It refunds the order, 129.00, to the wallet; nothing of it was paid yet",
                lambda scene: scene.goodwill("order", 12_900, "WALLET"),
            ),
            Step("And one cent more", lambda scene: scene.goodwill("cent", 1, "WALLET")),
        ),
        (
            Expect("Beyond the order nothing is refunded", CommandRejected, {"code": "REFUND_EXCEEDS_ORDER"}, times=2),
            Expect("The refund of the order is a gesture", RefundApproved, {"amount": 12_900, "cause": "GOODWILL"}),
            Expect("It falls on the debt alone", RefundAllocated, {"outstanding_principal": 0, "unallocated": 0}),
            Expect("No payout was asked for", PayoutRequested, times=0),
            Expect("Not a cent came out", RefundCompleted, {"amount": 12_900, "cash_amount": 0}),
            Expect("The bill is void", BillVoided),
        ),
    ),
)
"""In the order in which they are told."""

STATEMENT_STORIES: tuple[Story, ...] = (
    Story(
        "f1",
        "Three monthly instalments: the first is late and costs a fee, the second is put off, the rest is paid early",
        "tok_soft",
        (
            *_ON_STATEMENTS,
            Until("The first statement is cut", _next_month),
            Pass("It falls due; the card is declined again and again", timedelta(days=36)),
            Step(
                "The buyer pays it with another card, fee included",
                lambda scene: scene.repayment(21_100, "tok_ok", "first", bill_id=scene.statement(36)),
            ),
            Until("The second statement is nearly due", _a_day_before_it_is_due),
            Step("The buyer asks for seven days more", lambda scene: scene.extension(scene.statement(29), 7)),
            Pass("The old due date comes and goes", timedelta(days=3)),
            Step(
                "The buyer pays the rest of the order",
                lambda scene: scene.repayment(40_600, "tok_ok", "rest", order_id=scene.order_id),
            ),
        ),
        (
            Expect("The plan has three instalments and a fee of 9.00", PlanOpened, {"principal": 60_000, "fee": 900}),
            Expect("Three statements are issued", BillIssued, {"kind": "MONTHLY", "amount_due": 20_300}, times=3),
            Expect("After four days a late fee falls", LateFeeAssessed, {"amount": 800, "base": 20_000, "dpd": 4}),
            Expect("The bill is restricted then", DelinquencyChanged, {"dpd": 4, "stage": "RESTRICTED"}),
            Expect("It is paid six days late, with the fee", BillPaid, {"max_dpd": 6}),
            Expect("That cures it", DelinquencyChanged, {"stage": "NONE", "account_stage": "NONE"}),
            Expect("Seven days more are granted at once", ExtensionDecided, {"decision": "GRANTED", "due_version": 2}),
            Expect("No second fee falls", LateFeeWithheld, times=0),
            Expect("The other two are paid in time", BillPaid, {"max_dpd": 0}, times=2),
            Expect("The plan is settled", PlanSettled, {"paid": 60_000, "refunded": 0}),
        ),
    ),
    Story(
        "f2",
        "A partial refund of a partly paid plan explains itself, line by line",
        "tok_ok",
        (
            *_ON_STATEMENTS,
            Step(
                "The buyer pays the first instalment at once",
                lambda scene: scene.repayment(20_300, "tok_ok", "first", order_id=scene.order_id),
            ),
            Step("What would a refund of 450.00 do?", lambda scene: scene.simulation(45_000)),
            Step("The merchant refunds it", lambda scene: scene.goodwill("part", 45_000, "ORIGINAL_ROUTE")),
        ),
        (
            Expect("The question is answered", RefundSimulated, {"amount": 45_000, "fees_cancelled": 600}),
            Expect(
                "The refund does exactly that, and leaves no debt",
                RefundAllocated,
                {"amount": 45_000, "fees_cancelled": 600, "outstanding_principal": 0, "unallocated": 0},
            ),
            Expect("50.00 go back to the card that paid", PayoutRequested, {"amount": 5_000, "kind": "ORIGINAL_ROUTE"}),
            Expect("No more than that in cash", RefundCompleted, {"amount": 45_000, "cash_amount": 5_000}),
            Expect("The plan is settled", PlanSettled, {"paid": 20_000, "refunded": 40_000}),
        ),
    ),
)
"""Stories that go by the calendar: what they come to depends on the day of the month on which they begin."""
