"""Random lives of a buyer's orders: I-3 and I-5 hold after every single step, whatever is sent, in whatever order."""

from datetime import timedelta

from checkout_story import (
    ZONE,
    Story,
    account,
    cancel,
    consenting,
    deliver,
    in_order,
    line,
    local,
    place,
    plan_opened,
    plan_reopened,
    plan_settled,
    refunded,
    return_closed,
    return_opened,
    ship,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from services.checkout.state import (
    ORDER_MACHINE,
    Account,
    Order,
    OrderStatus,
    Refund,
    ReturnCase,
    ShipmentStatus,
)
from shared.contracts.checkout import ConfirmReceipt, ExtendAuthorisation, OrderAccepted, OrderAuthorized, OrderCaptured
from shared.engine.vocabulary import Rejected

ORDERS = ("o-1", "o-2", "o-3")
START = local("03-01 09:00")
OUTCOMES = {"deliver": "DELIVERED", "refuse": "REFUSED", "lose": "LOST"}
VERBS = (
    *("place", "cancel", "ship", "final", *OUTCOMES, "confirm", "extend"),
    *("bill", "settle", "reopen", "case", "refund"),
)

amounts = st.integers(0, 40_000)
quantities = st.integers(1, 5)
lines = st.lists(st.tuples(amounts, quantities), min_size=1, max_size=3).filter(lambda found: any(a for a, _ in found))
steps = st.lists(
    st.tuples(
        st.sampled_from(VERBS),
        st.sampled_from(ORDERS),
        st.integers(1, 4),
        st.sampled_from((0, 1, 6, 24, 24 * 5, 24 * 12, 24 * 40)),
    ),
    min_size=5,
    max_size=40,
)


class Life:
    """A story that remembers what it told the world."""

    def __init__(self, wishes: dict[str, tuple[list[tuple[int, int]], int]]) -> None:
        self.story = Story(account(limit=150_000, book_version=0), consenting())
        self.wishes = wishes
        self.now = START
        self.debt = 0
        self.owed = dict.fromkeys(ORDERS, 0)
        self.version = 0
        self.told: dict[str, dict[str, int]] = {order_id: {"captured": 0} for order_id in ORDERS}

    def take(self, verb: str, order_id: str, number: int, hours: int) -> None:
        self.now += timedelta(hours=hours)
        for then in self.story.given.until(self.now):
            self.story.given = then.given
            self.listen(then)
        stood = {one.order_id: one.status for one in self.orders}
        available = self.story.account.available
        then = self.story.send(self.message(verb, order_id, number), self.now)
        if then.rejected is not None:
            assert isinstance(then.rejected, Rejected)
            assert then.yields == []
            return
        self.listen(then)
        for event in then.events:
            if isinstance(event, OrderAuthorized):
                assert event.amount <= available
        for one in self.orders:
            before = stood.get(one.order_id)
            if before not in (None, one.status):
                assert any(one.status in to for to in ORDER_MACHINE[before].values())

    def message(self, verb: str, order_id: str, number: int):
        at = f"{self.now.astimezone(ZONE):%m-%d %H:%M}"
        if verb == "place":
            return self.wished(order_id, at)
        if verb in OUTCOMES:
            return deliver(f"s{number - 1}", at, OUTCOMES[verb], order_id)
        if verb in ("ship", "final"):
            parcels = self.order(order_id).shipments
            units = {f"L{1 + number % 3}": 1 + number % 2}
            return ship(f"s{len(parcels)}", at, final=verb == "final", order_id=order_id, **units)
        if verb == "cancel":
            return cancel("MERCHANT", *([f"L{number}"] if number < 4 else []), order_id=order_id)
        if verb == "extend":
            return in_order(ExtendAuthorisation, order_id)
        told = self.after_sale if verb in ("case", "refund") else self.from_billing
        return told(verb, order_id, number)

    def wished(self, order_id: str, at: str):
        wished, freight = self.wishes[order_id]
        sold = [
            line(f"L{n}", amount * quantity, quantity=quantity, unit_price=amount)
            for n, (amount, quantity) in enumerate(wished, start=1)
        ]
        return place(*sold, at=at, freight=freight, order_id=order_id)

    def from_billing(self, verb: str, order_id: str, _number: int):
        """The next thing billing would say of an accepted order; of any other the buyer says something."""
        order = self.order(order_id)
        if verb == "confirm" or order.accepted_at is None:
            return in_order(ConfirmReceipt, order_id)
        if verb == "reopen" and not order.held_amount:
            self.version += 1
            self.debt += order.accepted_amount
            self.owed[order_id] += order.accepted_amount
            return plan_reopened(order.accepted_amount, self.version, self.debt, order_id)
        if verb == "bill" and order.held_amount:
            self.version += 1
            self.debt += order.accepted_amount
            self.owed[order_id] = order.accepted_amount
            return plan_opened(order.accepted_amount, self.version, self.debt, order_id)
        return in_order(ConfirmReceipt, order_id) if order.held_amount else plan_settled(order_id)

    def after_sale(self, verb: str, order_id: str, number: int):
        """A case of a billed order is opened or closed, or a part of its rest is given back, its debt first."""
        order = self.order(order_id)
        rest = order.accepted_amount - order.refunded_amount
        if order.held_amount or not rest:
            return in_order(ConfirmReceipt, order_id)
        if verb == "case":
            case_id = f"{order_id}-{number}"
            is_open = any(case.case_id == case_id and case.is_open for case in self.rows(ReturnCase))
            return return_closed(case_id, order_id=order_id) if is_open else return_opened(case_id, order_id)
        amount = max(1, rest * number // 4)
        less = min(amount, self.owed[order_id])
        self.version += bool(less)
        self.debt -= less
        self.owed[order_id] -= less
        return refunded(amount, self.debt, self.version, f"rf-{self.story.messages}", order_id)

    def rows(self, kind: type) -> list:
        return [row for row in self.story.given.rows if isinstance(row, kind)]

    @property
    def orders(self) -> list[Order]:
        return self.rows(Order)

    def order(self, order_id: str) -> Order:
        return self.story.order(order_id)

    def listen(self, then) -> None:
        for event in then.events:
            if isinstance(event, OrderCaptured):
                self.told[event.order_id]["captured"] += event.amount
            if isinstance(event, OrderAccepted):
                assert event.amount == sum(one.goods + one.freight for one in event.lines) > 0
                assert event.amount <= self.told[event.order_id]["captured"]

    def check(self) -> None:
        owner: Account = self.story.account
        assert owner.held == sum(one.held_amount for one in self.orders) >= 0
        assert owner.used == self.debt
        open_ = [one for one in self.orders if one.status not in ENDED and not one.plan_settled]
        assert all(one.is_open for one in open_)
        assert owner.open_orders == self.story.pair.open_orders == len(open_)
        for order in self.orders:
            self.check_order(order)

    def check_order(self, order: Order) -> None:
        captured = self.told[order.order_id]["captured"]
        assert order.accepted_amount <= captured <= order.amount
        assert 0 <= order.held_amount <= order.amount
        given_back = sum(one.amount for one in self.rows(Refund) if one.order_id == order.order_id)
        assert 0 <= given_back == order.refunded_amount <= order.accepted_amount
        is_refunded = order.status is OrderStatus.REFUNDED
        assert is_refunded is (0 < order.accepted_amount == order.refunded_amount)
        cases = [one for one in self.rows(ReturnCase) if one.order_id == order.order_id and one.is_open]
        assert order.open_cases == len(cases)
        for one in order.lines:
            assert one.unshipped >= 0
            units = [u for shipment in order.shipments for u in shipment.lines if u.line_id == one.line_id]
            assert sum(u.quantity for u in units) == one.shipped <= one.sold.quantity
            assert sum(u.goods for u in units) <= one.sold.amount
            assert sum(u.freight for u in units) <= one.sold.freight_share
        if order.status in HOLDING:
            assert order.held_amount == self.worth(order) > 0

    @staticmethod
    def worth(order: Order) -> int:
        """What may still become debt: parcels neither refused nor lost, and units still to be shipped."""
        lost = (ShipmentStatus.REFUSED, ShipmentStatus.LOST)
        parcels = sum(one.value for one in order.shipments if one.status not in lost)
        return parcels + sum(one.next_units(one.unshipped).value for one in order.lines)


ENDED = (
    *(OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.DECLINED),
    *(OrderStatus.COMPLETED, OrderStatus.REFUNDED),
)
HOLDING = (OrderStatus.AUTHORIZED, OrderStatus.PARTIALLY_SHIPPED, OrderStatus.SHIPPED, OrderStatus.DELIVERED)


@settings(max_examples=150, deadline=None)
@given(
    wishes=st.fixed_dictionaries({order_id: st.tuples(lines, st.integers(0, 999)) for order_id in ORDERS}), life=steps
)
def test_i3_and_i5_hold_through_every_life(wishes: dict, life: list[tuple[str, str, int, int]]) -> None:
    lived = Life(wishes)
    for order_id in ORDERS:
        lived.take("place", order_id, 1, 0)
        lived.check()
    for step in life:
        lived.take(*step)
        lived.check()


afterlives = st.lists(
    st.tuples(
        st.sampled_from(("case", "case", "refund", "settle", "settle", "reopen")),
        st.sampled_from(ORDERS),
        st.integers(1, 4),
        st.sampled_from((0, 24, 24 * 16)),
    ),
    max_size=25,
)


@settings(max_examples=100, deadline=None)
@given(st.fixed_dictionaries({order_id: amounts.filter(bool) for order_id in ORDERS}), afterlives)
def test_i3_and_i5_hold_through_returns_and_refunds(worth: dict[str, int], life: list[tuple]) -> None:
    lived = Life({order_id: ([(amount, 1)], 0) for order_id, amount in worth.items()})
    for order_id in ORDERS:
        for verb in ("place", "final", "confirm", "bill"):
            lived.take(verb, order_id, 6, 0)
        assert lived.order(order_id).status is OrderStatus.ACCEPTED
    for step in life:
        lived.take(*step)
        lived.check()
