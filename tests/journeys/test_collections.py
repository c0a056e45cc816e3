"""When the money is not there at once: declined, in doubt, overdue, and paid by hand in the end."""

from __future__ import annotations

from shared.contracts.billing import CollectionPending
from tests.journeys.invariants import assert_invariants
from tests.journeys.timeline import timeline
from tests.journeys.town import TEN, Buyer, local, open_shops

FIRST, SECOND = "a:b:o-1:1:0", "a:b:o-1:1:1"


async def test_a_soft_decline_is_tried_again_a_day_later_and_costs_a_little_score() -> None:
    """B-C2, B-C3: the next day of the terms, at 14:00."""
    ann = Buyer("ann", "tok_soft_once")
    world = await open_shops(ann)
    await world.tell(*ann.purchase("o-1", 12000, TEN))
    await world.advance(to=local("03-20 00:00"))
    assert await timeline(world, "ann", since="03-08 14:00") == [
        f"03-08 14:00 CollectionRequested {FIRST} 12000 AUTO attempt 1",
        f"03-08 14:00 CollectionFailed {FIRST} SOFT INSUFFICIENT_FUNDS, next 03-09 14:00",
        "03-09 00:00 DelinquencyChanged b:o-1 1 days: REMINDER, account REMINDER",
        "03-09 00:00 CreditLineChanged DELINQUENCY_CHANGED b:o-1: score 635, 200000 - 0 held - 12000 used = 188000",
        f"03-09 14:00 CollectionRequested {SECOND} 12000 AUTO attempt 2",
        f"03-09 14:00 RepaymentAllocated {SECOND} 12000, owing 0 (version 2)",
        "03-09 14:00 BillPaid b:o-1 on 03-09, late by 1",
        "03-09 14:00 PlanSettled o-1 12000 on 03-09",
        "03-09 14:00 DelinquencyChanged b:o-1 0 days: NONE, account NONE",
        f"03-09 14:00 CreditLineChanged REPAYMENT_ALLOCATED {SECOND}: score 635, 200000 - 0 held - 0 used = 200000",
        "03-17 00:00 OrderCompleted o-1 COMPLETED",
    ]
    await assert_invariants(world)


async def test_a_hard_decline_leads_down_the_ladder_until_the_buyer_pays_by_hand() -> None:
    """BIL-05, BIL-11, BIL-13: with another card than the one that was declined; meanwhile nothing new can be bought."""
    bob = Buyer("bob", "tok_hard")
    world = await open_shops(bob)
    await world.tell(*bob.purchase("o-1", 12000, TEN))
    for number, day in enumerate(("03-10", "03-12", "03-18"), start=2):
        at = local(f"{day} 10:00")
        await world.advance(to=at)
        await world.tell(bob.order(f"o-{number}", 1000, at))
    await world.tell(bob.repayment("pay-1", "o-1", 12600), bob.order("o-5", 1000, at))
    assert await timeline(world, "bob", since="03-08 14:00") == [
        f"03-08 14:00 CollectionRequested {FIRST} 12000 AUTO attempt 1",
        f"03-08 14:00 CollectionFailed {FIRST} HARD CARD_CLOSED, next HARD_DECLINED",
        "03-09 00:00 DelinquencyChanged b:o-1 1 days: REMINDER, account REMINDER",
        "03-09 00:00 CreditLineChanged DELINQUENCY_CHANGED b:o-1: score 635, 200000 - 0 held - 12000 used = 188000",
        "03-10 10:00 OrderAuthorized o-2 1000 until 04-07 10:00",
        "03-10 10:00 CreditLineChanged ORDER_AUTHORIZED o-2: score 635, 200000 - 1000 held - 12000 used = 187000",
        "03-12 00:00 LateFeeAssessed b:o-1:f1 600 on 12000, 600 of 2400",
        "03-12 00:00 DelinquencyChanged b:o-1 4 days: RESTRICTED, account RESTRICTED",
        "03-12 00:00 AccountStatusChanged ACTIVE -> RESTRICTED RESTRICTED",
        "03-12 00:00 CreditLineChanged DELINQUENCY_CHANGED b:o-1: score 615, 200000 - 1000 held - 12000 used = 187000",
        "03-12 10:00 OrderDeclined o-3 ACCOUNT_NOT_ACTIVE",
        "03-18 00:00 DelinquencyChanged b:o-1 10 days: SUSPENDED, account SUSPENDED",
        "03-18 00:00 AccountStatusChanged RESTRICTED -> SUSPENDED SUSPENDED",
        "03-18 10:00 OrderDeclined o-4 ACCOUNT_NOT_ACTIVE",
        "03-18 10:00 CollectionRequested pay-1 12600 MANUAL attempt 1",
        "03-18 10:00 RepaymentAllocated pay-1 12600, owing 0 (version 2)",
        "03-18 10:00 BillPaid b:o-1 on 03-18, late by 10",
        "03-18 10:00 PlanSettled o-1 12000 on 03-18",
        "03-18 10:00 DelinquencyChanged b:o-1 0 days: NONE, account NONE",
        "03-18 10:00 CreditLineChanged REPAYMENT_ALLOCATED pay-1: score 615, 200000 - 1000 held - 0 used = 199000",
        "03-18 10:00 OrderCompleted o-1 COMPLETED",
        "03-18 10:00 AccountStatusChanged SUSPENDED -> ACTIVE NONE",
        "03-18 10:00 OrderAuthorized o-5 1000 until 04-15 10:00",
        "03-18 10:00 CreditLineChanged ORDER_AUTHORIZED o-5: score 615, 200000 - 2000 held - 0 used = 198000",
    ]
    await assert_invariants(world)


