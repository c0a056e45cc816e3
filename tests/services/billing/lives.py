"""Whole lives of a buyer: moves drawn at random, played through billing's handlers, and told as a story.

A life begins with an account. A move lets hours pass and then does one thing that a buyer, a shop, a provider, a desk
or another service may do; what is due meanwhile comes up, a provider and notify answer by the habits of that life.
After every step whoever watches the life may look at it; a life that fails tells what happened, line by line.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial
from itertools import count, product
from typing import Any, NamedTuple

from billing_stories import (
    BUYER,
    CARD,
    MERCHANT,
    OTHER_CARD,
    TERMS,
    accepted,
    appealed,
    approved,
    charge_off,
    closed,
    decide,
    extend,
    local,
    notice,
    opened,
    pay_outside,
    payout,
    repay,
    report,
    reversal,
    ruled,
    ruled_on_fee,
    simulate,
    waive,
)
from hypothesis import strategies as st

from services.billing.service import billing
from services.billing.state import (
    Bill,
    BillStatus,
    Book,
    Extension,
    Instalment,
    LateFee,
    LedgerAccount,
    Line,
    Plan,
    Posting,
    Refund,
    Repayment,
    RepaymentStatus,
    Reversal,
)
from shared.contracts.billing import (
    Allocation,
    BillChargedOff,
    BillDueSoon,
    BillIssued,
    BillPaid,
    BillVoided,
    CollectionRequested,
    DebtChanged,
    DelinquencyChanged,
    ExtensionDecided,
    FeeReversed,
    LateFeeAssessed,
    OverpaymentDetected,
    PlanOpened,
    PlanReopened,
    PlanSettled,
    RefundAllocated,
    RepaymentAllocated,
    RepaymentReversed,
    ReportCollection,
    SetAutopay,
)
from shared.contracts.checkout import AccountActivated, CardBound
from shared.contracts.fields import Instrument
from shared.contracts.message import Command, Event, Message
from shared.contracts.policy import ExtensionOption, ExtensionTerms, LateFeeTerms, LateFeeTier, Terms
from shared.contracts.refunds import PayoutReported
from shared.engine.intake import content_of
from shared.engine.vocabulary import Cause, Deadline, Disarm, Due, Row
from shared.kernel.calendar import Calendar, WorkingWeek
from shared.kernel.ids import derived_id
from shared.testing.given import Given, Then

CALENDAR = Calendar(week=WorkingWeek.CN_WEEKENDS)
BIRTH = local("01-12 10:00")
WALLET = Instrument(kind="WALLET", token="tok_wallet")
OUTSIDE = Instrument(kind="EXTERNAL", token="till")
MINUTE = timedelta(minutes=1)

OPEN = (BillStatus.ISSUED, BillStatus.OVERDUE)
CASH = ("ORIGINAL_ROUTE", "WALLET")
MONEY_CAME = (RepaymentStatus.SUCCEEDED, RepaymentStatus.REVERSED)

# -- terms, made once --------------------------------------------------------------------------------------------------

_LATE_FEES = (
    LateFeeTerms(),
    LateFeeTerms(tiers=(LateFeeTier(fee=1000),)),
    LateFeeTerms(scheme="DAILY_BPS", daily_bps=20, waive_hours=200),
)
_EXTENSIONS = tuple(
    ExtensionTerms(approver=approver, options=(ExtensionOption(days=7), ExtensionOption(days=14, fee=100)), max_dpd=12)
    for approver in ("AUTO", "MERCHANT", "PLATFORM")
)
_FEE_BPS = tuple({"3": bps, "6": 2 * bps, "12": 3 * bps} for bps in (150, 0, 33, 1000))


def _terms() -> Iterable[Terms]:
    """Every mixture; the first is the plainest."""
    policies = ("REVERSE_DUE", "PAST_DUE_FIRST", "PRO_RATA")
    for fee_bps, extension, late_fee, policy in product(_FEE_BPS, _EXTENSIONS, _LATE_FEES, policies):
        yield TERMS.model_copy(
            update={
                "instalment_fee_bps": fee_bps,
                "extension": extension,
                "late_fee": late_fee,
                "refund_policy": policy,
            }
        )


ALL_TERMS = tuple(_terms())


# -- what is drawn -----------------------------------------------------------------------------------------------------


ANSWERS: Mapping[str, Sequence[tuple[int, str, str | None]]] = {
    "taken": [(0, "SUCCEEDED", None)],
    "soft": [(0, "DECLINED", "SOFT")],
    "hard": [(0, "DECLINED", "HARD")],
    "pending": [(0, "PENDING", None), (20, "SUCCEEDED", None)],
    "unknown": [(1, "UNKNOWN", None), (40, "DECLINED", "SOFT")],
    "late": [(31, "SUCCEEDED", None)],
    "very late": [(0, "DECLINED", "SOFT"), (300, "SUCCEEDED", None)],
    "silence": [],
}
"""What a provider does about a request: after how many hours it says what."""

REMINDING = ("in time", "in time", "in time", "sometimes", "never", "too late")
"""Whether notify gets its reminders out."""

ODD = 52
"""From this number on a move is about something it may not suit."""

MOVES = 30

_TEMPERS: Mapping[str, Sequence[str]] = {
    "of every kind": (
        *("accept", "accept", "accept", "pay a bill", "pay a bill", "pay an order", "answer", "answer", "pay outside"),
        *("reverse", "return", "close", "refund", "refund", "appeal", "rule", "appeal a fee", "ask for time", "decide"),
        *("waive", "write off", "remind", "autopay", "bind", "pay out", "again"),
    ),
    "late": (
        *("accept", "accept", "pay a bill", "pay a bill", "pay an order", "pay outside", "refund", "refund", "refund"),
        *("appeal a fee", "waive", "write off", "ask for time", "ask for time", "decide", "decide", "reverse", "again"),
    ),
    "disputed": (
        *("accept", "accept", "accept", "return", "return", "return", "close", "close", "close", "refund", "refund"),
        *(
            "appeal",
            "appeal",
            "rule",
            "rule",
            "pay a bill",
            "ask for time",
            "ask for time",
            "decide",
            "write off",
            "again",
        ),
    ),
    "taken back": (
        *(
            "accept",
            "accept",
            "pay a bill",
            "pay a bill",
            "pay an order",
            "answer",
            "reverse",
            "reverse",
            "refund",
            "refund",
        ),
        *("pay outside", "pay out", "waive", "again"),
    ),
}
"""What lives are full of."""

_PACES = ((1, 2, 5, 14, 24, 24, 48, 72), (1, 5, 24, 24, 48, 72, 100, 168, 240), (24, 48, 72, 168, 240, 750, 6000))
"""How many hours pass between moves."""


class Move(NamedTuple):
    """One thing that happens after some ``hours``; what the numbers mean depends on the verb, less is plainer."""

    verb: str
    hours: int
    which: int
    """Of several things that could be meant: which."""
    part: int
    """How much of what there is, in thousandths: 1000 to 1399 is all of it, above that too much."""
    way: int


@dataclass(frozen=True)
class Script:
    """A life as it is drawn: what others are used to doing, and the moves."""

    answers: tuple[str, ...]
    reminding: str
    orders: int
    """How many unpaid orders there are at most: the fewer, the more happens to each."""
    pays_promptly: bool
    """Whether the buyer pays a bill a day after a late fee."""
    moves: tuple[Move, ...]

    def __repr__(self) -> str:
        moves = [tuple(move) for move in self.moves if move.verb != "nothing"]
        return f"script({self.answers!r}, {self.reminding!r}, {self.orders}, {self.pays_promptly}, {moves!r})"


def script(
    answers: Sequence[str], reminding: str, orders: int, pays_promptly: bool, moves: Iterable[Sequence[Any]]
) -> Script:
    """The life that was printed like this."""
    return Script(tuple(answers), reminding, orders, pays_promptly, tuple(Move(*move) for move in moves))


def scripts(moves: int = MOVES) -> st.SearchStrategy[Script]:
    """Lives of so many moves; a shrunk one does nothing at most of them, and that takes no time and is not told."""
    return st.one_of(*(_of(verbs, hours, moves) for verbs, hours in product(_TEMPERS.values(), _PACES)))


def _of(verbs: Sequence[str], hours: Sequence[int], moves: int) -> st.SearchStrategy[Script]:
    numbers = st.integers(0, 60), st.integers(0, 1419), st.integers(0, 9)
    move = st.tuples(st.sampled_from(("nothing", "wait", *verbs)), st.sampled_from(hours), *numbers)
    return st.builds(
        Script,
        st.lists(st.sampled_from(list(ANSWERS)), min_size=1, max_size=4).map(tuple),
        st.sampled_from(REMINDING),
        st.sampled_from((2, 1, 3, 6)),
        st.booleans(),
        st.lists(move.map(Move._make), min_size=moves, max_size=moves).map(tuple),
    )


# -- a step of a life --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Step:
    """One message or deadline, when it was handled and what it did."""

    message: Message | Due
    now: datetime
    cause: Cause
    words: str
    before: Given
    heard_before: bool
    """Whether it is told once more."""
    then: Then | None = None
    """What it did; None where its handler failed."""
    events: list[Event] = field(default_factory=list)
    postings: list[Posting] = field(default_factory=list)
    rows: list[tuple[Row | None, Row]] = field(default_factory=list)
    """The rows it changed, before and after."""

    @property
    def trigger(self) -> str:
        """What the machines call it."""
        match self.message:
            case Due():
                return self.message.KIND
            case ReportCollection():
                return self.message.outcome
            case _:
                return type(self.message).__name__

    def told(self) -> str:
        """As a line of a story, in the tenant's time."""
        outcome = [_summed_up(event) for event in self.events]
        if self.then is None or self.then.rejected is not None:
            outcome = [self.then.rejected.code if self.then else "FAILED"]
        follows = f" -> {', '.join(outcome)}" if outcome else ""
        return f"{self.now.astimezone(CALENDAR.zone):%Y-%m-%d %H:%M}  {self.words or _named(self.message)}{follows}"


