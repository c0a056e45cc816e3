"""Goods come back: the debt goes first, then what was paid; and nobody gets more than that."""

from __future__ import annotations

import pytest

from shared.contracts.billing import BillPaused, CollectionRequested, RefundAllocated
from shared.contracts.message import Command
from shared.contracts.notify import NoticeSent
from shared.contracts.refunds import (
    AppealOpened,
    CommandRejected,
    PayoutRequested,
    RefundCompleted,
    ReportPayout,
    ReturnClosed,
)
from shared.testing.world import World
from tests.journeys.invariants import assert_invariants
from tests.journeys.timeline import timeline
from tests.journeys.town import MERCHANT, TEN, Buyer, local, open_shops

ANN = Buyer("ann")
BOB = Buyer("bob")
BOTH = ("billing", "refunds")


async def refused(world: World, *commands: Command) -> list[str]:
    """The codes with which refunds answers these commands."""
    before = len(await world.events(CommandRejected))
    await world.tell(*commands)
    return [one.code for one in (await world.events(CommandRejected))[before:]]


async def test_a_partly_paid_order_comes_back_and_both_debt_and_cash_are_told() -> None:
    """B-R3, B-R6: of 12000 the unpaid 7000 are no longer owed, 5000 go back to the card that paid them."""
    world = await open_shops(ANN)
    await world.tell(*ANN.purchase("o-1", 12000, TEN), ANN.repayment("pay-1", "o-1", 5000))
    await world.advance(to=local("03-02 10:00"))
    await world.tell(ANN.return_request("o-1"))
    await world.advance(to=local("03-02 20:00"))
    await world.tell(ANN.return_review("o-1", "APPROVE"), ANN.return_shipment("o-1", local("03-02 20:00")))
    await world.advance(to=local("03-04 10:00"))
    await world.tell(ANN.return_receipt("o-1", local("03-04 10:00")), ANN.assessment("o-1"))
    await world.advance(to=local("03-20 00:00"))
    assert await timeline(world, "ann", since="03-02", services=BOTH) == [
        "03-02 10:00 ReturnOpened case-o-1 12000, review by 03-03 10:00",
        "03-02 10:00 BillPaused b:o-1 7000, due 0, until 03-23 10:00",
        "03-02 20:00 ReturnApproved case-o-1 lapsed False, ship by 03-09 20:00",
        "03-02 20:00 ReturnInTransit case-o-1 counts from 03-02",
        "03-04 10:00 ReturnReceived case-o-1",
        "03-04 10:00 ReturnAssessed case-o-1 12000, review by 03-05 10:00",
        "03-05 10:00 SlaMissed REFUND_REVIEW due 03-05 10:00",
        "03-05 10:00 RefundApproved case-o-1:r1 12000 RETURN, between 03-12 and 03-26",
        "03-05 10:00 RefundAllocated case-o-1:r1 12000: DEBT 7000, ORIGINAL_ROUTE 5000, owing 0 (version 3)",
        "03-05 10:00 BillPaid b:o-1 on 03-01, late by 0",
        "03-05 10:00 PlanSettled o-1 5000 on 03-05",
        "03-05 10:00 PayoutRequested case-o-1:r1:2:1 5000 ORIGINAL_ROUTE ask 0",
        "03-05 10:00 PayoutReported case-o-1:r1:2:1 SUCCEEDED",
        "03-05 10:00 RefundCompleted case-o-1:r1 12000, cash 5000",
        "03-05 10:00 ReturnClosed case-o-1 REFUNDED",
    ]
    assert "03-05 10:00 OrderCompleted o-1 REFUNDED" in await timeline(world, "ann", services=("checkout",))
    assert await world.events(CollectionRequested)
    await assert_invariants(world)


async def test_a_return_that_comes_to_nothing_lets_the_bill_run_again_with_time_to_pay() -> None:
    """B-H3: wholly paused before it was due, due again three days after the end of the pause at the earliest."""
    world = await open_shops(ANN)
    await world.tell(*ANN.purchase("o-1", 12000, TEN))
    await world.advance(to=local("03-07 10:00"))
    await world.tell(ANN.return_request("o-1"))
    await world.advance(to=local("03-07 11:00"))
    await world.tell(ANN.return_review("o-1", "REJECT"))
    await world.advance(to=local("03-12 00:00"))
    assert await timeline(world, "ann", since="03-07 10:00", services=BOTH) == [
        "03-07 10:00 ReturnOpened case-o-1 12000, review by 03-08 10:00",
        "03-07 10:00 BillPaused b:o-1 12000, due 0, until 03-28 10:00",
        "03-07 11:00 ReturnRejected case-o-1 seen",
        "03-07 11:00 ReturnClosed case-o-1 REJECTED",
        "03-07 11:00 BillResumed b:o-1 12000, due 12000 on 03-10 (version 2) RETURN_CLOSED",
        "03-09 09:00 BillDueSoon b:o-1 12000 in 1 days, autopay True",
        "03-10 09:00 BillDueSoon b:o-1 12000 in 0 days, autopay True",
        "03-10 14:00 CollectionRequested a:b:o-1:2:0 12000 AUTO attempt 1",
        "03-10 14:00 RepaymentAllocated a:b:o-1:2:0 12000, owing 0 (version 2)",
        "03-10 14:00 BillPaid b:o-1 on 03-10, late by 0",
        "03-10 14:00 PlanSettled o-1 12000 on 03-10",
    ]
    await assert_invariants(world)


