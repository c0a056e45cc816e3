"""A return case from its request to the decision on its refund: who is asked, and what silence means (2.1)."""

import pytest
from refunds_stories import (
    BUYER,
    CASE,
    ORDER,
    REFUND,
    Story,
    accepted,
    approved,
    arrived,
    assessed,
    completed,
    day,
    disputed,
    graded,
    in_transit,
    line,
    local,
    opened,
    proof,
    received,
    refund_due,
    request,
    review,
    ruling,
    shipped,
    units,
    withdraw,
)

from services.refunds.deadlines import Assess, Evidence, Receipt, Review, ShipBack
from services.refunds.state import CaseStatus, Refund
from shared.contracts.refunds import (
    EvidenceRequested,
    EvidenceSubmitted,
    RefundApproved,
    RefundDisputed,
    ReturnApproved,
    ReturnAssessed,
    ReturnClosed,
    ReturnInTransit,
    ReturnReceived,
    ReturnRejected,
    SlaMissed,
)


def missed(story: Story) -> list[tuple[str, object]]:
    return [(event.rule, event.due_at) for event in story.events(SlaMissed)]


def free_units(story: Story) -> int:
    return story.order.lines[0].free_qty


# -- the request -------------------------------------------------------------------------------------------------------


def test_ref_06_the_sellers_silence_approves_the_request() -> None:
    story = opened().until("03-16 10:00")
    assert missed(story) == [("SELLER_REVIEW", local("03-16 10:00"))]
    assert story.names[-2:] == ["SlaMissed", "ReturnApproved"]
    lapse = story.told[-1]
    assert (lapse.lapsed, lapse.return_address_ref, lapse.ship_by) == (True, None, local("03-23 10:00"))
    assert story.armed() == [("SHIP_BACK", local("03-23 10:00"))]


def test_the_seller_approves_and_the_buyer_has_a_week_to_post_the_goods() -> None:
    story = approved()
    assert (story.told[-1].lapsed, story.told[-1].ship_by) == (False, local("03-22 20:00"))
    assert story.armed() == [("SHIP_BACK", local("03-22 20:00"))]
    assert missed(story.until("03-22 19:59")) == []


def test_ref_05_a_rejected_request_ends_and_frees_its_units() -> None:
    story = opened().then(review("REJECT", reason="worn"), at="03-15 20:00")
    assert story.names[-2:] == ["ReturnRejected", "ReturnClosed"]
    rejected = story.events(ReturnRejected)[0]
    assert (rejected.reason, rejected.appeal_until) == ("worn", local("03-22 20:00"))
    assert (story.case.status, story.case.outcome) == (CaseStatus.CLOSED, "REJECTED")
    assert (free_units(story), story.armed()) == (2, [])


def test_ref_04_proof_that_is_asked_for_and_given_begins_the_review_anew() -> None:
    story = opened().then(review("NEED_EVIDENCE"), at="03-15 20:00")
    wanted = story.events(EvidenceRequested)[0]
    assert (wanted.by, wanted.until) == ("BUYER", local("03-18 20:00"))
    assert story.armed() == [("EVIDENCE", local("03-18 20:00"))]
    story = story.then(proof(), at="03-16 09:00")
    given = story.events(EvidenceSubmitted)[0]
    assert (given.by, given.until) == ("BUYER", local("03-17 09:00"))
    assert story.armed() == [("REVIEW", local("03-17 09:00"))]
    assert [one.evidence_refs for one in story.case.evidence] == [(), ("photo-2",)]
    assert story.then(review(), at="03-16 10:00").case.status is CaseStatus.APPROVED


def test_proof_that_does_not_come_lets_the_request_lapse() -> None:
    story = opened().then(review("NEED_EVIDENCE"), at="03-15 20:00").until("03-18 20:00")
    assert (story.told[-1].outcome, story.case.status) == ("LAPSED", CaseStatus.CLOSED)
    assert (free_units(story), story.armed(), missed(story)) == (2, [], [])


def test_proof_is_asked_for_nine_times_at_most() -> None:
    story = opened()
    for n in range(9):
        story = story.then(review("NEED_EVIDENCE"), at=f"03-15 11:0{n}").then(proof(), at=f"03-15 11:0{n}")
        assert story.code is None
    story = story.then(review("NEED_EVIDENCE"), at="03-15 12:00")
    assert (story.code, len(story.case.evidence)) == ("EVIDENCE_LIMIT", 10)


