"""What would a refund do? The same numbers as the refund, and nothing stored (SimulateRefund)."""

from datetime import date

import pytest
from billing_stories import CARD, TERMS, Story, after_accepting, approved, monthly, notice, repay, report, simulate

from shared.contracts.billing import RefundAllocated, RefundSimulated

FEES = TERMS.model_copy(update={"instalment_fee_bps": {"3": 300, "6": 0, "12": 0}})


def partly_paid() -> Story:
    """10000 in three instalments with a fee of 300; the first statement is cut, 4000 are paid."""
    story = Story.of_a_buyer(enabled=False).then(monthly(terms=FEES), at="01-12 10:00")
    story = story.then(repay("pay-1", 4000, order_id="o-1"), at="02-10 10:00")
    return story.then(report("pay-1", "SUCCEEDED", 4000, "02-10 10:01"), at="02-10 10:01")


def numbers(told: RefundSimulated | RefundAllocated) -> dict[str, object]:
    """All they say alike, whatever the legs are called."""
    said = told.model_dump(include=set(RefundSimulated.model_fields) & set(RefundAllocated.model_fields))
    return {**said, "legs": [{**leg, "leg_id": ""} for leg in said["legs"]]}


def test_a_simulation_explains_a_refund_line_by_line() -> None:
    """B-R1, B-R2, B-R3: the fees of statements not cut yet go with their principal, what is left goes back in cash."""
    (told,) = partly_paid().then(simulate(9000), at="02-11 10:00").events(RefundSimulated)
    assert [(one.seq, one.outstanding) for one in told.before] == [(1, 0), (2, 2867), (3, 3333)]
    assert [(step.does, step.seq, step.amount) for step in told.trace] == [
        ("LOWERS_PRINCIPAL", 3, 3333),
        ("LOWERS_PRINCIPAL", 2, 2867),
        ("CANCELS_FEE", 3, 100),
        ("RETURNS_CASH", None, 2800),
    ]
    assert [(leg.leg_id, leg.kind, leg.amount, leg.instrument) for leg in told.legs] == [
        ("sim-1:1", "DEBT", 6200, None),
        ("sim-1:2", "ORIGINAL_ROUTE", 2800, CARD),
    ]
    assert (told.fees_cancelled, told.fees_reversed, told.unallocated) == (100, 0, 0)


def test_a_simulation_stores_nothing() -> None:
    before = partly_paid()
    story = before.then(simulate(9000), at="02-11 10:00")
    assert (story.given.rows, story.given.armed, story.posted) == (before.given.rows, before.given.armed, before.posted)


@pytest.mark.parametrize("amount", [1, 3333, 6200, 9000, 10000])
@pytest.mark.parametrize("destination", ["ORIGINAL_ROUTE", "WALLET"])
def test_the_refund_does_what_the_simulation_said(amount: int, destination: str) -> None:
    story = partly_paid().then(simulate(amount, destination=destination), at="02-11 10:00")
    refund = approved(amount, "rf-1", destination=destination, value_on=date(2027, 2, 11))
    story = story.then(refund, at="02-11 10:00")
    assert numbers(story.events(RefundSimulated)[0]) == numbers(story.events(RefundAllocated)[0])


def test_a_simulation_counts_from_the_day_it_is_asked_for() -> None:
    """B-F7: with a value date before the fee it would lower the fee."""
    story = after_accepting(12000, enabled=False).then(notice("03-16 09:01"), at="03-16 09:01").until("03-23 00:00")
    asked = [
        story.then(simulate(8000, value_on=day), at="03-24 10:00").events(RefundSimulated)[0]
        for day in (None, date(2027, 3, 22))
    ]
    assert [(one.value_on, one.fees_reversed) for one in asked] == [
        (date(2027, 3, 24), 0),
        (date(2027, 3, 22), 400),
    ]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (simulate(10001), "AMOUNT_INVALID"),
        (simulate(0), "AMOUNT_INVALID"),
        (simulate(1, order_id="o-9"), "UNKNOWN_ORDER"),
        (simulate(1, currency="EUR"), "CURRENCY_MISMATCH"),
    ],
)
def test_section_7_a_simulation_that_is_refused(command: object, code: str) -> None:
    story = partly_paid().then(command, at="02-11 10:00")
    assert (story.code, story.events(RefundSimulated)) == (code, [])


def test_no_more_can_be_simulated_than_the_rest_of_the_order() -> None:
    story = partly_paid().then(approved(4000), at="02-11 10:00").then(simulate(6001), at="02-11 11:00")
    assert (story.code, story.rejected.details) == ("AMOUNT_INVALID", {"rest": 6000})