class Sent(NamedTuple):
    """A message as it stands on a topic."""

    at: datetime
    id: str
    message: Command | Event


# -- what the journal and the events say by themselves -----------------------------------------------------------------


class Journal:
    """The balances of all accounts, from the postings alone; debits above zero."""

    def __init__(self) -> None:
        self._total: Counter[LedgerAccount] = Counter()
        self._of: Counter[tuple[LedgerAccount, str | None]] = Counter()

    def post(self, one: Posting) -> None:
        amount = one.debit - one.credit
        self._total[one.account] += amount
        about = one.bill_id if one.account is LedgerAccount.LATE_FEE_RECEIVABLE else one.order_id
        self._of[one.account, about] += amount

    def all(self) -> int:
        """The trial balance."""
        return sum(self._total.values())

    def balance(self, account: LedgerAccount) -> int:
        return self._total[account]

    def of(self, account: LedgerAccount, order_or_bill: str) -> int:
        """The part of a receivable that is about an order, or about a bill for late fees."""
        return self._of[account, order_or_bill]


class Observer:
    """What somebody knows who hears the events and nothing else (I-8). Amounts are minor units."""

    def __init__(self) -> None:
        self.owed: dict[str, dict[int, int]] = {}
        """Unpaid principal by order and instalment, written off or not."""
        self.fees: Counter[str] = Counter()
        """Unpaid instalment and extension fees by bill."""
        self.late_fees: Counter[str] = Counter()
        """Late fees that stand, by bill."""
        self.bills: dict[str, str] = {}
        self.told_again: list[Event] = []
        """Ends of plans and bills that had been told before."""
        self.settled: dict[str, bool] = {}
        self.stages: dict[str, str] = {}
        self.account_stage = "NONE"
        self.debt = (0, 0)
        """Outstanding principal and the version it came with."""
        self.came: Counter[str | None] = Counter()
        """What providers took, by order and (None) altogether; of an order, what was allocated to it."""
        self.back: Counter[str | None] = Counter()
        """What goes back in cash, alike."""
        self.taken = 0
        """What providers took and no bank took back."""
        self.owed_no_more = 0
        """Late fees that had become fees of reversals' bills, and that refunds took back there."""
        self.payouts: dict[tuple[str, str], PayoutReported] = {}
        """Each outcome of a payout once, however often it is told."""
        self.overpaid: Counter[str] = Counter()
        self.refunded: Counter[str] = Counter()
        self._bill_of: dict[tuple[str, int], str] = {}

    def paid_out(self, *, overpaid: bool, outside: bool) -> int:
        """What left for good, for overpayments or for refunds, through providers or by merchants outside."""
        signs = {"SUCCEEDED": 1, "RETURNED": -1}
        return sum(
            signs.get(one.outcome, 0) * one.amount
            for one in self.payouts.values()
            if ((one.cause == "OVERPAYMENT"), (one.kind == "EXTERNAL")) == (overpaid, outside)
        )

    def hear(self, event: Event) -> None:  # noqa: C901, PLR0912 - one case an event
        if isinstance(event, DebtChanged):
            self.debt = (event.outstanding_principal, event.book_version)
        match event:
            case PlanOpened():
                self.settled[event.order_id] = False
                for part in event.instalments:
                    self._owe(event.order_id, part.seq, part.bill_id, part.principal, part.fee)
            case PlanReopened():
                self.settled[event.order_id] = False
                seq = len(self.owed[event.order_id]) + 1
                self._owe(event.order_id, seq, event.bill_id, event.principal, event.fee)
            case PlanSettled():
                if self.settled[event.order_id]:
                    self.told_again.append(event)
                self.settled[event.order_id] = True
            case RepaymentAllocated():
                self._pay(event.allocations)
                if event.mode != "EXTERNAL":
                    self.taken += event.amount
                    self.came[None] += event.amount
                    self._came(event.allocations)
            case RepaymentReversed():
                self.taken -= event.amount
            case RefundAllocated():
                self._fall(event)
            case OverpaymentDetected():
                self.overpaid[event.overpayment_id] += event.amount
                if event.instrument.kind != "EXTERNAL":
                    self.back[None] += event.amount
            case FeeReversed():
                self.late_fees[event.bill_id] -= event.amount
                self._pay(event.reapplied)
                self._came(part for part in event.reapplied if part.bill_id == event.bill_id)
                self.owed_no_more += sum(part.amount for part in event.reapplied if part.bill_id != event.bill_id)
            case LateFeeAssessed():
                self.late_fees[event.bill_id] += event.amount
            case ExtensionDecided(decision="GRANTED"):
                self.fees[event.bill_id] += event.fee
            case BillChargedOff():
                self.fees[event.bill_id] -= event.fee
                self.late_fees[event.bill_id] -= event.late_fee
                self._turn(event, "CHARGED_OFF", since=("OPEN",))
            case BillIssued():
                self._turn(event, "OPEN", since=(None,))
            case BillPaid():
                self._turn(event, "PAID", since=("OPEN", "CHARGED_OFF"))
            case BillVoided():
                self._turn(event, "VOIDED", since=("OPEN", "CHARGED_OFF"))
            case DelinquencyChanged():
                self.stages[event.bill_id] = event.stage
                self.account_stage = event.account_stage
            case PayoutReported():
                self.payouts[event.payout_id, event.outcome] = event

    def _turn(self, event: Any, state: str, since: Sequence[str | None]) -> None:
        if self.bills.get(event.bill_id) not in since:
            self.told_again.append(event)
        self.bills[event.bill_id] = state

    def _owe(self, order_id: str, seq: int, bill_id: str, principal: int, fee: int) -> None:
        self.owed.setdefault(order_id, {})[seq] = principal
        self.fees[bill_id] += fee
        self._bill_of[order_id, seq] = bill_id

    def _pay(self, allocations: Iterable[Allocation]) -> None:
        for part in allocations:
            if part.component == "PRINCIPAL":
                self.owed[part.order_id][part.seq] -= part.amount
            elif part.component == "FEE":
                self.fees[part.bill_id] -= part.amount

    def _came(self, allocations: Iterable[Allocation]) -> None:
        for part in allocations:
            if part.order_id is not None:
                self.came[part.order_id] += part.amount

    def _fall(self, event: RefundAllocated) -> None:
        self.refunded[event.refund_id] += 1
        for step in event.trace:
            if step.does in ("LOWERS_PRINCIPAL", "LOWERS_CHARGED_OFF"):
                self.owed[step.order_id][step.seq] -= step.amount
            elif step.does in ("CANCELS_FEE", "PAYS_FEE"):
                self.fees[self._bill_of[step.order_id, step.seq]] -= step.amount
        cash = sum(leg.amount for leg in event.legs if leg.kind in CASH)
        self.back.update({None: cash, event.order_id: cash})


