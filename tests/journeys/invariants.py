"""What must hold whatever happened, once everything has been read (spec README section 10)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from services.billing.service import billing
from services.billing.state import Book, LedgerAccount, Plan, PlanStatus, Posting
from services.checkout.service import checkout
from services.checkout.state import Account, MerchantPair, Order, OrderStatus
from services.refunds import state as returns
from services.refunds.service import refunds
from shared.contracts.billing import DebtChanged, PlanOpened, RefundAllocated, RepaymentAllocated
from shared.contracts.checkout import CreditLineChanged, OrderAccepted
from shared.contracts.envelope import Envelope, EnvelopeInvalid
from shared.contracts.message import Event, Rejection
from shared.contracts.refunds import PayoutRequested, RefundApproved
from shared.testing.world import PARTITIONS, Told, World
from tests.journeys.town import EVENTS, SERVICES

OVER = (OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.DECLINED)


async def assert_invariants(world: World) -> None:
    """I-1 to I-5, I-7 to I-9 and I-11 over rows and topics of a world that has settled."""
    await assert_drained(world)
    events = first_occurrences(await world.told(*EVENTS))
    assert_journal_balances(world.entries(billing, Posting))
    assert_plans_add_up(world.rows(billing, Plan))
    assert_accounts_add_up(world)
    assert_books_agree(world, events)
    assert_nothing_comes_back_twice(world, events)
    assert_no_cash_but_what_came_in(events)
    assert_events_fold_to_the_rows(world, events)
    assert_outcomes(await command_ids(world), events)


async def assert_drained(world: World) -> None:
    """Nothing is unpublished, nothing waits for a row, nobody is parked."""
    for member in world.members.values():
        standing = await member.database.standing()
        assert (standing.outbox_rows, standing.waiting, standing.parked_keys) == (0, 0, 0)


def first_occurrences(told: Iterable[Told]) -> list[Told]:
    """Each message once: a republication comes under the same id."""
    firsts: dict[str, Told] = {}
    for one in told:
        firsts.setdefault(one.envelope.id, one)
    return list(firsts.values())


def assert_journal_balances(journal: Iterable[Posting]) -> None:
    """I-1: what one cause debits it credits, in each currency."""
    sums: Counter[tuple[str, str]] = Counter()
    for posting in journal:
        sums[posting.cause_id, posting.currency] += posting.debit - posting.credit
    assert set(sums.values()) <= {0}


def assert_plans_add_up(plans: Iterable[Plan]) -> None:
    """I-2: principal = paid + refunded + charged off + outstanding, part by part, none below 0."""
    for plan in plans:
        assert sum(part.principal for part in plan.instalments) == plan.principal
        for part in plan.instalments:
            assert min(part.paid, part.refunded, part.charged_off, part.outstanding, part.unpaid_fee) >= 0
        assert (plan.status is PlanStatus.SETTLED) is (plan.unpaid == 0)


def assert_accounts_add_up(world: World) -> None:
    """I-5: what is held is held for orders, and every open order is counted."""
    orders: defaultdict[str, list[Order]] = defaultdict(list)
    for order in world.rows(checkout, Order):
        orders[order.buyer_id].append(order)
    pairs: Counter[str] = Counter()
    for pair in world.rows(checkout, MerchantPair):
        pairs[pair.buyer_id] += pair.open_orders
    for account in world.rows(checkout, Account):
        mine = orders[account.buyer_id]
        assert account.held == sum(order.held_amount for order in mine) >= 0
        assert account.used >= 0
        still_open = [order for order in mine if order.is_open]
        assert account.open_orders == pairs[account.buyer_id] == len(still_open)


def assert_books_agree(world: World, events: Iterable[Told]) -> None:
    """I-9: what was accepted is owed, and both services speak of one debt."""
    messages = [one.message for one in events]
    accepted = {(one.buyer_id, one.order_id): one.amount for one in messages if isinstance(one, OrderAccepted)}
    opened = {(one.buyer_id, one.order_id): one.principal for one in messages if isinstance(one, PlanOpened)}
    assert accepted == opened
    told = {one.key: one.outstanding_principal for one in messages if isinstance(one, DebtChanged)}
    used = {one.buyer_id: one.used for one in world.rows(checkout, Account) if one.buyer_id in told}
    owed = {one.buyer_id: one.outstanding_principal for one in world.rows(billing, Book) if one.buyer_id in told}
    assert used == owed == told
    receivable: Counter[str] = Counter()
    for posting in world.entries(billing, Posting):
        if posting.account is LedgerAccount.PRINCIPAL_RECEIVABLE:
            receivable[posting.buyer_id] += posting.debit - posting.credit
    assert {buyer: receivable[buyer] for buyer in told} == told


def assert_nothing_comes_back_twice(world: World, events: Iterable[Told]) -> None:
    """I-3, I-7, I-9: no unit and no cent of an order is refunded twice; each refund is decided and allocated once."""
    approved: Counter[tuple[str, str, int]] = Counter()
    allocated: Counter[tuple[str, str, int]] = Counter()
    for one in events:
        match one.message:
            case RefundApproved() as decision:
                approved[decision.buyer_id, decision.refund_id, decision.amount] += 1
            case RefundAllocated() as answer:
                allocated[answer.buyer_id, answer.refund_id, answer.amount] += 1
                assert sum(leg.amount for leg in answer.legs) + answer.unallocated == answer.amount
    assert approved == allocated
    assert set(approved.values()) <= {1}
    for order in world.rows(refunds, returns.Order):
        assert 0 <= order.refunded <= order.amount
        for line in order.lines:
            assert min(line.refunded_qty, line.open_qty) >= 0
            assert line.refunded_qty + line.open_qty <= line.quantity
            assert line.refunded <= line.goods + line.freight


def assert_no_cash_but_what_came_in(events: Iterable[Told]) -> None:
    """I-4: at every payout, what a buyer and an order got out is at most what a provider had taken."""
    cash: Counter[str] = Counter()
    of_order: Counter[tuple[str, str]] = Counter()
    paid: set[tuple[str, str]] = set()
    for one in sorted(events, key=lambda one: (one.envelope.time, isinstance(one.message, PayoutRequested))):
        match one.message:
            case RepaymentAllocated() as money if money.mode != "EXTERNAL":
                cash[money.buyer_id] += money.amount
                for part in money.allocations:
                    of_order[money.buyer_id, part.order_id or ""] += part.amount
            case PayoutRequested(kind="ORIGINAL_ROUTE" | "WALLET") as out if (out.buyer_id, out.leg_id) not in paid:
                paid.add((out.buyer_id, out.leg_id))
                cash[out.buyer_id] -= out.amount
                assert cash[out.buyer_id] >= 0
                if out.order_id is not None:
                    of_order[out.buyer_id, out.order_id] -= out.amount
                    assert of_order[out.buyer_id, out.order_id] >= 0


def assert_events_fold_to_the_rows(world: World, events: Iterable[Told]) -> None:
    """I-8 for the credit line: whoever only listens knows score, limit, held and used; none was given beyond it."""
    lines: dict[str, CreditLineChanged] = {}
    for one in events:
        if isinstance(change := one.message, CreditLineChanged):
            before = lines.get(change.buyer_id)
            assert change.available == change.limit - change.held - change.used
            assert change.cause != "ORDER_AUTHORIZED" or change.available >= 0
            assert before is None or change.score == before.score + change.score_delta
            lines[change.buyer_id] = change
    for account in world.rows(checkout, Account):
        if (last := lines.get(account.buyer_id)) is not None:
            told = (last.score, last.limit, last.held, last.used)
            assert told == (account.score, account.limit, account.held, account.used)


async def command_ids(world: World) -> set[str]:
    """The ids of every command whose envelope can be read, its body readable or not."""
    ids = set()
    for topic in (f"{service.name}.commands" for service in SERVICES):
        for lane in range(PARTITIONS):
            for record in await world.log.read(topic, lane, 0, 1_000_000):
                try:
                    ids.add(Envelope.parse(record.headers, record.key).id)
                except EnvelopeInvalid:
                    continue
    return ids


def assert_outcomes(commands: set[str], events: Iterable[Told]) -> None:
    """I-11: a command has its success events or one rejection, never both, never none."""
    succeeded: set[str] = set()
    rejected: Counter[str] = Counter()
    for one in events:
        match one.message:
            case Rejection(code="ID_REUSED"):
                pass  # concerns the second sender
            case Rejection():
                rejected[one.message.command_id] += 1
            case Event() if one.envelope.causation_id in commands and one.envelope.deadline is None:
                succeeded.add(one.envelope.causation_id)
    assert set(rejected.values()) <= {1}
    assert not succeeded & rejected.keys()
    assert succeeded | rejected.keys() == commands
