"""The worked examples of the specification that this build can live through, by their numbers."""

from refunds_stories import (
    BUYER,
    CARD,
    CASE,
    MERCHANT,
    ORDER,
    OTHER_CARD,
    REFUND,
    Story,
    allocated,
    arrived,
    assessed,
    day,
    executing,
    graded,
    in_order,
    leg,
    line,
    local,
    opened,
    paid,
    received,
    refund_due,
    repair,
    request,
    review,
    ruling,
    shipped,
    units,
)

from services.refunds.state import CaseStatus, LegStatus, RefundStatus
from shared.contracts.policy import ReturnTerms
from shared.contracts.refunds import (
    PayoutReported,
    PayoutRequested,
    RefundApproved,
    RefundCompleted,
    ReturnApproved,
    ReturnAssessed,
    ReturnClosed,
    ReturnInTransit,
    ReturnOpened,
    ReturnReceived,
    SlaMissed,
)

ABOUT_CASE = {"buyer_id": BUYER, "order_id": ORDER, "merchant_id": MERCHANT, "case_id": CASE}

EXAMPLE_1 = (
    ReturnOpened(
        **ABOUT_CASE,
        currency="CNY",
        kind="RETURN_REFUND",
        review_mode="SELLER",
        lines=units(A=1),
        reason="DEFECTIVE",
        share_amount=12884,
        review_by=local("03-16 10:00"),
        reopened=False,
    ),
    ReturnApproved(**ABOUT_CASE, return_address_ref="adr-9", ship_by=local("03-22 20:00"), lapsed=False),
    ReturnInTransit(**ABOUT_CASE, waybill_no="SF7654321098", value_on=day("03-16")),
    ReturnReceived(**ABOUT_CASE, lines=units(A=1)),
    ReturnAssessed(
        **ABOUT_CASE,
        currency="CNY",
        lines=graded(("A", 1, "A")).lines,
        responsibility="SELLER",
        goods=12500,
        freight=384,
        damage=0,
        restocking=0,
        return_fee=0,
        amount=12884,
        review_by=local("03-19 15:00"),
    ),
    SlaMissed(**ABOUT_CASE, rule="REFUND_REVIEW", due_at=local("03-19 15:00")),
    RefundApproved(
        **ABOUT_CASE,
        refund_id=REFUND,
        currency="CNY",
        cause="RETURN",
        amount=12884,
        destination="ORIGINAL_ROUTE",
        value_on=day("03-16"),
        skus=("sku-A",),
        promise_from=day("03-26"),
        promise_by=day("04-09"),
    ),
)


def test_example_1_a_return_in_the_sellers_flow_from_request_to_refund() -> None:
    """Nobody reviews the refund: the lapse of 03-19 15:00 approves it."""
    story = opened(request("DEFECTIVE")).then(review(return_address_ref="adr-9"), at="03-15 20:00")
    story = story.then(shipped("03-16 09:00"), at="03-16 09:00").then(arrived("03-18 11:00"), at="03-18 11:00")
    story = story.then(graded(("A", 1, "A")), at="03-18 15:00").until("03-19 15:00")
    assert story.told == EXAMPLE_1
    assert story.armed() == [("ARRIVAL", local("04-10 00:00"))]


def test_example_1_the_promise_is_broken_at_the_end_of_its_last_day() -> None:
    waiting = assessed(request("DEFECTIVE")).until("04-09 23:59")
    late = SlaMissed(**ABOUT_CASE, rule="REFUND_ARRIVAL", refund_id=REFUND, due_at=local("04-10 00:00"))
    assert waiting.names[-1] == "RefundApproved"
    assert waiting.until("04-10 00:00").told[len(waiting.told) :] == (late,)


