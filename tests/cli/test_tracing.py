"""The story of an order is found by what messages name and by what caused them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

from shared.contracts.envelope import Envelope
from shared.engine.ports import Record
from shared.operations.sightings import Sighting, sighted
from shared.operations.tracing import Chapter, owners_of, story_of, told

NOON = datetime(2027, 3, 1, 4, 0, tzinfo=UTC)


def seen(number: int, kind: str, body: dict[str, object], *, cause: int | None = None, buyer: str = "b-1") -> Sighting:
    """The ``number``-th message of the log."""
    envelope = Envelope(
        id=str(UUID(int=number, version=4)),
        type=f"houfu.{kind}.v1",
        source="/test",
        time=NOON,
        subject="s",
        key=buyer,
        correlation_id="c",
        causation_id=None if cause is None else str(UUID(int=cause, version=4)),
    )
    topic = f"{kind.split('.', maxsplit=1)[0]}.events"
    value = json.dumps({"buyer_id": buyer, **body}).encode()
    at = NOON + timedelta(milliseconds=number)
    return sighted(Record(topic, 0, number, at, buyer.encode(), value, envelope.headers()))


PLACED = seen(1, "checkout.place_order", {"order_id": "o-1"})
LIMIT = seen(2, "checkout.credit_line_changed", {"held": 100}, cause=1)
BILLED = seen(3, "billing.bill_issued", {"bill_id": "b:1", "lines": [{"order_id": "o-1"}]})
COLLECTED = seen(4, "billing.collection_requested", {"bill_id": "b:1", "repayment_id": "a:1"})
REPORTED = seen(5, "billing.report_collection", {"repayment_id": "a:1"}, cause=4)
OTHER = seen(6, "checkout.place_order", {"order_id": "o-2"})
STRANGER = seen(7, "checkout.place_order", {"order_id": "o-1"}, buyer="b-2")
EVERYTHING = [PLACED, LIMIT, BILLED, COLLECTED, REPORTED, OTHER, STRANGER]


def test_an_order_s_bills_repayments_and_side_effects_belong_to_its_story() -> None:
    assert story_of("o-1", "b-1", EVERYTHING) == [PLACED, LIMIT, BILLED, COLLECTED, REPORTED]


def test_another_order_of_the_buyer_does_not() -> None:
    assert story_of("o-2", "b-1", EVERYTHING) == [OTHER]


def test_what_caused_a_message_of_the_order_belongs_to_it() -> None:
    swept = seen(8, "checkout.change_account_status", {"action": "CLOSE"})
    closed = seen(9, "checkout.order_cancelled", {"order_id": "o-2"}, cause=8)
    assert story_of("o-2", "b-1", [OTHER, swept, closed]) == [OTHER, swept, closed]


def test_what_comes_back_of_an_order_belongs_to_it() -> None:
    opened = seen(8, "refunds.return_opened", {"order_id": "o-1", "case_id": "c-1"})
    posted = seen(9, "refunds.report_return_shipment", {"case_id": "c-1"})
    approved = seen(10, "refunds.refund_approved", {"order_id": "o-1", "refund_id": "c-1:r1"})
    paid = seen(11, "refunds.report_payout", {"refund_id": "c-1:r1"})
    assert story_of("o-1", "b-1", [opened, posted, approved, paid]) == [opened, posted, approved, paid]


def test_what_a_message_brought_about_belongs_to_it_to_the_last_effect() -> None:
    """Also where an effect bears the same millisecond as its cause and sorts before it, as topics do."""
    asked = seen(8, "notify.delivery_requested", {"notice_id": "n-1"}, cause=1)
    reported = seen(9, "notify.report_notice_delivery", {"notice_id": "n-1"}, cause=8)
    sent = seen(0, "notify.notice_sent", {"notice_id": "n-1"}, cause=9)
    assert story_of("o-1", "b-1", [PLACED, asked, reported, sent]) == [sent, PLACED, asked, reported]


def test_a_message_written_twice_is_told_once() -> None:
    assert story_of("o-1", "b-1", [PLACED, PLACED]) == [PLACED]


def test_a_message_stands_below_its_cause() -> None:
    chapters = told([PLACED, LIMIT, COLLECTED, REPORTED])
    assert chapters == [Chapter(PLACED, [Chapter(LIMIT)]), Chapter(COLLECTED, [Chapter(REPORTED)])]


def test_an_order_id_may_belong_to_several_buyers() -> None:
    assert owners_of("o-1", EVERYTHING) == {"b-1", "b-2"}
    assert owners_of("o-9", EVERYTHING) == set()


def test_an_unreadable_record_is_still_seen() -> None:
    broken = sighted(Record("billing.events", 0, 1, NOON, b"b-1", b"\xff", [("ce_type", b"x")]))
    assert (broken.name, broken.key, broken.body) == ("(unreadable)", "b-1", {})
    assert story_of("o-1", "b-1", [broken, PLACED]) == [PLACED]
