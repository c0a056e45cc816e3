"""N-R1: every event of the table makes its notice, and says no more than a text may hold."""

from typing import Any

import pytest
from notify_story import BUYER, SMS_AND_EMAIL, Story, cause, cured, example, local, overdue

from services.notify.rules.catalogue import CATALOGUE
from services.notify.service import notify
from services.notify.state import Notice, NoticeStatus, Subject
from shared.contracts import billing as b
from shared.contracts import checkout as c
from shared.contracts import refunds as r
from shared.contracts.message import Event
from shared.contracts.notify import DeliveryRequested

TEN = "03-20 10:00"

REAPPLIED = [{"bill_id": "b:o-1001", "order_id": "o-1001", "seq": 1, "component": "PRINCIPAL", "amount": 400}]

TABLE: list[tuple[type[Event], dict[str, Any], str, str, str]] = [
    (c.AccountActivated, {}, "ACCOUNT_RESULT", "TRANSACTIONAL", BUYER),
    (c.AccountRejected, {}, "ACCOUNT_RESULT", "TRANSACTIONAL", BUYER),
    (c.AccountStatusChanged, {}, "ACCOUNT_RESULT", "TRANSACTIONAL", BUYER),
    (c.OrderAuthorized, {}, "ORDER_STATUS", "TRANSACTIONAL", "o-1001"),
    (c.OrderDeclined, {}, "ORDER_STATUS", "TRANSACTIONAL", "o-1001"),
    (c.OrderCancelled, {}, "ORDER_STATUS", "TRANSACTIONAL", "o-1001"),
    (c.OrderCaptured, {}, "ORDER_STATUS", "TRANSACTIONAL", "o-1001"),
    (c.DeliveryReported, {}, "ORDER_STATUS", "TRANSACTIONAL", "o-1001"),
    (c.OrderExpired, {}, "ORDER_STATUS", "TRANSACTIONAL", "o-1001"),
    (c.OrderCompleted, {}, "ORDER_STATUS", "TRANSACTIONAL", "o-1001"),
    (b.RepaymentAllocated, {}, "PAYMENT_RESULT", "TRANSACTIONAL", "a:b:o-1001:1:0"),
    (b.CollectionFailed, {}, "PAYMENT_RESULT", "TRANSACTIONAL", "a:b:o-1001:1:0"),
    (b.BillIssued, {}, "BILL_AMOUNT", "TRANSACTIONAL", "b:o-1001"),
    (b.BillDueSoon, {}, "BILL_DUE_SOON", "TRANSACTIONAL", "b:o-1001"),
    (b.ExtensionDecided, {}, "BILL_CHANGED", "TRANSACTIONAL", "b:o-1001"),
    (b.BillPaused, {}, "BILL_CHANGED", "TRANSACTIONAL", "b:o-1001"),
    (b.BillResumed, {}, "BILL_CHANGED", "TRANSACTIONAL", "b:o-1001"),
    (b.DelinquencyChanged, {"dpd": 1}, "OVERDUE", "DEBT", "b:o-1001"),
    (b.LateFeeAssessed, {}, "FEE", "DEBT", "b:o-1001"),
    (b.FeeReversed, {"reapplied": REAPPLIED}, "FEE", "DEBT", "b:o-1001"),
    (b.BillChargedOff, {}, "CHARGED_OFF", "LEGAL", "b:o-1001"),
    (c.CreditLineChanged, {"score_delta": -1, "cause_ref": "b:o-1001"}, "SCORE_IMPACT", "TRANSACTIONAL", "b:o-1001"),
    (r.ReturnApproved, {}, "RETURN_RESULT", "TRANSACTIONAL", "case-1"),
    (r.ReturnRejected, {}, "RETURN_RESULT", "TRANSACTIONAL", "case-1"),
    (r.EvidenceRequested, {}, "RETURN_RESULT", "TRANSACTIONAL", "case-1"),
    (r.EvidenceRequested, {"case_id": None, "appeal_id": "ap-1"}, "RETURN_RESULT", "TRANSACTIONAL", "ap-1"),
    (r.RefundDisputed, {}, "RETURN_RESULT", "TRANSACTIONAL", "case-1"),
    (r.ReturnClosed, {}, "RETURN_RESULT", "TRANSACTIONAL", "case-1"),
    (r.RefundApproved, {}, "REFUND_STATUS", "TRANSACTIONAL", "case-1:r1"),
    (r.RefundCompleted, {}, "REFUND_STATUS", "TRANSACTIONAL", "case-1:r1"),
    (r.SlaMissed, {"rule": "REFUND_ARRIVAL", "refund_id": "case-1:r1"}, "REFUND_STATUS", "TRANSACTIONAL", "case-1:r1"),
    (r.AppealOpened, {}, "APPEAL_STATUS", "TRANSACTIONAL", "ap-1"),
    (r.AppealDecided, {}, "APPEAL_STATUS", "TRANSACTIONAL", "ap-2"),
]

SILENT: list[tuple[type[Event], dict[str, Any]]] = [
    (c.CreditLineChanged, {"score_delta": 0}),
    (c.CreditLineChanged, {"score_delta": 12}),
    *((r.SlaMissed, {"rule": rule}) for rule in ("SELLER_REVIEW", "PLATFORM_REVIEW", "REFUND_REVIEW")),
]