@pytest.mark.parametrize("so_far", [opened, approved], ids=["asked", "approved"])
def test_the_buyer_may_give_up_until_the_goods_are_on_their_way(so_far: object) -> None:
    story = so_far().then(withdraw(), at="03-16 08:00")
    assert story.told[-1] == ReturnClosed(
        buyer_id=BUYER, order_id=ORDER, merchant_id=story.order.merchant_id, case_id=CASE, outcome="WITHDRAWN"
    )
    assert (story.case.outcome, free_units(story), story.armed()) == ("WITHDRAWN", 2, [])


def test_giving_up_while_proof_is_awaited() -> None:
    story = opened().then(review("NEED_EVIDENCE"), at="03-15 20:00").then(withdraw(), at="03-16 08:00")
    assert (story.case.outcome, free_units(story), story.armed()) == ("WITHDRAWN", 2, [])


# -- the way back ------------------------------------------------------------------------------------------------------


def test_goods_that_are_never_posted_let_the_case_lapse() -> None:
    story = approved().until("03-22 20:00")
    assert (story.told[-1].outcome, free_units(story), story.armed()) == ("LAPSED", 2, [])


@pytest.mark.parametrize(
    ("occurred", "value_on"),
    [
        ("03-16 09:00", "03-16"),
        ("03-15 23:59", "03-15"),
        ("03-01 09:00", "03-15"),
    ],
    ids=["the day", "the day before", "before the request"],
)
def test_r_r_5_the_refund_counts_from_the_hand_over_not_before_the_request(occurred: str, value_on: str) -> None:
    story = approved().then(shipped(occurred), at="03-16 23:59")
    assert story.events(ReturnInTransit)[0].value_on == story.case.value_on == day(value_on)
    assert story.armed() == [("RECEIPT", local("03-31 23:59"))]


def test_r_r_5_a_clock_that_runs_ahead_does_not_date_the_refund_ahead() -> None:
    story = approved().then(shipped("03-17 00:00"), at="03-16 23:59")
    assert story.case.value_on == day("03-16")


def test_ref_08_the_sellers_silence_about_a_parcel_means_all_of_it_arrived() -> None:
    story = in_transit(request(lines=units(A=2))).until("03-31 09:00")
    assert missed(story) == [("SELLER_RECEIPT", local("03-31 09:00"))]
    assert story.names[-2:] == ["SlaMissed", "ReturnReceived"]
    assert story.events(ReturnReceived)[0].lines == units(A=2)
    assert story.armed() == [("ASSESS", local("04-03 09:00"))]


def test_the_sellers_silence_about_the_goods_means_they_are_as_new() -> None:
    story = received(request(lines=units(A=2)), came=units(A=1)).until("03-21 11:00")
    computed = story.events(ReturnAssessed)[0]
    assert computed.lines == graded(("A", 1, "A")).lines
    assert (computed.responsibility, computed.amount, computed.review_by) == ("SELLER", 12500, local("03-22 11:00"))
    assert missed(story) == []
    assert story.armed() == [("REVIEW", local("03-22 11:00"))]


def test_a_seller_who_never_says_anything_refunds_everything_in_the_end() -> None:
    """24 h, then posted, 15 d, 72 h, 24 h: four silences, one refund, whatever happens afterwards."""
    story = opened().until("03-16 10:00").then(shipped("03-16 11:00"), at="03-16 11:00").until("12-31 00:00")
    assert [rule for rule, _ in missed(story)] == ["SELLER_REVIEW", "SELLER_RECEIPT", "REFUND_REVIEW", "REFUND_ARRIVAL"]
    assert [event.amount for event in story.events(RefundApproved)] == [12500]
    assert story.case.status is CaseStatus.REFUND_DUE
    assert story.armed() == []


# -- the decision on the refund ----------------------------------------------------------------------------------------


def test_the_approved_refund_takes_the_units_for_good() -> None:
    story = refund_due()
    assert (story.case.status, story.case.refund_id, story.case.outcome) == (CaseStatus.REFUND_DUE, REFUND, None)
    line_ = story.order.lines[0]
    assert (line_.refunded_qty, line_.open_qty, line_.refunded, story.order.refunded) == (1, 0, 12500, 12500)
    assert (story.refund.cause, story.refund.promise_by, story.refund.legs) == ("RETURN", day("04-08"), ())
    assert story.armed() == [("ARRIVAL", local("04-09 00:00"))]


