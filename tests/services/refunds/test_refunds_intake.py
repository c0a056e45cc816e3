"""What a buyer may ask to give back, refusal by refusal (R-R1, R-R2, H-3, H-5)."""

import pytest
from refunds_stories import (
    BUYER,
    CASE,
    ORDER,
    Story,
    day,
    line,
    local,
    opened,
    refund_due,
    request,
    units,
)

from services.refunds.state import Case, CaseStatus, OrderLine, Proof
from shared.contracts.policy import CategoryReturnTerms, ReturnReasons, ReturnTerms
from shared.contracts.refunds import ReturnOpened
from shared.engine.vocabulary import Cause


def refusal(asked: object, *lines: object, at: str = "03-15 10:00", **order: object) -> Story:
    story = Story.of_an_order(*lines, **order).then(asked, at=at)
    assert story.events(ReturnOpened) == []
    assert [line.open_qty for line in story.order.lines] == [0] * len(story.order.lines)
    return story


# -- what passes -------------------------------------------------------------------------------------------------------


def test_a_request_takes_its_units_and_gives_the_seller_a_day() -> None:
    story = opened(request("DAMAGED", evidence_refs=("photo-1", "photo-2"), destination="WALLET"))
    assert story.case == Case(
        buyer_id=BUYER,
        case_id=CASE,
        order_id=ORDER,
        merchant_id=story.order.merchant_id,
        content=story.case.content,
        status=CaseStatus.UNDER_REVIEW,
        kind="RETURN_REFUND",
        review_mode="SELLER",
        reason="DAMAGED",
        lines=story.case.lines,
        evidence=(Proof("BUYER", ("photo-1", "photo-2"), "does not fit", local("03-15 10:00")),),
        destination="WALLET",
        currency="CNY",
        share_amount=12884,
        opened_at=local("03-15 10:00"),
        value_on=day("03-15"),
    )
    assert story.order.lines == (
        OrderLine("A", "sku-A", "ACCESSORY", 2, 25000, 769, returnable=True, refunded_qty=0, open_qty=1),
    )
    assert story.armed() == [("REVIEW", local("03-16 10:00"))]


def test_r_r_4_the_share_that_is_paused_comes_after_all_units_gone_or_asked_for() -> None:
    """goods 10000 and freight 100 over 3 units: 3333 + 33, 3333 + 33, 3334 + 34; freight counts whatever the reason."""
    story = Story.of_an_order(line(goods=10000, freight=100, quantity=3))
    for n in (1, 2, 3):
        story = story.then(request(case_id=f"case-{n}"), at="03-15 10:00")
    assert [event.share_amount for event in story.events(ReturnOpened)] == [3366, 3366, 3368]


def test_a_request_over_several_lines_is_worth_them_together() -> None:
    story = opened(request(lines=units(A=1, B=2)), line(), line("B", 300, 10, 2))
    assert story.events(ReturnOpened)[0].share_amount == 12884 + 310
    assert [line.open_qty for line in story.order.lines] == [1, 2]


# -- R-R1, in its order ------------------------------------------------------------------------------------------------


def test_another_merchants_order_is_not_accepted_there() -> None:
    assert refusal(request(merchant_id="m-other")).code == "ORDER_NOT_ACCEPTED"


def test_another_buyers_order_is_not_accepted_here() -> None:
    assert refusal(request(buyer_id="b-other")).code == "ORDER_NOT_ACCEPTED"


def test_ref_05_a_reason_that_is_not_listed() -> None:
    story = refusal(request("BORED"))
    assert story.code == "REASON_NOT_ALLOWED"
    assert story.rejected.details["allowed"] == [*ReturnReasons().remorse, *ReturnReasons().fault]


@pytest.mark.parametrize(
    ("lines", "returns"),
    [((line(returnable=False),), ReturnTerms()), ((line(),), ReturnTerms(returnable=False))],
    ids=["the line", "the terms"],
)
def test_ref_16_what_the_line_or_its_terms_keep(lines: tuple, returns: ReturnTerms) -> None:
    assert refusal(request(), *lines, returns=returns).code == "NOT_RETURNABLE"


@pytest.mark.parametrize(
    ("reason", "last", "first"),
    [("NOT_WANTED", "03-19", "03-20"), ("DEFECTIVE", "03-27", "03-28")],
)
def test_the_window_of_each_reason_ends_with_its_last_day(reason: str, last: str, first: str) -> None:
    assert Story.of_an_order().then(request(reason), at=f"{last} 23:59").code is None
    story = refusal(request(reason), at=f"{first} 00:00")
    assert (story.code, story.rejected.details["until"]) == ("RETURN_WINDOW_CLOSED", day(last))


def test_more_units_than_there_are() -> None:
    story = refusal(request(lines=units(A=3)))
    assert story.code == "QUANTITY_EXCEEDED"
    assert story.rejected.details == {"line_id": "A", "quantity": 3, "left": 2}


def test_a_line_the_order_does_not_have_has_nothing_left() -> None:
    story = refusal(request(lines=units(A=1, Z=1)))
    assert (story.code, story.rejected.details["line_id"]) == ("QUANTITY_EXCEEDED", "Z")
    assert refusal(request(lines=units(Z=1))).code == "QUANTITY_EXCEEDED"


def test_units_asked_for_or_refunded_cannot_be_asked_for_again() -> None:
    story = opened(request(lines=units(A=2))).then(request(case_id="case-2"), at="03-15 11:00")
    assert (story.code, story.rejected.details["left"]) == ("QUANTITY_EXCEEDED", 0)
    story = refund_due(request(lines=units(A=2))).then(request(case_id="case-2"), at="03-18 17:00")
    assert (story.code, story.rejected.details["left"]) == ("QUANTITY_EXCEEDED", 0)