@pytest.mark.parametrize(
    ("token", "payouts", "outcome"),
    [
        ("tok_payout_soft_once", 2, "REFUNDED"),
        ("tok_payout_pending", 2, "REFUNDED"),
        ("tok_payout_hard", 1, None),
    ],
)
async def test_a_payout_that_stumbles_is_tried_or_asked_about_again_and_never_paid_twice(
    token: str, payouts: int, outcome: str | None
) -> None:
    world = await open_shops(ANN)
    await world.tell(*ANN.purchase("o-1", 12000, TEN), ANN.repayment("pay-1", "o-1", 12000, token))
    await world.tell(*ANN.given_back("o-1", TEN))
    await world.advance(to=local("03-05 00:00"))
    assert len(await world.events(PayoutRequested)) == payouts
    assert len({one.leg_id for one in await world.events(PayoutRequested)}) == 1
    assert [one.outcome for one in await world.events(ReturnClosed)] == ([outcome] if outcome else [])
    assert [one.cash_amount for one in await world.events(RefundCompleted)] == ([12000] if outcome else [])
    await assert_invariants(world)


async def test_what_comes_back_is_the_buyers_own_and_only_once() -> None:
    """ABU-3: another buyer's order, the same units again, a payout nobody asked for; nothing moves."""
    world = await open_shops(ANN, BOB)
    await world.tell(*ANN.purchase("o-1", 12000, TEN))
    assert await refused(world, BOB.return_request("o-1"), BOB.goodwill("o-1", 100)) == ["ORDER_NOT_ACCEPTED"] * 2
    await world.tell(*ANN.given_back("o-1", TEN))
    assert await refused(world, ANN.return_request("o-1", case="again")) == ["QUANTITY_EXCEEDED"]
    assert await refused(world, ANN.goodwill("o-1", 1)) == ["REFUND_EXCEEDS_ORDER"]
    stray = {"buyer_id": "ann", "outcome": "SUCCEEDED", "provider_ref": "psp-1", "occurred_at": TEN}
    unknown = ReportPayout(**stray, refund_id="case-o-1:r9", payout_id="case-o-1:r9:1:1")
    unasked = ReportPayout(**stray, refund_id="case-o-1:r1", payout_id="case-o-1:r1:7:1")
    assert await refused(world, unknown, unasked) == ["UNKNOWN_REFUND", "UNKNOWN_PAYOUT"]
    assert len(await world.events(RefundAllocated)) == 1
    assert await world.events(PayoutRequested) == []
    await assert_invariants(world)


async def test_the_buyer_is_told_of_every_step_and_the_proof_is_kept() -> None:
    world = await open_shops(ANN)
    await world.tell(*ANN.purchase("o-1", 12000, TEN), ANN.repayment("pay-1", "o-1", 12000))
    await world.tell(*ANN.given_back("o-1", TEN))
    await world.advance(to=local("03-03 00:00"))
    kinds = [one.kind for one in await world.events(NoticeSent) if one.buyer_id == "ann"]
    assert kinds.count("RETURN_RESULT") == 2  # approved, closed
    assert kinds.count("REFUND_STATUS") == 2  # approved, completed
    assert kinds.count("PAYMENT_RESULT") == 1
    assert {one.channel for one in await world.events(NoticeSent) if one.buyer_id == "ann"} == {"EMAIL"}
    assert MERCHANT not in {one.subject_id for one in await world.events(NoticeSent)}


async def test_an_appeal_that_overtakes_the_debt_it_is_about_pauses_it_as_soon_as_it_exists() -> None:
    """B-X1: with an order its plan is waited for; an appeal about none waits for nothing."""
    world = await open_shops(ANN)
    about = {"buyer_id": "ann", "order_id": "o-1", "merchant_id": MERCHANT}
    challenge = {"appeal_id": "ap-1", "subject": "UNRECOGNISED_ORDER", "level": 1, "currency": "CNY", "amount": 5000}
    await world.tell(AppealOpened.model_validate({**about, **challenge}))
    await world.tell(AppealOpened(buyer_id="ann", appeal_id="ap-2", subject="SCORE", level=1))
    standing = await world.members["billing"].database.standing()
    assert (standing.waiting, await world.events(BillPaused)) == (1, [])
    await world.tell(*ANN.purchase("o-1", 12000, TEN))
    (paused,) = await world.events(BillPaused)
    assert (paused.ref, paused.amount, paused.amount_due) == ("ap-1", 5000, 7000)
    assert (await world.members["billing"].database.standing()).waiting == 0