def test_a_refund_of_nothing_ends_the_case_and_the_units_are_spent() -> None:
    worthless = graded(("A", 1, "D"), by="BUYER")
    story = assessed(grades=worthless).then(ruling(), at="03-18 16:00")
    assert story.names[-2:] == ["ReturnAssessed", "ReturnClosed"]
    assert (story.case.outcome, story.case.refund_id, story.told[-1].outcome) == ("NO_REFUND", None, "NO_REFUND")
    assert [row for row in story.given.rows if isinstance(row, Refund)] == []
    line_ = story.order.lines[0]
    assert (line_.refunded_qty, line_.open_qty, line_.refunded, story.order.refunded) == (1, 0, 0, 0)
    assert story.armed() == []


def test_a_contested_refund_is_the_platforms_to_rule() -> None:
    story = disputed()
    assert story.events(RefundDisputed)[0].reason == "worn"
    assert (story.case.status, story.case.review_mode) == (CaseStatus.DISPUTED, "PLATFORM")
    assert story.armed() == [("REVIEW", local("03-24 00:00"))]
    assert story.then(ruling(by="SELLER"), at="03-19 10:00").code == "PARTY_NOT_ALLOWED"
    ruled = story.then(ruling(by="PLATFORM"), at="03-19 10:00")
    assert (ruled.told[-1].amount, ruled.case.status) == (12500, CaseStatus.REFUND_DUE)
    assert ruled.armed() == [("ARRIVAL", local("04-10 00:00"))]


def test_the_platform_may_grant_less_and_the_units_are_spent_all_the_same() -> None:
    story = disputed().then(ruling(by="PLATFORM", amount=5000), at="03-19 10:00")
    assert story.told[-1].amount == 5000
    assert (story.order.refunded, story.order.lines[0].refunded_qty, story.order.lines[0].refunded) == (5000, 1, 5000)


def test_the_platform_may_grant_nothing() -> None:
    story = disputed().then(ruling(by="PLATFORM", amount=0), at="03-19 10:00")
    assert (story.case.outcome, story.order.refunded) == ("NO_REFUND", 0)


def test_the_platform_may_side_with_the_seller() -> None:
    story = disputed().then(ruling("REJECT", by="PLATFORM", reason="worn"), at="03-19 10:00")
    assert (story.told[-1].outcome, story.case.outcome, free_units(story)) == ("REJECTED", "REJECTED", 2)
    assert story.armed() == []


def test_ref_10_a_silent_platform_is_reminded_every_working_day() -> None:
    story = disputed().until("03-30 00:00")
    assert missed(story) == [
        ("PLATFORM_REVIEW", local("03-24 00:00")),
        ("PLATFORM_REVIEW", local("03-26 00:00")),
        ("PLATFORM_REVIEW", local("03-30 00:00")),
    ]


def test_ref_08_a_parcel_that_never_arrived_is_ruled_upon_by_what_was_asked_for() -> None:
    story = in_transit(request("WRONG_ITEM", lines=units(A=2))).then(arrived("03-18 11:00", ()), at="03-18 11:00")
    assert story.events(ReturnReceived) == []
    assert (story.told[-1].reason, story.case.status) == ("Nothing arrived", CaseStatus.DISPUTED)
    assert story.armed() == [("REVIEW", local("03-24 00:00"))]
    ruled = story.then(ruling(by="PLATFORM"), at="03-19 10:00")
    assert (ruled.told[-1].amount, ruled.order.lines[0].refunded_qty) == (25769, 2)


@pytest.mark.parametrize(
    ("code", "command"),
    [
        ("PARTY_NOT_ALLOWED", ruling(by="SELLER")),
        ("CURRENCY_MISMATCH", ruling(by="PLATFORM", amount=1, currency="EUR")),
        ("AMOUNT_INVALID", ruling(by="PLATFORM", amount=12501)),
        ("AMOUNT_INVALID", ruling("REJECT", by="PLATFORM", amount=1)),
    ],
)
def test_r_r_4_what_may_not_be_ruled(code: str, command: object) -> None:
    story = disputed().then(command, at="03-19 10:00")
    assert (story.code, story.case.status) == (code, CaseStatus.DISPUTED)


@pytest.mark.parametrize("command", [ruling(amount=1), ruling("DISPUTE", amount=1), ruling(by="PLATFORM")])
def test_r_r_4_the_seller_decides_alone_and_sets_no_amount(command: object) -> None:
    assert assessed().then(command, at="03-18 16:00").code == "PARTY_NOT_ALLOWED"