@pytest.mark.parametrize(("kind", "changes", "notice_kind", "class_", "subject"), TABLE)
def test_n_r_1_an_event_makes_its_notice(
    kind: type[Event], changes: dict[str, Any], notice_kind: str, class_: str, subject: str
) -> None:
    story = Story.of_a_stranger().then(example(kind, **changes), at=TEN)
    assert story.notice == Notice(
        buyer_id=BUYER,
        notice_id=f"{cause(0).id}:{notice_kind}",
        cause=cause(0).id,
        kind=notice_kind,
        class_=class_,
        subject_id=subject,
        template=kind.TYPE.split(".")[2],
        params=story.notice.params,
        locale="zh-CN",
        created_at=local(TEN),
        due_version=1 if kind is b.BillDueSoon else None,
        status=NoticeStatus.SENT,
        channel="IN_APP",
        tried=("IN_APP",),
        attempt=1,
        evidence=story.notice.evidence,
        sent_at=local(TEN),
    )
    assert story.names == ["NoticeSent"]
    assert (story.told[0].kind, story.told[0].class_, story.told[0].subject_id) == (notice_kind, class_, subject)
    assert story.rows(Subject)[0].subject_id == subject


def test_n_r_1_the_table_is_the_catalogue() -> None:
    assert {row[0] for row in TABLE} == set(CATALOGUE)


@pytest.mark.parametrize(("kind", "changes"), SILENT)
def test_n_r_1_an_event_beside_the_condition_of_the_table_is_not_told(
    kind: type[Event], changes: dict[str, Any]
) -> None:
    story = Story.of_a_stranger().then(example(kind, **changes), at=TEN)
    assert story.last.yields == []


def test_n_r_1_that_a_bill_is_no_longer_overdue_is_not_told() -> None:
    story = Story.of_a_buyer().then(cured(), at=TEN)
    assert story.told == ()


def test_a_bill_that_is_paid_or_gone_is_not_told_by_itself() -> None:
    story = Story.of_a_buyer().then(example(b.BillPaid), at=TEN).then(example(b.BillVoided), at=TEN)
    assert story.told == ()


@pytest.mark.parametrize("decision", ["GRANTED", "DECLINED", "LAPSED"])
def test_n_r_1_whatever_became_of_an_extension_is_told(decision: str) -> None:
    """N-R1, NOT-04: whoever asked for a later date hears of the answer, and of none in time."""
    story = Story.of_a_buyer().then(example(b.ExtensionDecided, decision=decision), at=TEN)
    (asked,) = story.events(DeliveryRequested)
    assert (asked.kind, asked.template, asked.params["decision"]) == ("BILL_CHANGED", "extension_decided", decision)


@pytest.mark.parametrize("outcome", ["BUYER", "SELLER", "SPLIT", "WITHDRAWN"])
def test_n_r_1_whatever_became_of_an_appeal_is_told(outcome: str) -> None:
    """N-R1, NOT-10: opening and decision are two notices of one appeal."""
    opened = example(r.AppealOpened, appeal_id="ap-2")
    story = Story.of_a_buyer().then(opened, at=TEN).then(example(r.AppealDecided, outcome=outcome), at=TEN)
    assert story.requested == [("APPEAL_STATUS", "SMS"), ("APPEAL_STATUS", "SMS")]
    assert [one.subject_id for one in story.notices] == ["ap-2", "ap-2"]


def test_events_nobody_is_told_of_are_not_read() -> None:
    assert notify.handler(b.PlanOpened) is None
    assert notify.handler(b.PlanReopened) is None
    assert notify.handler(b.RepaymentReversed) is None, "its bill is told of when it is issued"
    assert notify.handler(b.LateFeeWithheld) is None
    assert notify.handler(b.ExtensionRequested) is None
    assert notify.handler(c.OrderAccepted) is None
    assert notify.handler(r.PayoutRequested) is None


# -- what a notice says ------------------------------------------------------------------------------------------------


def params_of(event: Event) -> dict[str, Any]:
    return Story.of_a_stranger().then(event, at=TEN).notice.params


@pytest.mark.parametrize(("kind", "changes"), [row[:2] for row in TABLE])
def test_a_notice_says_what_the_event_says_but_its_structures(kind: type[Event], changes: dict[str, Any]) -> None:
    event = example(kind, **changes)
    wire = event.model_dump(mode="json", by_alias=True, exclude_none=True)
    structures = {name for name, value in wire.items() if isinstance(value, dict) or _holds_dicts(value)}
    assert params_of(event) == {
        name: value for name, value in wire.items() if name not in {*structures, "buyer_id", "signals"}
    }


def _holds_dicts(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(one, dict) for one in value)


def test_a_list_of_structures_stays_out_even_where_it_is_empty() -> None:
    assert "allocations" not in params_of(example(b.RepaymentAllocated, allocations=[]))
    assert "reapplied" not in params_of(example(b.FeeReversed, reapplied=[]))
    assert params_of(example(c.AccountRejected, reasons=[])) == {"reasons": []}


def test_section_6_amounts_are_repeated_unchanged() -> None:
    said = params_of(overdue(amount_due=10**12))
    assert (said["amount_due"], said["currency"]) == (10**12, "CNY")


def test_law_8_no_instrument_leaves_with_a_notice() -> None:
    for event in (example(c.AccountActivated), example(b.RepaymentAllocated)):
        story = Story.of_a_buyer().then(event, at=TEN)
        (asked,) = story.events(DeliveryRequested)
        assert "tok_" not in asked.to_json()
        assert BUYER not in str(asked.params)


def test_why_an_order_looked_risky_is_not_passed_on() -> None:
    said = params_of(example(c.OrderDeclined, signals=["NEW_DEVICE"], reasons=["RISK"]))
    assert said["reasons"] == ["RISK"]
    assert "signals" not in said


def test_a_notice_is_told_in_the_buyers_language() -> None:
    story = Story.of_a_buyer(contacts=SMS_AND_EMAIL, locale="en").then(overdue(), at=TEN)
    assert story.events(DeliveryRequested)[0].locale == "en"