# -- the life ----------------------------------------------------------------------------------------------------------


@dataclass
class Touched:
    """What steps have changed or were about, since somebody looked last."""

    orders: set[str] = field(default_factory=set)
    bills: set[str] = field(default_factory=set)
    money: bool = False
    """Whether anything that money is counted by has changed."""

    def by_posting(self, posting: Posting) -> None:
        self.money = True
        if posting.order_id is not None:
            self.orders.add(posting.order_id)
        if posting.bill_id is not None:
            self.bills.add(posting.bill_id)

    def by_row(self, known: Any, row: Row) -> None:
        match row:
            case Plan():
                self.orders.add(row.order_id)
                self.bills.update(part.bill_id for part in row.instalments)
                self.money = True
            case Bill():
                self.bills.add(row.bill_id)
                self.money |= known is None or known.late_fees != row.late_fees
            case Repayment():
                self.money |= known is None or (known.status, known.reversed) != (row.status, row.reversed)
            case Refund() | Reversal() | Extension():
                self.money = True


Watch = Callable[["Life", Step], None]


class Life:
    """A buyer from the account on. ``watch`` looks at it after every step, and raises where something is wrong."""

    def __init__(self, played: Script, watch: Watch = lambda life, step: None, buyer: str = BUYER) -> None:
        self.buyer = buyer
        self.given = Given(billing)
        self.armed: list[Deadline] = []
        """What is due ahead, the earliest first."""
        self.now = BIRTH
        self.rows: dict[type[Row], dict[str, Any]] = {
            kind: {} for kind in (Book, Plan, Bill, Extension, Repayment, Reversal, Refund)
        }
        self.journal = Journal()
        self.observer = Observer()
        self.steps: list[Step] = []
        self.sent: list[Sent] = []
        self.events: list[Event] = []
        self.touched = Touched()
        self.heard: list[Step] = []
        """Facts and requests that were accepted, as they came."""
        self.cases: dict[str, str] = {}
        """The order of each return case and appeal."""
        self.disputed: dict[str, dict[str, str]] = {}
        """The late fee an appeal is about besides its order, and the fee's bill."""
        self.number = 0
        self.script = played
        self._watch = watch
        self._ids = count(1)
        self._awaited: list[tuple[datetime, int, Callable[[], tuple[str, Command | Event]]]] = []
        self._answered = 0
        self._reminded = 0

    def play(self) -> Life:
        """From the first day to the last move."""
        self.do(AccountActivated(buyer_id=self.buyer, currency="CNY", score=640, limit=200000, instrument=CARD), "born")
        for number, move in enumerate(self.script.moves, start=1):
            self.number = number
            if move.verb != "nothing":
                self.wait_until(self.now + timedelta(hours=move.hours))
                VERBS[move.verb](self, move)
        return self

    def story(self) -> str:
        """What happened, one line each, in the tenant's time."""
        habits = f"provider: {', '.join(self.script.answers)}; reminders: {self.script.reminding}"
        lines = [f"\n{habits}{'; late fees are answered by prompt payment' * self.script.pays_promptly}"]
        return "\n".join([*lines, *(step.told() for step in self.steps)])

    @property
    def told(self) -> list[Event | str]:
        """Every event in its order, and of a rejection the code."""
        outcomes = (
            [step.then.rejected.code] if step.then and step.then.rejected else step.events for step in self.steps
        )
        return [one for outcome in outcomes for one in outcome]

    # ------------------------------------------------------------------ what there is

    @property
    def book(self) -> Book:
        return self.rows[Book][self.buyer]

    @property
    def plans(self) -> dict[str, Plan]:
        return self.rows[Plan]

    @property
    def bills(self) -> dict[str, Bill]:
        return self.rows[Bill]

    @property
    def today(self) -> date:
        return CALENDAR.date(self.now)

    @property
    def at_rest(self) -> bool:
        """Whether nothing is to happen at once any more: what a message arms for its own instant is a part of it."""
        return not self.armed or self.armed[0].at > self.now

    def some(self, kind: type[Row], which: int, holds: Callable[[Any], bool] = lambda row: True) -> Any | None:
        """One of the rows for which it holds, if there is one; now and then one of all of them."""
        rows = list(self.rows[kind].values())
        if which < ODD:
            rows = [row for row in rows if holds(row)]
        return rows[which % len(rows)] if rows else None

    def parts_of(self, bill: Bill) -> list[Instalment]:
        """The instalments on the lines of a bill."""
        return [self.plans[line.order_id].instalments[line.seq - 1] for line in bill.lines]

    def lines_of(self, bill: Bill) -> list[tuple[Line, Instalment]]:
        """Each line with the instalment on it."""
        return list(zip(bill.lines, self.parts_of(bill), strict=True))

    def unpaid(self, bill: Bill) -> int:
        """All that a bill still costs."""
        return sum(part.unpaid for part in self.parts_of(bill)) + sum(fee.unpaid for fee in bill.late_fees)

    def late_fee(self, which: int) -> tuple[Bill, LateFee] | None:
        fees = [(bill, fee) for bill in self.bills.values() for fee in bill.late_fees]
        return fees[which % len(fees)] if fees else None

    # ------------------------------------------------------------------ time and messages

    def wait_until(self, instant: datetime) -> None:
        """Let time pass: what is due comes up, what others were about to say is said."""
        while True:
            upcoming = [at for at, *_ in self._awaited[:1]] + [due.at for due in self.armed[:1]]
            if not upcoming or (at := min(upcoming)) > instant:
                break
            self._run_due(at)
            if self._awaited and self._awaited[0][0] <= at:
                self.now = max(self.now, at)
                words, message = heapq.heappop(self._awaited)[2]()
                self.do(message, words)
        self.now = instant

    def do(self, message: Command | Event, words: str) -> Step:
        """Handle one message now, in these words."""
        self._run_due(self.now)
        message_id = derived_id("life", self.buyer, next(self._ids))
        self.sent.append(Sent(self.now, message_id, message))
        content = content_of(message, message.to_json().encode()) if isinstance(message, Command) else ""
        step = self._step(message, self.now, Cause(message_id, content), words)
        if step.then is not None and step.then.rejected is None:
            self.heard.append(step)
        self._run_due(self.now)
        return step

    def repeat(self, step: Step) -> None:
        """A fact is told once more under its own id, and nobody remembers the first time."""
        words = f"told again: {_named(step.message)}"
        self._step(step.message, step.now, step.cause, words, heard_before=True)

    def _run_due(self, instant: datetime) -> None:
        while self.armed and self.armed[0].at <= instant:
            due = self.armed[0]
            self.now = max(self.now, due.at)
            self._step(due.message, due.at, Cause(f"deadline-{next(self._ids)}"))

    def _step(
        self, message: Message | Due, now: datetime, cause: Cause, words: str = "", *, heard_before: bool = False
    ) -> Step:
        step = Step(message, now, cause, words, self.given, heard_before)
        self.steps.append(step)
        step.then = self.given.when(message, now, cause)
        self._take_over(step, step.then)
        self._watch(self, step)
        if not heard_before:
            self._let_others_react(step)
        return step

    def _take_over(self, step: Step, then: Then) -> None:
        self.given, self.armed = then.given, then.given.armed
        if isinstance(step.message, Event) and not step.heard_before:
            self.observer.hear(step.message)
        elif isinstance(step.message, Due):
            self.touched.bills.add(step.message.subject)
        for one in then.yields:
            match one:
                case Event():
                    step.events.append(one)
                    self.observer.hear(one)
                case Posting():
                    step.postings.append(one)
                    self.journal.post(one)
                    self.touched.by_posting(one)
                case Row():
                    rows = self.rows.setdefault(type(one), {})
                    known = rows.get(row_id := one.identity()[1])
                    rows[row_id] = one
                    step.rows.append((known, one))
                    self.touched.by_row(known, one)
                case Deadline():
                    self.touched.bills.add(one.message.subject)
                case Disarm():
                    self.touched.bills.add(one.subject)
        self.events += step.events

    # ------------------------------------------------------------------ what others do by habit

    def _let_others_react(self, step: Step) -> None:
        for event in step.events:
            match event:
                case CollectionRequested():
                    habit = self.script.answers[self._answered % len(self.script.answers)]
                    self._answered += 1
                    self._await_answer(event, habit)
                case BillDueSoon():
                    self._reminded += 1
                    self._await_reminder(event)
                case LateFeeAssessed() if self.script.pays_promptly:
                    self._soon(timedelta(hours=20), partial(self.prompt_payment, event.bill_id))

    def _await_answer(self, asked: CollectionRequested, habit: str) -> None:
        for hours, outcome, decline in ANSWERS[habit]:
            say = partial(self.answer, asked.repayment_id, asked.amount, outcome, decline)
            self._soon(timedelta(hours=hours, minutes=1), say)

    def answer(self, repayment_id: str, amount: int, outcome: str, decline: str | None) -> tuple[str, Command]:
        """The provider's report of a request."""
        words = f"the provider says of {repayment_id}: {outcome}{f' ({decline})' if decline else ''} {amount}"
        return words, report(repayment_id, outcome, amount, self.now, decline=decline, buyer_id=self.buyer)

    def _await_reminder(self, event: BillDueSoon) -> None:
        habit = self.script.reminding
        if habit == "in time" or (habit == "sometimes" and self._reminded % 2):
            self._soon(MINUTE, lambda: self.reminder(event.bill_id, event.due_version, self.now, "SMS"))
        elif habit == "too late" and event.days_left == 0:
            midnight = CALENDAR.at(event.due_on + timedelta(days=1), time())
            self._soon(midnight - self.now, lambda: self.reminder(event.bill_id, event.due_version, self.now, "SMS"))

    def reminder(self, bill_id: str, version: int, sent_at: datetime, channel: str) -> tuple[str, Event]:
        """notify's word that the buyer was reminded."""
        words = f"notify reminds of {bill_id}, due date {version}, by {channel}"
        return words, notice(sent_at, bill_id, version, channel=channel, buyer_id=self.buyer)

    def prompt_payment(self, bill_id: str) -> tuple[str, Command]:
        """The buyer pays all of a bill soon after a late fee (B-F6)."""
        amount, number = max(1, self.unpaid(self.bills[bill_id])), next(self._ids)
        words = f"the buyer promptly pays {amount} on {bill_id}"
        return words, repay(f"prompt-{number}", amount, bill_id=bill_id, buyer_id=self.buyer)

    def _soon(self, delay: timedelta, say: Callable[[], tuple[str, Command | Event]]) -> None:
        heapq.heappush(self._awaited, (self.now + delay, next(self._ids), say))


