"""The main road: an order is delivered, its debt falls due, and the money is there."""

from __future__ import annotations

from tests.journeys.invariants import assert_invariants
from tests.journeys.timeline import timeline
from tests.journeys.town import TEN, Buyer, local, open_shops, open_town, platform_policy

ANN = Buyer("ann")


async def test_a_phone_case_is_collected_on_its_due_date_and_its_limit_is_free_again() -> None:
    """BIL-01, BIL-02, BIL-06, BIL-09, BIL-12: told, reminded of, collected by itself, told again, and punctual."""
    world = await open_town()
    await world.tell(platform_policy(), *ANN.enrolment())
    await world.advance(to=TEN)
    await world.tell(ANN.order("o-1", 25769, TEN))
    await world.advance(to=local("03-01 18:00"))
    await world.tell(ANN.shipment("o-1", local("03-01 17:00")))
    await world.advance(to=local("03-02 15:00"))
    await world.tell(ANN.delivery("o-1", local("03-02 14:55")))
    await world.advance(to=local("03-31 00:00"))
    collection = "a:b:o-1:1:0"
    assert await timeline(world, "platform") == ["03-01 09:00 MerchantPolicyPublished 1 from 03-01 10:00"]
    assert await timeline(world, "ann") == [
        "03-01 09:00 AccountApplied",
        "03-01 09:00 ApplicationAdvanced IDENTITY DONE, APPLIED",
        "03-01 09:00 ApplicationAdvanced CARD DONE, APPLIED",
        "03-01 09:00 ApplicationAdvanced PASSWORD DONE, UNDER_REVIEW",
        "03-01 09:00 ApplicationAdvanced SCORE DONE, UNDER_REVIEW",
        "03-01 09:00 AccountActivated score 640 limit 200000",
        "03-01 09:00 MerchantConsentChanged m-42 True",
        "03-01 10:00 OrderAuthorized o-1 25769 until 03-29 10:00",
        "03-01 10:00 CreditLineChanged ORDER_AUTHORIZED o-1: score 640, 200000 - 25769 held - 0 used = 174231",
        "03-01 18:00 OrderCaptured o-1 25769",
        "03-02 15:00 DeliveryReported o-1 DELIVERED, auto-accepted 03-12 15:00",
        "03-12 15:00 OrderAccepted o-1 25769 by AUTO",
        "03-12 15:00 PlanOpened o-1 25769, owing 25769 (version 1)",
        "03-12 15:00 BillIssued b:o-1 25769 due 03-19",
        "03-12 15:00 CreditLineChanged PLAN_OPENED o-1: score 640, 200000 - 0 held - 25769 used = 174231",
        "03-16 09:00 BillDueSoon b:o-1 25769 in 3 days, autopay True",
        "03-18 09:00 BillDueSoon b:o-1 25769 in 1 days, autopay True",
        "03-19 09:00 BillDueSoon b:o-1 25769 in 0 days, autopay True",
        f"03-19 14:00 CollectionRequested {collection} 25769 AUTO attempt 1",
        f"03-19 14:00 RepaymentAllocated {collection} 25769, owing 0 (version 2)",
        "03-19 14:00 BillPaid b:o-1 on 03-19, late by 0",
        "03-19 14:00 PlanSettled o-1 25769 on 03-19",
        f"03-19 14:00 CreditLineChanged REPAYMENT_ALLOCATED {collection}: score 640, 200000 - 0 held - 0 used = 200000",
        "03-19 14:00 CreditLineChanged BILL_PAID b:o-1: score 643, 200000 - 0 held - 0 used = 200000",
        "03-28 00:00 OrderCompleted o-1 COMPLETED",
    ]
    await assert_invariants(world)


async def test_a_window_of_the_platforms_policy_holds_once_it_is_in_force() -> None:
    """BIL-02: ten days instead of seven."""
    world = await open_shops(ANN, window_days=10)
    await world.tell(ANN.order("o-1", 5000, TEN, window_days=7), ANN.order("o-2", 5000, TEN, window_days=10))
    await world.tell(ANN.shipment("o-2", TEN), ANN.delivery("o-2", TEN), ANN.confirmation("o-2"))
    assert await timeline(world, "ann", since="03-01 10:00") == [
        "03-01 10:00 Rejected TERMS_CHANGED",
        "03-01 10:00 OrderAuthorized o-2 5000 until 03-29 10:00",
        "03-01 10:00 CreditLineChanged ORDER_AUTHORIZED o-2: score 640, 200000 - 5000 held - 0 used = 195000",
        "03-01 10:00 OrderCaptured o-2 5000",
        "03-01 10:00 DeliveryReported o-2 DELIVERED, auto-accepted 03-11 10:00",
        "03-01 10:00 OrderAccepted o-2 5000 by BUYER",
        "03-01 10:00 PlanOpened o-2 5000, owing 5000 (version 1)",
        "03-01 10:00 BillIssued b:o-2 5000 due 03-11",
        "03-01 10:00 CreditLineChanged PLAN_OPENED o-2: score 640, 200000 - 0 held - 5000 used = 195000",
    ]
    await assert_invariants(world)