def test_the_refund_is_computed_anew_when_it_is_decided() -> None:
    """Two cases of one order were assessed alike; M-3 shares what is left when the second is decided."""
    four = line(goods=6, freight=0, quantity=4)
    story = assessed(request(lines=units(A=1)), four)
    second = {"case_id": "case-2"}
    for message in (
        request(lines=units(A=1), **second),
        review(**second),
        shipped("03-18 15:10", **second),
        arrived("03-18 15:10", **second),
        graded(**second),
    ):
        story = story.then(message, at="03-18 15:10")
    assert [event.amount for event in story.events(ReturnAssessed)] == [1, 1]
    story = story.then(ruling(), at="03-18 16:00").then(ruling(**second), at="03-18 16:01")
    assert [event.amount for event in story.events(RefundApproved)] == [1, 2]


# -- who may speak, and of what ----------------------------------------------------------------------------------------


def test_a_request_is_the_sellers_to_review() -> None:
    assert opened().then(review(by="PLATFORM"), at="03-15 20:00").code == "PARTY_NOT_ALLOWED"


def test_a_return_is_computed_and_cannot_be_granted_an_amount() -> None:
    story = opened().then(review(amount=5000, currency="CNY"), at="03-15 20:00")
    assert (story.code, story.case.status) == ("AMOUNT_INVALID", CaseStatus.UNDER_REVIEW)


COMMANDS = [
    (opened, review),
    (opened, withdraw),
    (lambda: opened().then(review("NEED_EVIDENCE"), at="03-15 20:00"), proof),
    (approved, lambda **other: shipped("03-16 09:00", **other)),
    (in_transit, lambda **other: arrived("03-18 11:00", **other)),
    (received, graded),
    (assessed, ruling),
]


@pytest.mark.parametrize(("so_far", "say"), COMMANDS)
@pytest.mark.parametrize(
    "other",
    [{"case_id": "case-unknown"}, {"merchant_id": "m-other"}, {"order_id": "o-2"}, {"buyer_id": "b-other"}],
    ids=str,
)
def test_a_case_is_known_only_with_its_buyer_order_and_merchant(so_far, say, other: dict) -> None:
    story = so_far().then(accepted(order_id="o-2"), at="03-18 15:30")
    refused = story.then(say(**other), at="03-18 15:30")
    assert refused.code == "UNKNOWN_CASE"
    assert refused.given.rows == story.given.rows


@pytest.mark.parametrize("say", [proof, withdraw])
def test_no_appeal_is_known(say) -> None:
    assert opened().then(say(case_id=None, appeal_id="ap-1"), at="03-15 11:00").code == "UNKNOWN_APPEAL"


@pytest.mark.parametrize(
    ("so_far", "say"),
    [(approved, lambda: shipped("03-18 12:02")), (in_transit, lambda: arrived("03-18 12:02"))],
)
def test_h_5_what_has_not_happened_cannot_be_reported(so_far, say) -> None:
    assert so_far().then(say(), at="03-18 12:00").code == "TIME_IN_FUTURE"
    assert so_far().then(say(), at="03-18 12:01").code is None


@pytest.mark.parametrize("lines", [units(A=2), units(A=1, Z=1)], ids=["more units", "another line"])
def test_no_more_arrives_than_was_asked_for(lines: tuple) -> None:
    story = in_transit().then(arrived("03-18 11:00", lines), at="03-18 11:00")
    assert (story.code, story.case.status) == ("QUANTITY_EXCEEDED", CaseStatus.IN_TRANSIT)


@pytest.mark.parametrize(
    "grades",
    [graded(("A", 2, "A")), graded(("A", 1, "A"), ("A", 1, "B")), graded(("Z", 1, "A"))],
    ids=["more units", "more in groups", "another line"],
)
def test_no_more_is_graded_than_arrived(grades: object) -> None:
    story = received(request(lines=units(A=2)), came=units(A=1)).then(grades, at="03-18 15:00")
    assert (story.code, story.case.status) == ("QUANTITY_EXCEEDED", CaseStatus.RECEIVED)


# -- deadlines that came too late --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Review, Evidence, ShipBack, Receipt, Assess])
def test_deadlines_of_a_case_that_is_decided_do_nothing(kind: type) -> None:
    due = kind(BUYER, ORDER, CASE)
    for story in (refund_due(), completed()):
        assert story.given.when(due, now=local("03-30 00:00")).yields == []


def test_an_approval_at_the_very_instant_of_the_lapse_comes_too_late() -> None:
    """T-3: the deadline runs first."""
    story = opened().then(review(), at="03-16 10:00")
    assert story.code == "ILLEGAL_TRANSITION"
    assert [event.lapsed for event in story.events(ReturnApproved)] == [True]
