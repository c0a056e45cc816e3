"""Whatever a buyer does, a provider and refunds say: the books balance (I-1, I-2, I-4, I-8, I-9, law 4)."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from billing_stories import BUYER, CARD, accepted, approved, closed, local, opened, payout, repay, report
from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.deadlines import Collect, DueSoon, Step
from services.billing.rules import dues, timetable
from services.billing.rules.delinquency import ladder
from services.billing.service import billing
from services.billing.state import (
    BILL_MACHINE,
    Autopay,
    Bill,
    BillStatus,
    Book,
    LedgerAccount,
    Plan,
    PlanStatus,
    Posting,
    Refund,
    Repayment,
    RepaymentStatus,
)
from shared.contracts.billing import (
    BillPaid,
    BillVoided,
    CollectionRequested,
    OverpaymentDetected,
    PlanSettled,
    RefundAllocated,
    RepaymentAllocated,
)
from shared.contracts.message import Command, Event
from shared.contracts.refunds import PayoutReported, RefundApproved, ReturnOpened
from shared.engine.vocabulary import Cause
from shared.kernel.calendar import Calendar, WorkingWeek
from shared.testing.given import Given

ORDERS = ("o-1", "o-2", "o-3")
CALENDAR = Calendar(week=WorkingWeek.CN_WEEKENDS)

amounts = st.integers(1, 30000)
orders = st.sampled_from(ORDERS)
choices = st.integers(0, 30)
moves = st.one_of(
    st.tuples(st.just("pay a bill"), orders, amounts),
    st.tuples(st.just("pay an order"), orders, amounts),
    st.tuples(
        st.just("report"), choices, st.sampled_from(("SUCCEEDED", "SUCCEEDED", "DECLINED", "PENDING", "UNKNOWN"))
    ),
    st.tuples(st.just("wait"), st.integers(1, 14 * 24), st.just(None)),
    st.tuples(st.just("accept"), orders, amounts),
    st.tuples(st.just("return"), orders, amounts),
    st.tuples(st.just("close"), choices, st.sampled_from(("REFUNDED", "REJECTED"))),
    st.tuples(st.just("refund"), choices, amounts),
    st.tuples(st.just("give"), orders, amounts),
    st.tuples(st.just("pay out"), choices, st.sampled_from(("SUCCEEDED", "RETURNED", "FAILED"))),
    st.tuples(st.just("again"), choices, st.just(None)),
)


class Ledger:
    """Everything a run of messages left behind."""

    def __init__(self) -> None:
        self.given = Given(billing, Book(BUYER, "CNY", autopay=Autopay(instrument=CARD)))
        self.now = local("03-12 10:00")
        self.postings: list[Posting] = []
        self.events: list[Event] = []
        self.handled: list[tuple[Event, datetime, Cause]] = []
        """Events of other services that were applied, with the time and the id under which they came."""

    def play(self, moves: list[tuple]) -> None:
        for number, (move, what, value) in enumerate(moves):
            self.pass_hours(what if move == "wait" else 1)
            if move == "again" and self.handled:
                message, at, cause = self.handled[what % len(self.handled)]
                assert self.given.when(message, at, cause).yields == []
            if (message := self._message(move, what, value, number)) is not None:
                self.handle(message, Cause(f"message-{number}"))

    def pass_hours(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        for done in self.given.until(self.now):
            self._keep(done)

    def handle(self, message: Event | Command, cause: Cause) -> None:
        done = self.given.when(message, self.now, cause)
        if isinstance(message, Event) and done.rejected is None:
            self.handled.append((message, self.now, cause))
        self._keep(done)

    def _message(self, move: str, what: object, value: object, number: int) -> Event | Command | None:
        compose: Mapping[str, Callable[[], Event | Command | None]] = {
            "report": lambda: self._report(what, value),
            "accept": lambda: accepted(what, value, self.now),
            "pay a bill": lambda: repay(f"pay-{number}", value, bill_id=f"b:{what}"),
            "pay an order": lambda: repay(f"pay-{number}", value, order_id=what),
            "return": lambda: opened(f"case-{number}", value, what),
            "close": lambda: self._of_a_case(what, lambda one: closed(one.case_id, value, one.order_id)),
            "refund": lambda: self._of_a_case(
                what, lambda one: approved(value, f"{one.case_id}:r{number}", one.order_id)
            ),
            "give": lambda: approved(value, f"rf-{number}", what),
            "pay out": lambda: self._payout(what, value),
        }
        return compose[move]() if move in compose else None

    def _report(self, what: int, outcome: str) -> Command | None:
        requests = [event for event in self.events if isinstance(event, CollectionRequested)]
        asked = requests[what % len(requests)] if requests else None
        return asked and report(asked.repayment_id, outcome, asked.amount, self.now)

    def _of_a_case(self, what: int, compose: Callable[[ReturnOpened], Event]) -> Event | None:
        cases = [message for message, *_ in self.handled if isinstance(message, ReturnOpened)]
        return compose(cases[what % len(cases)]) if cases else None

    def _payout(self, what: int, outcome: str) -> Event | None:
        """A report of a cash leg or of an overpayment; only what has arrived can bounce."""
        payouts = [
            payout(leg.leg_id, outcome, leg.amount, kind=leg.kind, order_id=event.order_id)
            for event in self.events
            if isinstance(event, RefundAllocated)
            for leg in event.legs
            if leg.kind != "DEBT"
        ] + [
            payout(f"op:{event.overpayment_id}:1", outcome, event.amount, cause="OVERPAYMENT")
            for event in self.events
            if isinstance(event, OverpaymentDetected)
        ]
        if not payouts:
            return None
        told = payouts[what % len(payouts)]
        arrived = f"{told.payout_id}:SUCCEEDED" in self.given.row(Refund, told.refund_id).posted
        return told if arrived or outcome != "RETURNED" else None

    def _keep(self, done) -> None:
        self.given = done.given
        self.postings += done.entries
        self.events += done.events
        assert sum(one.debit - one.credit for one in done.entries) == 0

    def rows(self, kind: type) -> list:
        return [row for row in self.given.rows if type(row) is kind]

    def told(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    def balance(self, account: LedgerAccount) -> int:
        return sum(one.debit - one.credit for one in self.postings if one.account is account)

    def paid_out(self, *, overpayments: bool) -> int:
        """What left for good, each payout counted once however often it was reported."""
        told = {
            (one.payout_id, one.outcome): one.amount
            for one, *_ in self.handled
            if isinstance(one, PayoutReported) and (one.cause == "OVERPAYMENT") is overpayments
        }
        signs = {"SUCCEEDED": 1, "RETURNED": -1, "FAILED": 0}
        return sum(signs[outcome] * amount for (_, outcome), amount in told.items())


lives = st.lists(moves, max_size=40)


@settings(max_examples=150, deadline=None)
@given(lives)
def test_the_books_balance_whatever_happens(life: list[tuple]) -> None:
    played = Ledger()
    played.play(life)
    book = played.given.row(Book, BUYER)
    plans, repayments, refunds = played.rows(Plan), played.rows(Repayment), played.rows(Refund)
    owed = [one for one in refunds if one.cause != "OVERPAYMENT"]
    overpaid = sum(one.overpaid for one in repayments)

    assert book.outstanding_principal == sum(part.outstanding for plan in plans for part in plan.instalments)
    assert played.balance(LedgerAccount.PRINCIPAL_RECEIVABLE) == book.outstanding_principal
    given_back = sum(one.debt + one.cash for one in owed)
    assert -played.balance(LedgerAccount.MERCHANT_PAYABLE) == sum(plan.principal for plan in plans) - given_back
    assert -played.balance(LedgerAccount.BUYER_CREDIT) == overpaid - played.paid_out(overpayments=True)
    cash = sum(one.cash for one in owed)
    assert -played.balance(LedgerAccount.REFUNDS_PAYABLE) == cash - played.paid_out(overpayments=False)
    for plan in plans:
        check_plan(plan)
    for repayment in repayments:
        assert repayment.overpaid + sum(part.amount for part in repayment.allocations) in (0, repayment.amount)


def check_plan(plan: Plan) -> None:
    """I-2, and what a plan says twice: its pauses and its rest."""
    shares = Counter()
    for pause in plan.pauses:
        shares.update({share.seq: share.amount for share in pause.shares})
    for part in plan.instalments:
        assert part.principal == part.paid + part.refunded + part.outstanding
        assert 0 <= part.paused <= part.outstanding
        assert part.paused == shares[part.seq]
    assert sum(part.principal for part in plan.instalments) == plan.principal
    assert (plan.status is PlanStatus.SETTLED) is (plan.unpaid == 0)
    assert sum(payment.principal for payment in plan.payments) == plan.paid
    assert all(0 <= payment.refundable <= payment.principal for payment in plan.payments)
    rest = sum(part.outstanding for part in plan.instalments) + sum(one.refundable for one in plan.payments)
    assert plan.principal - plan.refunded_total == rest


@settings(max_examples=150, deadline=None)
@given(lives)
def test_i_4_no_more_cash_goes_out_than_came_in_for_the_buyer_and_for_each_order(life: list[tuple]) -> None:
    played = Ledger()
    played.play(life)
    came, back = Counter(), Counter()
    for repayment in played.rows(Repayment):
        if repayment.status is RepaymentStatus.SUCCEEDED:
            came[None] += repayment.amount
            for part in repayment.allocations:
                came[part.order_id] += part.amount
    for event in played.events:
        if isinstance(event, RefundAllocated):
            assert sum(leg.amount for leg in event.legs) + event.unallocated == event.amount
            cash = sum(leg.amount for leg in event.legs if leg.kind in ("ORIGINAL_ROUTE", "WALLET"))
            back.update({None: cash, event.order_id: cash})
        if isinstance(event, OverpaymentDetected):
            back[None] += event.amount
    assert all(back[whose] <= came[whose] for whose in back)
    assert played.balance(LedgerAccount.PROVIDER_CASH) >= 0


@settings(max_examples=150, deadline=None)
@given(lives)
def test_a_bill_comes_up_exactly_while_it_has_something_to_collect(life: list[tuple]) -> None:
    """B-H1, B-H3: a bill without a due part has no deadline; one with a due part has all that are still ahead."""
    played = Ledger()
    played.play(life)
    plans = {plan.order_id: plan for plan in played.rows(Plan)}
    armed = {(type(one.message), one.message.subject) for one in played.given.armed}
    for bill in played.rows(Bill):
        if not BILL_MACHINE[bill.status] or not dues.amount_due(bill, plans):
            assert not any((kind, bill.bill_id) in armed for kind in (DueSoon, Collect, Step))
            continue
        collected_next = timetable.next_attempt_at(bill, played.now, CALENDAR)
        assert ((Collect, bill.bill_id) in armed) is (collected_next is not None)
        days = [day for day in ladder(bill.terms) if day > bill.last_step]
        if any(timetable.step_at(bill, day, CALENDAR) > played.now for day in days):
            assert (Step, bill.bill_id) in armed


@settings(max_examples=100, deadline=None)
@given(lives)
def test_an_observer_of_the_events_knows_what_the_rows_know(life: list[tuple]) -> None:
    played = Ledger()
    played.play(life)
    book = played.given.row(Book, BUYER)
    told = [event for event in played.events if hasattr(event, "book_version")]
    versions = [event.book_version for event in told]
    assert versions == sorted(versions)
    if told:
        assert (told[-1].outstanding_principal, told[-1].book_version) == (book.outstanding_principal, book.version)
    for kind, status in ((BillPaid, BillStatus.PAID), (BillVoided, BillStatus.VOIDED)):
        closed_bills = Counter(event.bill_id for event in played.told(kind))
        assert closed_bills == Counter(bill.bill_id for bill in played.rows(Bill) if bill.status is status)
    settled = Counter(event.order_id for event in played.told(PlanSettled))
    assert settled == Counter(plan.order_id for plan in played.rows(Plan) if plan.status is PlanStatus.SETTLED)
    came = sum(event.amount for event in played.told(RepaymentAllocated))
    out = played.paid_out(overpayments=True) + played.paid_out(overpayments=False)
    assert came - out == played.balance(LedgerAccount.PROVIDER_CASH)
    back = sum(event.amount for event in played.told(OverpaymentDetected))
    assert back == sum(one.overpaid for one in played.rows(Repayment))
    approved_once = Counter(one.refund_id for one, *_ in played.handled if isinstance(one, RefundApproved))
    assert Counter(event.refund_id for event in played.told(RefundAllocated)) == approved_once
    overdue = {bill.bill_id: bill.stage for bill in played.rows(Bill) if bill.stage != "NONE"}
    assert {one.bill_id: one.stage for one in book.overdue} == overdue