def test_example_2_the_platforms_time_counts_working_days() -> None:
    """The example's instants, in a dispute: contested on Friday 03-12 at 15:00."""
    story = Story.of_an_order(at="03-08 10:00").then(request(), at="03-08 11:00").then(review(), at="03-08 12:00")
    story = story.then(shipped("03-08 13:00"), at="03-08 13:00").then(arrived("03-12 15:00", ()), at="03-12 15:00")
    assert story.armed() == [("REVIEW", local("03-18 00:00"))]
    story = story.until("03-18 00:00")
    assert (story.told[-1].rule, story.told[-1].due_at) == ("PLATFORM_REVIEW", local("03-18 00:00"))
    assert story.armed() == [("REVIEW", local("03-20 00:00"))]


RESTOCKED = ReturnTerms(restocking_bps=500, return_fee=800)


def test_example_3_a_change_of_mind_bears_damage_restocking_and_the_way_back() -> None:
    story = assessed(grades=graded(("A", 1, "B"), by="BUYER"), returns=RESTOCKED)
    computed = story.events(ReturnAssessed)[0]
    assert (computed.goods, computed.freight) == (12500, 0)
    assert (computed.damage, computed.restocking, computed.return_fee) == (2500, 625, 800)
    assert computed.amount == 8575
    assert story.then(ruling(), at="03-18 16:00").events(RefundApproved)[0].amount == 8575


def test_example_3_a_fault_bears_nothing_and_brings_the_freight_back_unit_by_unit() -> None:
    defective = request("DEFECTIVE", evidence_refs=("photo-1",))
    story = assessed(defective, grades=graded(("A", 1, "C")), returns=RESTOCKED)
    story = story.then(ruling(), at="03-18 16:00")
    again = {"case_id": "case-2"}
    story = story.then(defective.model_copy(update=again), at="03-18 17:00").then(review(**again), at="03-18 18:00")
    story = story.then(shipped("03-19 09:00", **again), at="03-19 09:00")
    story = story.then(arrived("03-20 09:00", **again), at="03-20 09:00").then(graded(**again), at="03-20 10:00")
    story = story.then(ruling(**again), at="03-20 11:00")
    assert [event.amount for event in story.events(RefundApproved)] == [12500 + 384, 12500 + 385]
    assert (story.order.refunded, story.order.rest) == (25769, 0)


def test_example_4_three_units_one_by_one_are_worth_the_line() -> None:
    story = Story.of_an_order(line(goods=10000, freight=0, quantity=3))
    for n, at in enumerate(("03-15", "03-16", "03-17"), start=1):
        case = {"case_id": f"case-{n}"}
        for message in (
            request(**case),
            review(**case),
            shipped(f"{at} 10:00", **case),
            arrived(f"{at} 10:00", **case),
            graded(**case),
            ruling(**case),
        ):
            story = story.then(message, at=f"{at} 10:00")
            assert story.code is None
    assert [event.amount for event in story.events(RefundApproved)] == [3333, 3333, 3334]
    assert story.order.lines[0].refunded == 10000


def test_example_5_a_refund_of_what_is_unpaid_moves_no_cash_whatever_its_destination() -> None:
    story = refund_due(request("DEFECTIVE", destination="WALLET"))
    assert (story.told[-1].amount, story.told[-1].destination) == (12884, "WALLET")
    story = story.then(allocated(story.refund, leg("DEBT", 12884)), at="03-18 16:01")
    assert story.told[-2:] == (
        in_order(RefundCompleted, refund_id=REFUND, case_id=CASE, currency="CNY", amount=12884, cash_amount=0),
        ReturnClosed(**ABOUT_CASE, outcome="REFUNDED"),
    )
    assert story.events(PayoutRequested) == []
    assert story.armed() == []


