"""Random lives of orders, cases and refunds: the invariants hold after every step, whatever is said and whenever."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from refunds_stories import (
    CARD,
    EXTERNAL,
    accepted,
    allocated,
    arrived,
    gesture,
    graded,
    leg,
    line,
    local,
    overpaid,
    paid,
    proof,
    repair,
    request,
    review,
    ruling,
    shipped,
    units,
    withdraw,
)

from services.refunds.deadlines import CASE_DEADLINES
from services.refunds.service import refunds
from services.refunds.state import CASE_MACHINE, Case, CaseStatus, LegStatus, Order, Refund, RefundStatus
from shared.contracts.message import Event, Message
from shared.contracts.policy import ReturnTerms
from shared.contracts.refunds import (
    PayoutReported,
    PayoutRequested,
    RefundApproved,
    RefundCompleted,
    ReturnClosed,
    ReturnOpened,
)
from shared.kernel.money import proportional_split
from shared.testing.given import Given, Then

ORDERS = ("o-1", "o-2")
TERMS = ReturnTerms(window_days=400, fault_window_days=400, restocking_bps=700, return_fee=90)
REASONS = ("NOT_WANTED", "DEFECTIVE")
OUTCOMES = ("SUCCEEDED", "FAILED", "PENDING", "UNKNOWN", "RETURNED")
KINDS = ("DEBT", "ORIGINAL_ROUTE", "WALLET", "EXTERNAL")
INSTRUMENTS = {"ORIGINAL_ROUTE": CARD, "EXTERNAL": EXTERNAL}
OPEN = set(CaseStatus) - {CaseStatus.REFUND_DUE, CaseStatus.CLOSED}

IN_CASE = {
    "approve": "ReviewReturn APPROVE",
    "reject": "ReviewReturn REJECT",
    "ask": "ReviewReturn NEED_EVIDENCE",
    "prove": "SubmitEvidence",
    "withdraw": "WithdrawReturn",
    "ship": "ReportReturnShipment",
    "receive": "ReportReturnReceipt",
    "lose": "ReportReturnReceipt",
    "assess": "AssessReturn",
    "rule": "ReviewRefund APPROVE",
    "dispute": "ReviewRefund DISPUTE",
    "deny": "ReviewRefund REJECT",
}
"""What is said of a case, and the trigger of its machine."""

FORWARD = ("approve", "ship", "receive", "assess", "rule")
"""What leads to a refund: said more often than the rest, or no life would get there."""

worth = st.tuples(st.integers(0, 9999), st.integers(0, 99), st.integers(1, 12))
steps = st.tuples(
    st.sampled_from(("new", *("case",) * 6, *("money",) * 3, "anything")),
    st.integers(0, 999),
    st.integers(0, 9999),
    st.sampled_from((*(0,) * 12, 1, 30, 400)),
)


class Life:
    """Two orders, everything said about them, and every event that came of it."""

    def __init__(self, sold: list[list[tuple[int, int, int]]]) -> None:
        self.given = Given(refunds)
        self.now = local("03-12 10:00")
        self.events: list[Event] = []
        self.heard: list[Event] = []
        for order_id, lines in zip(ORDERS, sold, strict=True):
            accepted_lines = [line(f"L{n}", *value) for n, value in enumerate(lines)]
            self.hear(accepted(*accepted_lines, at=self.now, order_id=order_id, returns=TERMS))

    def step(self, mood: str, number: int, value: int, hours: int) -> None:
        """One more thing is said: one of those that make sense now, or just anything."""
        self.wait(hours)
        moves = list(self.moves(mood)) or list(self.moves("new"))
        verb, about = moves[number % len(moves)]
        self.say(verb, about, value)

    def moves(self, mood: str) -> Iterator[tuple[str, int]]:
        cases, found = self.rows(Case), self.rows(Refund)
        match mood:
            case "new":
                yield from (*[("request", len(cases))] * 4, ("give", len(found)), ("overpay", len(found)))
            case "case":
                for number, case in enumerate(cases):
                    lawful = [verb for verb, trigger in IN_CASE.items() if trigger in CASE_MACHINE[case.status]]
                    yield from ((verb, number) for verb in lawful for _ in range(6 if verb in FORWARD else 1))
            case "money":
                for number, refund in enumerate(found):
                    waits = refund.status is RefundStatus.APPROVED
                    verbs = ("allocate",) * 6 if waits else ("pay", "pay", "pay", "repair")
                    yield from ((verb, number) for verb in verbs)
            case _:
                verbs = ("request", "give", "overpay", "allocate", "pay", "repair", *IN_CASE)
                yield from ((verb, number) for verb in verbs for number in range(9))

    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        for done in self.given.until(self.now):
            self.keep(done)

    def say(self, verb: str, number: int, value: int) -> None:
        message = self.message(verb, number, value)
        if isinstance(message, Event):
            self.hear(message)
        elif message is not None:
            self.keep(self.given.when(message, self.now))

    def hear(self, event: Event) -> None:
        """Another service's word; a second time it changes nothing (law 4)."""
        self.heard.append(event)
        self.keep(self.given.when(event, self.now))
        assert self.given.when(event, self.now).yields == []

    def keep(self, done: Then) -> None:
        if done.rejected is not None:
            assert done.yields == []
        self.given = done.given
        self.events += done.events
        self.check()

    def rows(self, kind: type) -> list[Any]:
        return [row for row in self.given.rows if type(row) is kind]

    def told(self, *kinds: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]

    # -- what is said --------------------------------------------------------------------------------------------------

    def message(self, verb: str, number: int, value: int) -> Message | None:
        if verb == "request":
            return self.wish(number, value)
        if verb == "give":
            refund_id, order_id = f"gift-{number}", ORDERS[number % 2]
            return gesture(value % 900, refund_id, order_id=order_id, destination="WALLET")
        if verb == "overpay":
            return overpaid(value + 1, f"pay-{number}:o1", instrument=(CARD, EXTERNAL)[value % 2])
        if verb in ("allocate", "pay", "repair"):
            return self.about_money(verb, number, value)
        cases = self.rows(Case)
        return self.about_case(verb, cases[number % len(cases)], value) if cases else None

    def wish(self, number: int, value: int) -> Message:
        order = self.given.row(Order, ORDERS[number % 2])
        quantities = {one.line_id: 1 + value % 7 // 5 for one in order.lines[: 1 + value % 2]}
        return request(
            REASONS[value % 2],
            units(**quantities),
            case_id=f"case-{number}",
            order_id=order.order_id,
            evidence_refs=("photo",),
        )

    def about_case(self, verb: str, case: Case, value: int) -> Message:
        about = {"case_id": case.case_id, "order_id": case.order_id}
        came = units(**{one.line_id: max(1, one.quantity - value % 2) for one in case.lines})
        grades = [(one.line_id, max(1, one.received - value % 2), "ABCD"[value % 4]) for one in case.lines]
        by = case.review_mode
        sayings = {
            "approve": lambda: review(by=by, **about),
            "reject": lambda: review("REJECT", by, **about),
            "ask": lambda: review("NEED_EVIDENCE", by, **about),
            "prove": lambda: proof(**about),
            "withdraw": lambda: withdraw(**about),
            "ship": lambda: shipped(self.now, **about),
            "receive": lambda: arrived(self.now, came, **about),
            "lose": lambda: arrived(self.now, (), **about),
            "assess": lambda: graded(*grades, by=("BUYER", "SELLER")[value % 2], **about),
            "rule": lambda: ruling(by=by, amount=value if by == "PLATFORM" and value % 3 else None, **about),
            "dispute": lambda: ruling("DISPUTE", by, **about),
            "deny": lambda: ruling("REJECT", by, **about),
        }
        return sayings[verb]()

    def about_money(self, verb: str, number: int, value: int) -> Message | None:
        found = self.rows(Refund)
        if not found:
            return None
        refund = found[number % len(found)]
        if verb == "allocate":
            return self.allocation(refund, value) if refund.cause != "OVERPAYMENT" else None
        if not refund.legs:
            return None
        one = refund.legs[value % len(refund.legs)]
        if verb == "repair":
            return repair(one.leg_id)
        tried = max(0, one.tries - value % 7 // 6)
        failure = ("SOFT", "HARD")[value % 5 // 4]
        return paid(f"{one.leg_id}:{tried}", OUTCOMES[value % len(OUTCOMES)], self.now, failure=failure)

    @staticmethod
    def allocation(refund: Refund, value: int) -> Message:
        """billing's word: the amount over some of the four kinds of legs."""
        weights = [1 + value % 5, value % 3, value % 2, value // 7 % 2]
        parts = zip(KINDS, proportional_split(refund.amount, weights), strict=True)
        return allocated(refund, *(leg(kind, part, INSTRUMENTS.get(kind)) for kind, part in parts if part))

    # -- what must hold ------------------------------------------------------------------------------------------------

    def check(self) -> None:
        for order in self.rows(Order):
            self.check_order(order)
        for refund in self.rows(Refund):
            self.check_refund(refund)
        self.check_cases()
        self.check_payouts()

    def check_order(self, order: Order) -> None:
        """I-3: units and value, by line and in all; what is counted is what was told."""
        cases = [one for one in self.rows(Case) if one.order_id == order.order_id]
        approved = [one for one in self.told(RefundApproved) if one.order_id == order.order_id]
        for one in order.lines:
            assert min(one.refunded_qty, one.open_qty, one.refunded) >= 0
            assert one.refunded_qty + one.open_qty <= one.quantity
            assert one.refunded <= one.goods + one.freight
            asked = [part for case in cases if case.status in OPEN for part in case.lines]
            assert one.open_qty == sum(part.quantity for part in asked if part.line_id == one.line_id)
        assert order.refunded == sum(one.amount for one in approved) <= order.amount
        returns = sum(one.amount for one in approved if one.cause == "RETURN")
        assert returns == sum(one.refunded for one in order.lines)

    def check_refund(self, refund: Refund) -> None:
        """I-7: one cause; the legs are the refund, and it is complete exactly when they are."""
        causes = [one.cause for one in self.told(RefundApproved) if one.refund_id == refund.refund_id]
        overpayments = [one for one in self.heard if f"op:{getattr(one, 'overpayment_id', '')}" == refund.refund_id]
        assert [*causes, *("OVERPAYMENT" for _ in overpayments[:1])] == [refund.cause]
        if refund.status is RefundStatus.APPROVED:
            assert refund.legs == ()
            return
        assert sum(one.amount for one in refund.legs) == refund.amount
        paid_out = all(one.status is LegStatus.SUCCEEDED for one in refund.legs if one.kind != "DEBT")
        assert (refund.status is RefundStatus.COMPLETED) is paid_out

    def check_cases(self) -> None:
        """A case ends once, and then waits for nothing; it is refunded when its refund has arrived."""
        ended = Counter(one.case_id for one in self.told(ReturnClosed))
        arrived_ = {one.case_id for one in self.told(RefundCompleted)}
        assert len({one.case_id for one in self.told(ReturnOpened)}) == len(self.rows(Case))
        waiting = {one.message.subject for one in self.given.armed if type(one.message) in CASE_DEADLINES}
        for case in self.rows(Case):
            closed = case.status is CaseStatus.CLOSED
            assert ended[case.case_id] == int(closed)
            assert (case.outcome == "REFUNDED") is (case.case_id in arrived_)
            assert (case.case_id in waiting) is (case.status in OPEN)

    def check_payouts(self) -> None:
        """Of a leg one payout is live at a time, and what arrived is never paid again."""
        live: dict[str, str] = {}
        for event in self.told(PayoutRequested, PayoutReported):
            match event:
                case PayoutRequested(ask=0):
                    assert event.leg_id not in live
                    live[event.leg_id] = event.payout_id
                case PayoutRequested():
                    assert live[event.leg_id] == event.payout_id
                case PayoutReported(outcome="FAILED" | "RETURNED"):
                    assert live.pop(event.leg_id) == event.payout_id
                case PayoutReported(outcome="SUCCEEDED"):
                    assert live.setdefault(event.leg_id, event.payout_id) == event.payout_id
        for refund in self.rows(Refund):
            for one in refund.legs:
                under_way = one.kind != "DEBT" and one.status not in (LegStatus.FAILED, LegStatus.NEEDS_DESK)
                assert (live.get(one.leg_id) == one.payout_id) is under_way


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(worth, min_size=1, max_size=2), min_size=2, max_size=2), st.lists(steps, min_size=30, max_size=60)
)
def test_the_invariants_hold_through_every_life(sold: list, life: list[tuple[str, int, int, int]]) -> None:
    """I-3, I-7: after every step; and what was heard is known when it comes again."""
    lived = Life(sold)
    for step in life:
        lived.step(*step)
    rows = lived.given.rows
    for event in lived.heard:
        assert lived.given.when(event, lived.now).yields == []
    assert lived.given.rows == rows


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(IN_CASE)), st.integers(0, 9999)), max_size=8), st.integers(0, 9999))
def test_every_case_ends_when_nobody_speaks_any_more_or_waits_for_its_refund(said: list, value: int) -> None:
    """Silence ends every case, but for a dispute: that stays the platform's, which is reminded every working day."""
    lived = Life([[(9999, 99, 3)], [(1, 0, 1)]])
    lived.say("request", 0, value)
    for verb, detail in said:
        lived.say(verb, 0, detail)
    lived.wait(24 * 60)
    (case,) = lived.rows(Case)
    assert case.status in (CaseStatus.CLOSED, CaseStatus.REFUND_DUE, CaseStatus.DISPUTED)


def test_the_checks_see_a_whole_life_from_the_request_to_a_payout_that_bounced() -> None:
    lived = Life([[(9000, 90, 3)], [(1, 0, 1)]])
    for verb in ("request", *FORWARD):
        lived.say(verb, 0, 5)
    (refund,) = lived.rows(Refund)
    lived.hear(allocated(refund, leg("DEBT", 1000), leg("WALLET", refund.amount - 1000)))
    wallet = f"{refund.refund_id}:2"
    for message in (
        paid(f"{wallet}:1", "PENDING", lived.now),
        paid(f"{wallet}:1", "SUCCEEDED", lived.now),
        paid(f"{wallet}:1", "RETURNED", lived.now),
        repair(wallet),
        paid(f"{wallet}:2", "SUCCEEDED", lived.now),
    ):
        lived.keep(lived.given.when(message, lived.now))
    assert [one.payout_id for one in lived.told(PayoutRequested)] == [f"{wallet}:1", f"{wallet}:2"]
    assert len(lived.told(RefundCompleted)) == 2
    assert lived.rows(Case)[0].outcome == "REFUNDED"