@pytest.mark.parametrize(
    "asked",
    [request(description=" \n"), request("DEFECTIVE", evidence_refs=()), request("DEFECTIVE", description="")],
    ids=["nothing said", "a fault not shown", "a fault not told"],
)
def test_ref_04_what_is_not_told_or_shown(asked: object) -> None:
    assert refusal(asked).code == "EVIDENCE_MISSING"


ALL_WRONG = {
    "REASON_NOT_ALLOWED": {"reason": "BORED"},
    "NOT_RETURNABLE": {"order": {"returnable": False}},
    "RETURN_WINDOW_CLOSED": {"at": "03-28 00:00"},
    "QUANTITY_EXCEEDED": {"lines": units(A=3)},
    "EVIDENCE_MISSING": {"description": "", "evidence_refs": ()},
    "FLOW_NOT_OFFERED": {"order": {"flow": "PLATFORM"}},
}


@pytest.mark.parametrize("first", ALL_WRONG)
def test_the_first_failure_speaks(first: str) -> None:
    """From the request that fails in every way, one failure after another is taken away."""
    wrong = list(ALL_WRONG)[list(ALL_WRONG).index(first) :]
    asked, at, returns = {"reason": "DEFECTIVE"}, "03-27 23:59", {}
    for code in wrong:
        facts = dict(ALL_WRONG[code])
        returns |= facts.pop("order", {})
        at = facts.pop("at", at)
        asked |= facts
    story = refusal(request(**asked), at=at, returns=ReturnTerms(**returns))
    assert story.code == first


# -- what is not offered -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["REFUND_ONLY", "EXCHANGE", "CLAIM"])
def test_kinds_that_are_not_offered(kind: str) -> None:
    assert refusal(request(kind=kind)).code == "KIND_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("RETURN_REFUND", "SERVICE_NOT_RETURNABLE"),
        ("REFUND_ONLY", "SERVICE_NOT_RETURNABLE"),
        ("EXCHANGE", "SERVICE_NOT_RETURNABLE"),
        ("CLAIM", "KIND_NOT_ALLOWED"),
    ],
)
def test_r_r_2_a_used_service_does_not_come_back(kind: str, code: str) -> None:
    assert refusal(request(kind=kind), kind="SERVICE").code == code


@pytest.mark.parametrize("terms", [{"flow": "PLATFORM"}, {"seller_silence": "ESCALATE"}], ids=str)
def test_the_platforms_own_review_is_not_offered(terms: dict) -> None:
    assert refusal(request(), returns=ReturnTerms(**terms)).code == "FLOW_NOT_OFFERED"


# -- terms by category -------------------------------------------------------------------------------------------------

FOOD = CategoryReturnTerms(returnable=False)
SHOES = CategoryReturnTerms(window_days=30, reasons=ReturnReasons(remorse=("PINCHES",), fault=("DEFECTIVE",)))
BY_CATEGORY = ReturnTerms(by_category={"FOOD": FOOD, "SHOES": SHOES})


@pytest.mark.parametrize(
    ("reason", "lines", "code"),
    [
        ("NOT_WANTED", units(A=1), None),
        ("NOT_WANTED", units(A=1, F=1), "NOT_RETURNABLE"),
        ("NOT_WANTED", units(A=1, S=1), "REASON_NOT_ALLOWED"),
        ("PINCHES", units(S=1), None),
        ("DEFECTIVE", units(A=1, S=1), None),
    ],
)
def test_each_line_has_the_terms_of_its_category(reason: str, lines: tuple, code: str | None) -> None:
    order = (line("A"), line("F", category="FOOD"), line("S", category="SHOES"))
    asked = request(reason, lines, evidence_refs=("photo-1",))
    assert Story.of_an_order(*order, returns=BY_CATEGORY).then(asked, at="03-15 10:00").code == code


def test_the_shortest_window_of_the_lines_decides() -> None:
    order = (line("A"), line("S", category="SHOES"))
    story = Story.of_an_order(*order, returns=ReturnTerms(by_category={"SHOES": CategoryReturnTerms(window_days=30)}))
    assert story.then(request(lines=units(S=1)), at="03-25 10:00").code is None
    assert story.then(request(lines=units(A=1, S=1)), at="03-25 10:00").code == "RETURN_WINDOW_CLOSED"


# -- the same id again -------------------------------------------------------------------------------------------------


def test_h_3_the_same_request_again_is_already_done_and_another_one_already_exists() -> None:
    story = Story.of_an_order().then(request(), at="03-15 10:00", cause=Cause("1", "digest"))
    again = story.then(request(), at="03-15 10:01", cause=Cause("2", "digest"))
    other = story.then(request(lines=units(A=2)), at="03-15 10:01", cause=Cause("3", "another digest"))
    assert (again.code, other.code) == ("ALREADY_DONE", "ALREADY_EXISTS")
    assert again.rejected.details == other.rejected.details == {"case_id": CASE, "status": "UNDER_REVIEW"}
    assert again.given.rows == story.given.rows


def test_h_3_a_closed_case_is_still_known_although_its_units_are_free() -> None:
    closed = opened().until("03-16 10:00").until("03-23 10:00")
    assert (closed.case.status, closed.order.lines[0].free_qty) == (CaseStatus.CLOSED, 2)
    assert closed.then(request(), at="03-23 11:00").code == "ALREADY_DONE"