def test_example_6_a_partly_paid_order_goes_to_the_wallet_by_what_was_paid() -> None:
    story = refund_due(request(destination="WALLET"), line(goods=8000, freight=0, quantity=1))
    story = story.then(allocated(story.refund, leg("DEBT", 6666), leg("WALLET", 1334)), at="03-18 16:01")
    assert story.events(PayoutRequested) == [
        in_order(
            PayoutRequested,
            refund_id=REFUND,
            case_id=CASE,
            leg_id=f"{REFUND}:2",
            payout_id=f"{REFUND}:2:1",
            currency="CNY",
            kind="WALLET",
            amount=1334,
            instrument=None,
            repayment_id=None,
            ask=0,
        )
    ]
    assert story.refund.status is RefundStatus.EXECUTING
    story = story.then(paid(f"{REFUND}:2:1", "SUCCEEDED", "03-18 16:02"), at="03-18 16:02")
    assert (story.told[-2].amount, story.told[-2].cash_amount) == (8000, 1334)
    assert story.case.status is CaseStatus.CLOSED


def test_example_7_a_closed_card_needs_a_person_and_is_never_paid_twice() -> None:
    story = executing(leg("DEBT", 11166), leg("ORIGINAL_ROUTE", 1334))
    returned = f"{REFUND}:2"
    told = paid(f"{returned}:1", "FAILED", "03-18 17:00", failure="HARD", reason="CARD_CLOSED")
    story = story.then(told, at="03-18 17:00")
    assert story.told[-1] == in_order(
        PayoutReported,
        refund_id=REFUND,
        case_id=CASE,
        leg_id=returned,
        payout_id=f"{returned}:1",
        currency="CNY",
        kind="ORIGINAL_ROUTE",
        cause="RETURN",
        outcome="FAILED",
        amount=1334,
        reason="CARD_CLOSED",
        repayment_id="a:b:o-1:1:0",
    )
    assert story.refund.legs[1].status is LegStatus.NEEDS_DESK
    story = story.then(repair(returned, OTHER_CARD), at="03-19 10:00")
    assert (story.told[-1].payout_id, story.told[-1].instrument) == (f"{returned}:2", OTHER_CARD)
    story = story.then(paid(f"{returned}:2", "SUCCEEDED", "03-19 10:01"), at="03-19 10:01")
    assert story.names[-3:] == ["PayoutReported", "RefundCompleted", "ReturnClosed"]
    second = story.then(paid(f"{returned}:2", "SUCCEEDED", "03-19 10:02"), at="03-19 10:02")
    assert second.code == "ALREADY_DONE"
    assert second.told == story.told
    assert [event.instrument for event in story.events(PayoutRequested)] == [CARD, OTHER_CARD]


def test_example_8_of_two_units_asked_for_the_one_that_came_is_refunded_and_the_other_is_free() -> None:
    two = request(lines=units(A=2))
    story = received(two, came=units(A=1))
    assert (story.order.lines[0].open_qty, story.order.lines[0].refunded_qty) == (2, 0)
    story = story.then(graded(), at="03-18 15:00").then(ruling(), at="03-18 16:00")
    assert story.told[-1].amount == 12500
    line_ = story.order.lines[0]
    assert (line_.open_qty, line_.refunded_qty, line_.free_qty) == (0, 1, 1)
    again = story.then(request(case_id="case-2"), at="03-18 17:00")
    assert again.code is None
    assert again.then(request(case_id="case-3"), at="03-18 17:01").code == "QUANTITY_EXCEEDED"


def test_example_10_an_order_not_accepted_is_cancelled_or_refused_instead() -> None:
    story = Story.of_an_order().then(request(order_id="o-shipped"), at="03-15 10:00")
    assert story.code == "ORDER_NOT_ACCEPTED"


def test_example_10_a_change_of_mind_has_seven_days() -> None:
    last = Story.of_an_order().then(request(), at="03-19 23:59")
    late = Story.of_an_order().then(request(), at="03-20 00:00")
    assert (last.code, late.code) == (None, "RETURN_WINDOW_CLOSED")
    assert late.rejected.details == {"line_id": "A", "until": day("03-19")}


def test_example_10_a_hotel_after_the_stay_is_not_returned() -> None:
    story = Story.of_an_order(line(returnable=False), kind="SERVICE").then(request(), at="03-15 10:00")
    assert story.code == "SERVICE_NOT_RETURNABLE"