async def test_after_a_hard_decline_a_new_card_is_collected_from_at_the_next_offset() -> None:
    """BIL-06, B-C3: of the days of the terms those ahead are left."""
    bob = Buyer("bob", "tok_hard")
    world = await open_shops(bob)
    await world.tell(*bob.purchase("o-1", 12000, TEN))
    await world.advance(to=local("03-10 10:00"))
    await world.tell(bob.card("tok_good"))
    await world.advance(to=local("03-12 00:00"))
    assert await timeline(world, "bob", since="03-10") == [
        "03-10 10:00 CardBound CARD tok_good",
        "03-11 14:00 CollectionRequested a:b:o-1:1:3 12000 AUTO attempt 2",
        "03-11 14:00 RepaymentAllocated a:b:o-1:1:3 12000, owing 0 (version 2)",
        "03-11 14:00 BillPaid b:o-1 on 03-11, late by 3",
        "03-11 14:00 PlanSettled o-1 12000 on 03-11",
        "03-11 14:00 DelinquencyChanged b:o-1 0 days: NONE, account NONE",
        "03-11 14:00 CreditLineChanged REPAYMENT_ALLOCATED a:b:o-1:1:3: score 635, 200000 - 0 held - 0 used = 200000",
    ]
    await assert_invariants(world)


async def test_a_pending_collection_is_asked_about_and_counts_from_the_day_it_was_requested() -> None:
    """B-C4: five minutes after the first report that nothing is known."""
    cy = Buyer("cy", "tok_pending")
    world = await open_shops(cy)
    await world.tell(*cy.purchase("o-1", 12000, TEN))
    await world.advance(to=local("03-09 00:00"))
    assert await timeline(world, "cy", since="03-08 14:00") == [
        f"03-08 14:00 CollectionRequested {FIRST} 12000 AUTO attempt 1",
        f"03-08 14:00 CollectionPending {FIRST} PENDING ask 0",
        f"03-08 14:05 CollectionPending {FIRST} PENDING ask 1",
        f"03-08 14:05 RepaymentAllocated {FIRST} 12000, owing 0 (version 2)",
        "03-08 14:05 BillPaid b:o-1 on 03-08, late by 0",
        "03-08 14:05 PlanSettled o-1 12000 on 03-08",
        f"03-08 14:05 CreditLineChanged REPAYMENT_ALLOCATED {FIRST}: score 640, 200000 - 0 held - 0 used = 200000",
        "03-08 14:05 CreditLineChanged BILL_PAID b:o-1: score 643, 200000 - 0 held - 0 used = 200000",
    ]
    await assert_invariants(world)


async def test_a_provider_that_never_answers_is_asked_seven_times_while_the_ladder_waits() -> None:
    """B-C4, B-D3: silence is no success, and nobody climbs the ladder for it at once."""
    eve = Buyer("eve", "tok_silent")
    world = await open_shops(eve)
    await world.tell(*eve.purchase("o-1", 12000, TEN))
    await world.advance(to=local("03-14 14:00"))
    asked = ("03-08 14:15", "03-08 15:15", "03-09 15:15", "03-10 15:15", "03-11 15:15", "03-12 15:15", "03-13 15:15")
    story = await timeline(world, "eve", since="03-08 14:00")
    assert story[0] == f"03-08 14:00 CollectionRequested {FIRST} 12000 AUTO attempt 1"
    assert story[1:8] == [f"{at} CollectionPending {FIRST} UNKNOWN ask {n}" for n, at in enumerate(asked, start=1)]
    assert [one.unresolved for one in await world.events(CollectionPending)] == [False] * 6 + [True]
    steps = [one for one in story[8:] if "DelinquencyChanged b:o-1" in one]
    assert [one.partition("DelinquencyChanged ")[2] for one in steps] == [
        "b:o-1 1 days: REMINDER, account REMINDER",
        "b:o-1 4 days: RESTRICTED, account RESTRICTED",
    ]
    assert story[-1] == "03-14 14:00 CollectionRequested a:b:o-1:1:6 12600 AUTO attempt 2"
    await assert_invariants(world)
