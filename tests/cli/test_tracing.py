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
