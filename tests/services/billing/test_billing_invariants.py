"""Whatever a buyer does and a provider says: the books balance (I-1, I-2, I-8, I-9)."""

from collections import Counter
from datetime import timedelta

from billing_stories import BUYER, CARD, accepted, local, repay, report
from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.service import billing
from services.billing.state import Autopay, Bill, BillStatus, Book, LedgerAccount, Plan, PlanStatus, Posting, Repayment
from shared.contracts.billing import BillPaid, CollectionRequested, OverpaymentDetected, RepaymentAllocated
from shared.contracts.message import Command, Event
from shared.testing.given import Given

ORDERS = ("o-1", "o-2", "o-3")

amounts = st.integers(1, 30000)
orders = st.sampled_from(ORDERS)
moves = st.one_of(
    st.tuples(st.just("pay a bill"), orders, amounts),
    st.tuples(st.just("pay an order"), orders, amounts),
    st.tuples(st.just("report"), st.integers(0, 30), st.sampled_from(("SUCCEEDED", "DECLINED", "PENDING", "UNKNOWN"))),
    st.tuples(st.just("wait"), st.integers(1, 14 * 24), st.just(None)),
    st.tuples(st.just("accept"), orders, amounts),
)


class Ledger:
    """Everything a run of messages left behind."""

    def __init__(self) -> None:
        self.given = Given(billing, Book(BUYER, "CNY", autopay=Autopay(instrument=CARD)))
        self.now = local("03-12 10:00")
        self.postings: list[Posting] = []
        self.events: list[Event] = []

    def play(self, moves: list[tuple]) -> None:
        for number, (move, what, value) in enumerate(moves):
            self.pass_hours(what if move == "wait" else 1)
            if (message := self._message(move, what, value, number)) is not None:
                self.handle(message)

    def pass_hours(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        for done in self.given.until(self.now):
            self._keep(done)

    def handle(self, message: Event | Command) -> None:
        self._keep(self.given.when(message, now=self.now))

    def _message(self, move: str, what: object, value: object, number: int) -> Event | Command | None:
        requests = [event for event in self.events if isinstance(event, CollectionRequested)]
        if move == "report" and requests:
            asked = requests[what % len(requests)]
            return report(asked.repayment_id, value, asked.amount, self.now)
        if move == "accept":
            return accepted(what, value, self.now)
        if move == "pay a bill":
            return repay(f"pay-{number}", value, bill_id=f"b:{what}")
        return repay(f"pay-{number}", value, order_id=what) if move == "pay an order" else None

    def _keep(self, done) -> None:
        self.given = done.given
        self.postings += done.entries
        self.events += done.events
        assert sum(one.debit - one.credit for one in done.entries) == 0

    def rows(self, kind: type) -> list:
        return [row for row in self.given.rows if type(row) is kind]

    def balance(self, account: LedgerAccount) -> int:
        return sum(one.debit - one.credit for one in self.postings if one.account is account)


@settings(max_examples=150, deadline=None)
@given(st.lists(moves, max_size=40))
def test_the_books_balance_whatever_happens(moves: list[tuple]) -> None:
    played = Ledger()
    played.play(moves)
    book = played.given.row(Book, BUYER)
    plans, repayments = played.rows(Plan), played.rows(Repayment)

    assert book.outstanding_principal == sum(part.outstanding for plan in plans for part in plan.instalments)
    assert played.balance(LedgerAccount.PRINCIPAL_RECEIVABLE) == book.outstanding_principal
    assert -played.balance(LedgerAccount.MERCHANT_PAYABLE) == sum(plan.principal for plan in plans)
    assert -played.balance(LedgerAccount.BUYER_CREDIT) == sum(one.overpaid for one in repayments)
    for plan in plans:
        assert all(part.outstanding >= 0 for part in plan.instalments)
        assert sum(part.principal for part in plan.instalments) == plan.principal
        assert (plan.status is PlanStatus.SETTLED) is (plan.unpaid == 0)
        assert sum(payment.principal for payment in plan.payments) == plan.paid
    for repayment in repayments:
        assert repayment.overpaid + sum(part.amount for part in repayment.allocations) in (0, repayment.amount)


@settings(max_examples=100, deadline=None)
@given(st.lists(moves, max_size=40))
def test_an_observer_of_the_events_knows_what_the_rows_know(moves: list[tuple]) -> None:
    played = Ledger()
    played.play(moves)
    book = played.given.row(Book, BUYER)
    told = [event for event in played.events if hasattr(event, "book_version")]
    versions = [event.book_version for event in told]
    assert versions == sorted(versions)
    if told:
        assert (told[-1].outstanding_principal, told[-1].book_version) == (book.outstanding_principal, book.version)
    paid = Counter(event.bill_id for event in played.events if isinstance(event, BillPaid))
    assert paid == Counter(bill.bill_id for bill in played.rows(Bill) if bill.status is BillStatus.PAID)
    came = sum(event.amount for event in played.events if isinstance(event, RepaymentAllocated))
    back = sum(event.amount for event in played.events if isinstance(event, OverpaymentDetected))
    assert came == played.balance(LedgerAccount.PROVIDER_CASH)
    assert back == -played.balance(LedgerAccount.BUYER_CREDIT)
    overdue = {bill.bill_id: bill.stage for bill in played.rows(Bill) if bill.stage != "NONE"}
    assert {one.bill_id: one.stage for one in book.overdue} == overdue