def _named(message: Message | Due) -> str:
    if isinstance(message, Due):
        details = [
            f"{name} {value}"
            for name in ("day", "offset", "days_left")
            if (value := getattr(message, name, None)) is not None
        ]
        return " ".join((message.KIND, message.subject, *details))
    return f"{type(message).__name__} {getattr(message, message.SUBJECT)}"


def _summed_up(event: Event) -> str:
    amount = getattr(event, "amount", getattr(event, "amount_due", ""))
    return f"{type(event).__name__} {getattr(event, event.SUBJECT)} {amount}".rstrip()


def part_of(whole: int, part: int) -> int:
    """So many thousandths of the whole, at least 1; from 1000 on all of it, from 1400 on more than that."""
    if part >= 1400:
        return whole + part - 1399
    return max(1, whole if part >= 1000 else whole * part // 1000)


# -- the verbs ---------------------------------------------------------------------------------------------------------

_COUNTS = (0, 0, 0, 3, 3, 1, 3, 1, 6, 12)
"""In how many instalments an order is paid on statements; 0: on a bill of its own."""


def _wait(life: Life, move: Move) -> None:
    """Time has passed, and that is all."""


def _accept(life: Life, move: Move) -> None:
    if sum(plan.unpaid > 0 for plan in life.plans.values()) >= life.script.orders:
        return
    order_id, amount = f"o-{len(life.plans) + 1}", 1 + move.part * 20 + move.which % 20
    terms = ALL_TERMS[move.which * move.part % len(ALL_TERMS)]
    instalments = _COUNTS[move.way]
    kind = "MONTHLY" if instalments else "PAY_AFTER_USE"
    merchant = MERCHANT if move.part % 2 == 0 else "m-43"
    words = (
        f"the buyer accepts {order_id} of {merchant}: {amount}, {kind} in {instalments or 1} (fees "
        f"{terms.instalment_fee_bps['3']} bps, {terms.late_fee.scheme} from {terms.late_fee.tiers[0].fee}, "
        f"{terms.refund_policy}, extensions by {terms.extension.approver})"
    )
    other = {"product": kind, "instalments": instalments or 1, "merchant_id": merchant, "terms": terms}
    life.do(accepted(order_id, amount, life.now, buyer_id=life.buyer, **other), words)


def _instrument(way: int) -> Instrument:
    return (CARD, CARD, CARD, OTHER_CARD, OTHER_CARD, OTHER_CARD, WALLET, WALLET, WALLET, OUTSIDE)[way]


def _pay_bill(life: Life, move: Move) -> None:
    if (bill := life.some(Bill, move.which, lambda bill: life.unpaid(bill) and bill.status != "SCHEDULED")) is not None:
        amount, instrument = part_of(life.unpaid(bill), move.part), _instrument(move.way)
        words = f"the buyer pays {amount} on {bill.bill_id} by {instrument.token}"
        other = {"bill_id": bill.bill_id, "instrument": instrument, "buyer_id": life.buyer}
        life.do(repay(f"pay-{life.number}", amount, **other), words)


def _pay_order(life: Life, move: Move) -> None:
    if (plan := life.some(Plan, move.which, lambda plan: plan.unpaid > 0)) is not None:
        own = life.bills.get(f"b:{plan.order_id}")
        late = sum(fee.unpaid for fee in own.late_fees) if own is not None else 0
        amount, instrument = part_of(plan.unpaid + late, move.part), _instrument(move.way)
        words = f"the buyer pays {amount} on order {plan.order_id} by {instrument.token}"
        other = {"order_id": plan.order_id, "instrument": instrument, "buyer_id": life.buyer}
        life.do(repay(f"pay-{life.number}", amount, **other), words)


def _answer(life: Life, move: Move) -> None:
    asked = life.some(Repayment, move.which, lambda one: one.status not in MONEY_CAME)
    if asked is not None:
        outcome = (*["SUCCEEDED"] * 6, "DECLINED", "DECLINED", "PENDING", "UNKNOWN")[move.way]
        decline = {6: "SOFT", 7: "HARD"}.get(move.way)
        amount = asked.amount + (move.part >= 1400)
        words, message = life.answer(asked.repayment_id, amount, outcome, decline)
        life.do(message, words)


def _pay_outside(life: Life, move: Move) -> None:
    wanted = lambda bill: bill.kind == "PAY_AFTER_USE" and life.unpaid(bill)  # noqa: E731
    if (bill := life.some(Bill, move.which, wanted)) is not None:
        amount, paid_at = part_of(life.unpaid(bill), move.part), life.now - timedelta(days=4 * move.way)
        words = f"the merchant records {amount} paid outside on {bill.bill_id} on {CALENDAR.date(paid_at)}"
        other = {"external_ref": f"till-{life.number}", "bill_id": bill.bill_id, "buyer_id": life.buyer}
        life.do(pay_outside(amount, paid_at, **other), words)


def _reverse(life: Life, move: Move) -> None:
    came = life.some(
        Repayment, move.which, lambda one: one.status is RepaymentStatus.SUCCEEDED and one.mode != "EXTERNAL"
    )
    if came is not None:
        amount = part_of(came.amount - came.reversed, move.part)
        words = f"a bank takes {amount} of {came.repayment_id} back"
        other = {"reversal_id": f"cb-{life.number}", "buyer_id": life.buyer}
        life.do(reversal(came.repayment_id, amount, life.now, **other), words)


def _return(life: Life, move: Move) -> None:
    if (plan := life.some(Plan, move.which, lambda plan: plan.outstanding > 0)) is not None:
        share, case_id = part_of(plan.principal, move.part), f"case-{life.number}"
        life.cases[case_id] = plan.order_id
        words = f"{case_id} opens: {share} of {plan.order_id} may come back"
        other = {"buyer_id": life.buyer, "merchant_id": plan.merchant_id}
        life.do(opened(case_id, share, plan.order_id, **other), words)


def _close(life: Life, move: Move) -> None:
    if (case_id := _some_case(life, move.which, "case")) is not None:
        outcome = ("REJECTED", "REFUNDED", "WITHDRAWN")[move.way % 3]
        ended = closed(case_id, outcome, life.cases[case_id]).model_copy(update={"buyer_id": life.buyer})
        life.do(ended, f"{case_id} ends: {outcome}")


def _some_case(life: Life, which: int, kind: str) -> str | None:
    cases = [one for one in life.cases if one.startswith(kind) and (which >= ODD or _is_running(life, one))]
    return cases[which % len(cases)] if cases else None


def _is_running(life: Life, ref: str) -> bool:
    return any(pause.ref == ref and pause.shares for pause in life.plans[life.cases[ref]].pauses)


def _appeal(life: Life, move: Move) -> None:
    if (plan := life.some(Plan, move.which, lambda plan: plan.outstanding > 0)) is not None:
        amount, appeal_id = part_of(plan.principal, move.part), f"ap-{life.number}"
        life.cases[appeal_id] = plan.order_id
        life.disputed[appeal_id] = about = _late_fee_of(life, plan) if move.way else {}
        words = f"the buyer appeals ({appeal_id}): {amount} of {plan.order_id} is in dispute{_named_too(about)}"
        other = {"appeal_id": appeal_id, "order_id": plan.order_id, "buyer_id": life.buyer, **about}
        life.do(appealed(amount, **other), words)


def _late_fee_of(life: Life, plan: Plan) -> dict[str, str]:
    """The first late fee of the order's bills, if there is one, as an appeal names it."""
    bills = dict.fromkeys(part.bill_id for part in plan.instalments)
    fees = [(bill_id, fee.fee_id) for bill_id in bills for fee in life.bills[bill_id].late_fees]
    return {"subject": "LATE_FEE", "bill_id": fees[0][0], "fee_id": fees[0][1]} if fees else {}


def _named_too(about: Mapping[str, str]) -> str:
    return f", {about['fee_id']} too" if about else ""


def _rule(life: Life, move: Move) -> None:
    if (appeal_id := _some_case(life, move.which, "ap")) is not None:
        outcome = ("SELLER", "BUYER", "SPLIT", "WITHDRAWN")[move.way % 4]
        about = life.disputed[appeal_id]
        other = {"appeal_id": appeal_id, "order_id": life.cases[appeal_id], "buyer_id": life.buyer, **about}
        life.do(ruled(outcome, **other), f"{appeal_id} is decided: {outcome}{_named_too(about)}")


def _refund(life: Life, move: Move) -> None:
    """Ask what a refund would do, then approve it."""
    if (plan := life.some(Plan, move.which)) is None:
        return
    amount = part_of(plan.principal - plan.refunded_total, move.part)
    destination = ("ORIGINAL_ROUTE", "WALLET")[move.way % 2]
    value_on = life.today - timedelta(days=(0, 3, 8, 20, 70)[move.way // 2])
    mine = [case_id for case_id, order_id in life.cases.items() if order_id == plan.order_id]
    refund_id = f"{mine[move.which % len(mine)]}:r{life.number}" if mine and move.which % 3 else f"rf-{life.number}"
    other = {"value_on": value_on, "destination": destination, "buyer_id": life.buyer, "merchant_id": plan.merchant_id}
    words = f"of {amount} of {plan.order_id} ({destination}, counting from {value_on})"
    asked = {"simulation_id": f"sim-{life.number}", "order_id": plan.order_id, "currency": plan.currency, **other}
    life.do(simulate(amount, **asked), f"what would a refund do {words}")
    if refund_id.startswith("ap-"):
        other |= {"case_id": None, "appeal_id": refund_id.partition(":")[0], "cause": "APPEAL"}
    life.do(approved(amount, refund_id, plan.order_id, **other), f"refund {refund_id} {words}")


def _appeal_fee(life: Life, move: Move) -> None:
    if (found := life.late_fee(move.which)) is not None:
        fee, outcome = found[1], ("BUYER", "SPLIT", "SELLER")[move.way % 3]
        amount = part_of(fee.amount, move.part) if outcome == "SPLIT" else None
        about = {"appeal_id": f"fa-{life.number}", "amount": amount, "currency": "CNY" if amount else None}
        words = f"an appeal against {fee.fee_id} is decided: {outcome} {amount or ''}".rstrip()
        life.do(ruled_on_fee(outcome, fee.fee_id, buyer_id=life.buyer, **about), words)


def _ask_for_time(life: Life, move: Move) -> None:
    if (bill := life.some(Bill, move.which, lambda bill: bill.status in OPEN)) is not None:
        days = (7, 7, 7, 7, 14, 14, 14, 14, 14, 5)[move.way]
        words = f"the buyer asks for {days} more days on {bill.bill_id}"
        other = {"extension_id": f"ext-{life.number}", "bill_id": bill.bill_id, "buyer_id": life.buyer}
        life.do(extend(days, **other), words)


def _decide(life: Life, move: Move) -> None:
    if (wish := life.some(Extension, move.which, lambda wish: wish.status == "REQUESTED")) is not None:
        decision = ("GRANTED", "GRANTED", "DECLINED")[move.way % 3]
        by = "PLATFORM" if wish.approver == "AUTO" or move.way == 9 else wish.approver
        other = {"extension_id": wish.extension_id, "bill_id": wish.bill_id, "buyer_id": life.buyer}
        life.do(decide(decision, by, **other), f"{by} decides on {wish.extension_id}: {decision}")


def _waive(life: Life, move: Move) -> None:
    if (found := life.late_fee(move.which)) is not None:
        by = "MERCHANT" if move.way == 9 else "PLATFORM"
        life.do(waive(found[1].fee_id, by=by, buyer_id=life.buyer), f"{by} drops {found[1].fee_id}")


def _write_off(life: Life, move: Move) -> None:
    if (bill := life.some(Bill, move.which, lambda bill: bill.status == "OVERDUE")) is not None:
        by = "MERCHANT" if move.way == 9 else "PLATFORM"
        life.do(charge_off(bill.bill_id, by=by, buyer_id=life.buyer), f"{by} writes {bill.bill_id} off")


def _remind(life: Life, move: Move) -> None:
    if (bill := life.some(Bill, move.which, lambda bill: bill.status in OPEN)) is not None:
        channel = ("SMS", "PUSH", "EMAIL", "IN_APP")[move.way % 4]
        words, sent = life.reminder(bill.bill_id, bill.due_version, life.now - timedelta(hours=12 * move.way), channel)
        life.do(sent, words)


def _set_autopay(life: Life, move: Move) -> None:
    enabled, instrument = move.way % 3 > 0, (None, CARD, OTHER_CARD)[move.which % 3]
    words = f"the buyer turns autopay {'on' if enabled else 'off'}, {instrument.token if instrument else 'same card'}"
    life.do(SetAutopay(buyer_id=life.buyer, enabled=enabled, instrument=instrument), words)


def _bind(life: Life, move: Move) -> None:
    card = (CARD, OTHER_CARD)[move.way % 2]
    life.do(CardBound(buyer_id=life.buyer, instrument=card), f"the buyer binds {card.token}")


def _pay_out(life: Life, move: Move) -> None:
    """A provider says what became of a cash leg or of an overpayment; only what has arrived can bounce."""
    refund = life.some(Refund, move.which, lambda one: one.cash + one.external)
    if refund is None or not refund.cash + refund.external:
        return
    outcome = ("SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "RETURNED", "FAILED")[move.way // 2]
    kind, leg_id, amount = _leg(life, refund, move.part)
    if outcome == "RETURNED" and f"{leg_id}:1:SUCCEEDED" not in refund.posted:
        outcome = "SUCCEEDED"
    about = {"kind": kind, "cause": refund.cause, "order_id": refund.order_id, "buyer_id": life.buyer}
    life.do(payout(leg_id, outcome, amount, **about), f"payout of {amount} ({leg_id}): {outcome}")


def _leg(life: Life, refund: Refund, part: int) -> tuple[str, str, int]:
    """One of the cash legs of a refund: its kind, id and amount."""
    if refund.cause == "OVERPAYMENT":
        return ("EXTERNAL" if refund.external else "ORIGINAL_ROUTE"), f"{refund.refund_id}:1", refund.amount
    told = next(one for one in life.events if isinstance(one, RefundAllocated) and one.refund_id == refund.refund_id)
    legs = [leg for leg in told.legs if leg.kind != "DEBT"]
    leg = legs[part % len(legs)]
    return leg.kind, leg.leg_id, leg.amount


def _again(life: Life, move: Move) -> None:
    """A fact is heard a second time, or a request is made a second time under a new id."""
    step = life.heard[move.which % len(life.heard)] if move.way % 2 else life.heard[-1 - move.which % len(life.heard)]
    if isinstance(step.message, Event):
        life.repeat(step)
    else:
        life.do(step.message, f"asked again: {_named(step.message)}")


VERBS: Mapping[str, Callable[[Life, Move], None]] = {
    "wait": _wait,
    "accept": _accept,
    "pay a bill": _pay_bill,
    "pay an order": _pay_order,
    "answer": _answer,
    "pay outside": _pay_outside,
    "reverse": _reverse,
    "return": _return,
    "close": _close,
    "refund": _refund,
    "appeal": _appeal,
    "rule": _rule,
    "appeal a fee": _appeal_fee,
    "ask for time": _ask_for_time,
    "decide": _decide,
    "waive": _waive,
    "write off": _write_off,
    "remind": _remind,
    "autopay": _set_autopay,
    "bind": _bind,
    "pay out": _pay_out,
    "again": _again,
}
