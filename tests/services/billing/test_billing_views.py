"""What billing shows of debts that its own handlers made, over a real schema: bills, plans, journal and trial balance.

What is reckoned from the journal must be what the rows say, now and after every message there ever was; so whole lives
are told through the views.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from billing_stories import (
    BUYER,
    TERMS,
    Story,
    accepted,
    after_accepting,
    approved,
    attempt,
    charge_off,
    extend,
    monthly,
    notice,
    repay,
    report,
    reversal,
    waive,
)
from hypothesis import HealthCheck, given, note, settings
from lives import Life, Script, Step, scripts

from services.billing.rules import dues
from services.billing.state import Bill, Plan, Posting
from shared.contracts.billing import PlanOpened, RefundAllocated
from shared.contracts.policy import ExtensionOption, ExtensionTerms
from shared.drivers.migrate import migrate
from shared.engine.vocabulary import Row
from shared.operations.house import revisions_of
from tests.views.bench import Bench
from tests.views.rows import BESIDES, KINDS

SCHEMA = "billing_stories"
SHOWN = (*KINDS["billing"], *BESIDES["billing"])
"""What the views read."""


@dataclass
class Reader:
    """Somebody who reads the views of debts that are told."""

    bench: Bench
    runner: asyncio.Runner

    def told(self, rows: Iterable[Row], postings: Iterable[Posting]) -> Reader:
        """Forget what was told before, and keep these rows and the journal of them."""

        async def tell() -> None:
            await self.bench.empty(SHOWN)
            await self.bench.save(*(row for row in rows if type(row) in SHOWN), *postings)

        self.runner.run(tell())
        return self

    def story(self, story: Story) -> Reader:
        return self.told(story.given.rows, story.posted)

    def read(self, path: str, buyer: str = BUYER, **asked: Any) -> Any:
        return self.runner.run(self.bench.read(f"/buyers/{buyer}/{path}", f"buyer:{buyer}", **asked))

    def read_all(self, path: str, buyer: str = BUYER) -> list[dict[str, Any]]:
        """Every item of a list, page by page."""
        items: list[dict[str, Any]] = []
        asked: dict[str, Any] = {"limit": 100}
        while True:
            page = self.read(path, buyer, **asked)
            items += page["items"]
            if "next_cursor" not in page:
                return items
            asked["cursor"] = page["next_cursor"]

    def trial_balance(self, **asked: Any) -> Any:
        return self.runner.run(self.bench.read("/trial-balance", "operator", **asked))

    def sql(self, statement: str) -> list[dict[str, Any]]:
        async def ask() -> list[dict[str, Any]]:
            async with self.bench.database.connection("reading") as connection:
                return [dict(record) for record in await connection.fetch(statement)]

        return self.runner.run(ask())


@pytest.fixture(scope="module")
def reader(request: pytest.FixtureRequest) -> Iterator[Reader]:
    """The views over a schema in the database named by HOUFU_TEST_POSTGRES, or in the embedded one."""
    dsn = os.environ.get("HOUFU_TEST_POSTGRES") or str(request.getfixturevalue("servers").admin_dsn)
    migrate(dsn, "billing", [revisions_of("billing")], schema=SCHEMA)
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        bench = runner.run(Bench.open("billing", dsn, SCHEMA))
        yield Reader(bench, runner)
        runner.run(bench.close())


def moves(bill: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The history of a bill in short."""
    return [(one["fact"], one["component"], one["amount"], one["owed"]) for one in bill["history"]]


def schedule(balances: list[dict[str, int]]) -> list[int]:
    return [one["outstanding"] for one in balances]


# -- bills -------------------------------------------------------------------------------------------------------------


def late_with_two_fees() -> Story:
    """Example 3: 12000 due on 03-19, reminded of and unpaid; fees on 03-23 and 03-30."""
    story = after_accepting(12000, enabled=False).then(notice("03-16 09:01"), at="03-16 09:02")
    return story.until("03-30 00:00")


def test_a_late_bill_shows_its_fees_and_how_they_came_to_be(reader: Reader) -> None:
    """BIL-10, B-F2, billing example 3: each late fee with its day, and what the bill cost after each step."""
    shown = reader.story(late_with_two_fees()).read("bills/b:o-1")
    assert [shown[name] for name in ("billed", "late_fees", "late_fees_unpaid", "amount_due", "unpaid")] == [
        12000,
        1200,
        1200,
        13200,
        13200,
    ]
    fee = {"amount": 600, "reversed": 0, "charged_off": 0, "reinstated": 0, "paid": 0, "unpaid": 600}
    assert shown["late_fees_assessed"] == [
        {"fee_id": "b:o-1:f1", **fee, "assessed_at": "2027-03-22T16:00:00Z", "dpd": 4},
        {"fee_id": "b:o-1:f2", **fee, "assessed_at": "2027-03-29T16:00:00Z", "dpd": 11},
    ]
    assert moves(shown) == [
        ("PLAN_OPENED", "PRINCIPAL", 12000, 12000),
        ("LATE_FEE_ASSESSED", "LATE_FEE", 600, 12600),
        ("LATE_FEE_ASSESSED", "LATE_FEE", 600, 13200),
    ]
    (listed,) = reader.read("bills")["items"]
    assert listed == {name: shown[name] for name in listed}


def test_a_refund_that_takes_fees_back_is_told_step_by_step(reader: Reader) -> None:
    """B-F7, billing example 5: less principal, and each fee computed anew."""
    shown = reader.story(late_with_two_fees().then(approved(8000), at="04-02 10:00")).read("bills/b:o-1")
    assert [(one["amount"], one["reversed"], one["unpaid"]) for one in shown["late_fees_assessed"]] == [
        (600, 400, 200),
        (600, 400, 200),
    ]
    assert (shown["late_fees"], shown["amount_due"]) == (400, 4400)
    assert moves(shown)[-2:] == [("REFUND", "PRINCIPAL", -8000, 5200), ("FEE_REVERSED", "LATE_FEE", -800, 4400)]


def test_what_is_written_off_is_owed_still_and_fees_are_not(reader: Reader) -> None:
    """B-D4: A charge-off leaves the principal payable; what is recovered lowers it again."""
    story = late_with_two_fees().then(charge_off(), at="03-31 10:00")
    story = story.then(repay("pay-1", 5000), at="04-01 10:00")
    story = story.then(report("pay-1", "SUCCEEDED", 5000, "04-01 10:01"), at="04-01 10:01")
    shown = reader.story(story).read("bills/b:o-1")
    assert [(*move, one.get("charged_off")) for move, one in zip(moves(shown), shown["history"], strict=True)][3:] == [
        ("CHARGE_OFF", "PRINCIPAL", -12000, 13200, 12000),
        ("CHARGE_OFF", "LATE_FEE", -1200, 12000, 12000),
        ("REPAYMENT", "PRINCIPAL", -5000, 7000, 7000),
    ]
    assert [shown[name] for name in ("status", "late_fees", "amount_due", "unpaid")] == ["CHARGED_OFF", 0, 0, 7000]
    assert [one["charged_off"] for one in shown["late_fees_assessed"]] == [600, 600]
    assert [(one["charged_off"], one["paid"]) for one in shown["lines"]] == [(7000, 5000)]


def test_a_fee_that_was_paid_and_taken_back_pays_the_bill(reader: Reader) -> None:
    """B-F7: The paid part of a reversed fee pays what else is outstanding."""
    story = late_with_two_fees().then(repay("pay-1", 1000), at="04-01 10:00")
    story = story.then(report("pay-1", "SUCCEEDED", 1000, "04-01 10:01"), at="04-01 10:01")
    shown = reader.story(story.then(waive(), at="04-02 10:00")).read("bills/b:o-1")
    assert moves(shown)[3:] == [
        ("REPAYMENT", "LATE_FEE", -1000, 12200),
        ("FEE_REVERSED", "LATE_FEE", -200, 12000),
        ("FEE_REVERSED", "PRINCIPAL", -400, 11600),
    ]
    assert (shown["late_fees"], shown["late_fees_unpaid"], shown["unpaid"]) == (600, 0, 11600)


def priced(approver: str) -> Story:
    """A bill of 12000 due on 03-19 whose due date may be moved by 14 days for 100."""
    extension = ExtensionTerms(approver=approver, options=(ExtensionOption(days=14, fee=100),))
    order = accepted(amount=12000, terms=TERMS.model_copy(update={"extension": extension}))
    return Story.of_a_buyer(enabled=False).then(order, at="03-12 10:00").then(extend(14), at="03-18 10:00")


def test_a_later_due_date_is_shown_while_it_is_asked_for(reader: Reader) -> None:
    """BIL-13, B-E: The open wish says who decides and until when."""
    shown = reader.story(priced("PLATFORM")).read("bills/b:o-1")
    wish = {"extension_id": "ext-1", "days": 14, "fee": 100, "approver": "PLATFORM", "until": "2027-03-20T02:00:00Z"}
    assert (shown["extended"], shown["extension"], shown["due_on"]) == (False, wish, "2027-03-19")
    lapsed = reader.story(priced("PLATFORM").until("03-20 10:00")).read("bills/b:o-1")
    assert (lapsed["extended"], "extension" in lapsed) == (False, False)


def test_a_later_due_date_that_was_granted_stands_on_the_bill_with_its_price(reader: Reader) -> None:
    """BIL-13, B-E, billing example 9: due later, extended for good, and the price is a fee of the line."""
    shown = reader.story(priced("AUTO")).read("bills/b:o-1")
    assert (shown["extended"], shown["due_on"], "extension" in shown) == (True, "2027-04-02", False)
    assert [(one["principal"], one["fee"]) for one in shown["lines"]] == [(12000, 100)]
    assert moves(shown) == [
        ("PLAN_OPENED", "PRINCIPAL", 12000, 12000),
        ("EXTENSION_GRANTED", "FEE", 100, 12100),
    ]


# -- statements --------------------------------------------------------------------------------------------------------

FEBRUARY, MARCH, APRIL = (f"m:{BUYER}:2027-0{month}-01" for month in (2, 3, 4))


def in_instalments() -> Story:
    """Example 2: 10000 in three instalments, with a fee of 150."""
    terms = TERMS.model_copy(update={"instalment_fee_bps": {"3": 150, "6": 0, "12": 0}})
    return Story.of_a_buyer(enabled=False).then(monthly(terms=terms), at="01-12 10:00")


def statements(reader: Reader) -> dict[str, tuple[Any, ...]]:
    return {one["bill_id"]: (one["status"], one["issued"], one["unpaid"]) for one in reader.read("bills")["items"]}


def test_a_statement_is_scheduled_until_it_is_cut(reader: Reader) -> None:
    """BIL-03, B-P2, billing example 2: it is shown with what stands on it so far, and the day it is cut."""
    assert statements(reader.story(in_instalments().until("02-01 00:00"))) == {
        FEBRUARY: ("ISSUED", True, 3384),
        MARCH: ("SCHEDULED", False, 3383),
        APRIL: ("SCHEDULED", False, 3383),
    }
    shown = reader.read(f"bills/{MARCH}")
    assert (shown["statement_on"], shown["due_on"]) == ("2027-03-01", "2027-03-31")
    assert moves(shown) == [("PLAN_OPENED", "PRINCIPAL", 3333, 3333), ("PLAN_OPENED", "FEE", 50, 3383)]


def test_a_statement_with_nothing_left_when_it_is_cut_was_never_issued(reader: Reader) -> None:
    """B-P2: Refunded or paid before its day, it is VOIDED and says that nobody was asked for it."""
    refunded = in_instalments().until("02-01 00:00").then(approved(6666, "rf-1"), at="02-10 10:00")
    refunded = refunded.until("04-01 00:00")
    assert statements(reader.story(refunded)) == {
        FEBRUARY: ("OVERDUE", True, 3384),
        MARCH: ("VOIDED", False, 0),
        APRIL: ("VOIDED", False, 0),
    }
    assert moves(reader.read(f"bills/{APRIL}")) == [
        ("PLAN_OPENED", "PRINCIPAL", 3333, 3333),
        ("PLAN_OPENED", "FEE", 50, 3383),
        ("REFUND", "PRINCIPAL", -3333, 50),
        ("FEE_REVERSED", "FEE", -50, 0),
    ]
    paid = in_instalments().then(repay("pay-1", 10150, order_id="o-1"), at="01-20 10:00")
    paid = paid.then(report("pay-1", "SUCCEEDED", 10150, "01-20 10:01"), at="01-20 10:01").until("02-01 00:00")
    assert statements(reader.story(paid))[FEBRUARY] == ("VOIDED", False, 0)


def test_a_statement_that_was_issued_and_refunded_away_says_so(reader: Reader) -> None:
    """B-R6: VOIDED like the other, but the buyer had been asked for it."""
    story = Story.of_a_buyer(enabled=False).then(monthly(instalments=1), at="01-12 10:00").until("02-01 00:00")
    story = story.then(approved(10000, "rf-1"), at="02-01 00:01")
    assert statements(reader.story(story)) == {FEBRUARY: ("VOIDED", True, 0)}


# -- plans -------------------------------------------------------------------------------------------------------------


def test_a_plan_shows_its_schedule_before_and_after_each_change(reader: Reader) -> None:
    """B-R1, billing example 6: the numbers of the refund's event, among what changed the schedule besides."""
    story = in_instalments().until("02-01 00:00").then(repay("pay-1", 3384, bill_id=FEBRUARY), at="02-02 10:00")
    story = story.then(report("pay-1", "SUCCEEDED", 3384, "02-02 10:01"), at="02-02 10:01")
    story = story.then(approved(4000, "rf-1"), at="02-10 10:00")
    shown = reader.story(story).read("plans/o-1")
    assert [(one["facts"], schedule(one["before"]), schedule(one["after"])) for one in shown["changes"]] == [
        (["PLAN_OPENED"], [], [3334, 3333, 3333]),
        (["REPAYMENT"], [3334, 3333, 3333], [0, 3333, 3333]),
        (["REFUND"], [0, 3333, 3333], [0, 2666, 0]),
    ]
    (told,) = story.events(RefundAllocated)
    assert shown["changes"][-1]["before"] == [one.model_dump() for one in told.before]
    assert shown["changes"][-1]["after"] == [one.model_dump() for one in told.after]
    assert [one["outstanding"] for one in shown["instalments"]] == [0, 2666, 0]


def test_a_repayment_that_a_bank_took_back_opens_an_instalment(reader: Reader) -> None:
    """B-C7, billing example 12: one more instalment, on a bill of its own whose history begins there."""
    story = after_accepting().until("03-19 14:00")
    story = story.then(report(attempt("o-1", 0), "SUCCEEDED", 25769, "03-19 14:01"), at="03-19 14:01")
    story = story.then(reversal(attempt("o-1", 0), 25769, at="05-10 09:00"), at="05-10 10:00").until("05-10 10:00")
    shown = reader.story(story).read("plans/o-1")
    assert [(one["facts"], schedule(one["before"]), schedule(one["after"])) for one in shown["changes"]] == [
        (["PLAN_OPENED"], [], [25769]),
        (["REPAYMENT"], [25769], [0]),
        (["REPAYMENT_REVERSED"], [0], [0, 25769]),
    ]
    assert (shown["principal"], shown["paid"], shown["reinstated"], shown["unpaid"]) == (25769, 0, 25769, 25769)
    assert [(one["principal"], one["reversed"]) for one in shown["payments"]] == [(25769, 25769)]
    assert moves(reader.read("bills/b:o-1"))[-1] == ("REPAYMENT", "PRINCIPAL", -25769, 0)
    assert moves(reader.read("bills/r:cb-1")) == [("REPAYMENT_REVERSED", "PRINCIPAL", 25769, 25769)]


def test_an_overpayment_that_a_bank_took_back_makes_what_was_paid_less_than_nothing(reader: Reader) -> None:
    """B-C7: Principal again, although no principal was ever paid with it."""
    story = after_accepting().until("03-19 14:00").then(approved(25769, "rf-1"), at="03-19 14:01")
    story = story.then(report(attempt("o-1", 0), "SUCCEEDED", 25769, "03-19 14:02"), at="03-19 14:02")
    story = story.then(reversal(attempt("o-1", 0), 25769), at="03-20 10:00").until("03-20 10:00")
    shown = reader.story(story).read("plans/o-1")
    assert (shown["paid"], shown["reinstated"], shown["unpaid"]) == (-25769, 25769, 25769)


# -- whole lives -------------------------------------------------------------------------------------------------------


@dataclass
class Witness:
    """What the rows said after each message that posted something."""

    postings: list[Posting] = field(default_factory=list)
    owed: dict[str, dict[str, int]] = field(default_factory=dict)
    schedules: dict[str, dict[str, list[dict[str, int]]]] = field(default_factory=dict)
    refunds: dict[str, RefundAllocated] = field(default_factory=dict)
    opened: dict[str, PlanOpened] = field(default_factory=dict)

    def __call__(self, life: Life, step: Step) -> None:
        if not step.then.entries:
            return
        self.postings += step.then.entries
        plans: dict[str, Plan] = life.rows[Plan]
        self.owed[step.cause.id] = {bill.bill_id: dues.unpaid(bill, plans) for bill in life.rows[Bill].values()}
        self.schedules[step.cause.id] = {
            plan.order_id: [{"seq": one.seq, "outstanding": one.outstanding} for one in plan.instalments]
            for plan in plans.values()
        }
        for event in step.events:
            if isinstance(event, RefundAllocated):
                self.refunds[step.cause.id] = event
            elif isinstance(event, PlanOpened):
                self.opened[event.order_id] = event


def the_bills_are_what_the_rows_say(reader: Reader, life: Life, witness: Witness) -> None:
    listed = {one["bill_id"]: one for one in reader.read_all("bills")}
    assert listed.keys() == life.bills.keys()
    for bill_id, bill in life.bills.items():
        shown = reader.read(f"bills/{bill_id}")
        assert listed[bill_id] == {name: shown[name] for name in listed[bill_id]}
        assert shown["issued"] is (bill_id in life.observer.bills)
        assert shown["late_fees"] == life.observer.late_fees[bill_id]
        assert shown["unpaid"] == life.unpaid(bill) == (shown["history"][-1]["owed"] if shown["history"] else 0)
        owed = shown["amount_due"] + shown["paused"] + sum(one["charged_off"] for one in shown["lines"])
        paused_fees = sum(one.unpaid_fee for one in life.parts_of(bill) if one.paused and one.paused == one.outstanding)
        assert owed + paused_fees == shown["unpaid"]
        for fee in shown["late_fees_assessed"]:
            parts = ("reversed", "charged_off", "reinstated", "paid", "unpaid")
            assert fee["amount"] == sum(fee[part] for part in parts)


def the_history_of_a_bill_is_what_the_rows_said(reader: Reader, life: Life, witness: Witness) -> None:
    for bill_id, bill in life.bills.items():
        history = reader.read(f"bills/{bill_id}")["history"]
        after = {one["cause_id"]: one["owed"] for one in history}
        assert list(after) == [cause for cause in witness.owed if cause in after], "in the order of the journal"
        owed = 0
        for cause, of_bills in witness.owed.items():
            owed = after.get(cause, owed)
            assert owed == of_bills.get(bill_id, 0), (bill_id, cause)
        parts, sums = life.parts_of(bill), Counter[str]()
        for one in history:
            sums[one["component"]] += 0 if (one["fact"], one["component"]) == WRITTEN_OFF else one["amount"]
        assert sums["PRINCIPAL"] == sum(part.owed for part in parts)
        assert sums["FEE"] == sum(part.unpaid_fee for part in parts)
        assert sums["LATE_FEE"] == bill.unpaid_late_fees
        charged_off = history[-1].get("charged_off", 0) if history else 0
        assert charged_off == sum(part.charged_off for part in parts)


WRITTEN_OFF = ("CHARGE_OFF", "PRINCIPAL")
"""What leaves the books and is owed still."""


def a_plan_opens_as_its_event_told(reader: Reader, life: Life, witness: Witness) -> None:
    for order_id, told in witness.opened.items():
        for part in told.instalments:
            opening = {
                one["component"]: one["amount"]
                for one in reader.read(f"bills/{part.bill_id}")["history"]
                if (one["fact"], one.get("order_id")) == ("PLAN_OPENED", order_id)
            }
            assert (opening.get("PRINCIPAL", 0), opening.get("FEE", 0)) == (part.principal, part.fee)


def the_schedule_of_a_plan_is_what_the_rows_said(reader: Reader, life: Life, witness: Witness) -> None:
    for order_id, plan in life.plans.items():
        shown = reader.read(f"plans/{order_id}")
        now: list[dict[str, int]] = []
        changes = {one["cause_id"]: one for one in shown["changes"]}
        assert len(changes) == len(shown["changes"])
        for cause, of_plans in witness.schedules.items():
            if cause in changes:
                assert changes[cause]["before"] == now
                now = changes[cause]["after"]
            assert now == of_plans.get(order_id, []), (order_id, cause)
        assert now == [{"seq": one.seq, "outstanding": one.outstanding} for one in plan.instalments]
        for cause, told in witness.refunds.items():
            if told.order_id == order_id and cause in changes:
                assert changes[cause]["before"] == [one.model_dump() for one in told.before]
                assert changes[cause]["after"] == [one.model_dump() for one in told.after]


def the_journal_adds_up(reader: Reader, life: Life, witness: Witness) -> None:
    shown = reader.read_all("journal")
    assert [(one["cause_id"], one["account"], one["debit"], one["credit"]) for one in shown] == [
        (one.cause_id, one.account, one.debit, one.credit) for one in witness.postings
    ]
    balances = {one["account"]: one["balance"] for one in shown}
    assert balances == {account: life.journal.balance(account) for account in {one.account for one in witness.postings}}
    in_sql = reader.sql(f"SELECT entry, balance FROM account_statement WHERE buyer_id = '{BUYER}' ORDER BY entry")
    assert [(one["entry"], one["balance"]) for one in in_sql] == [(one["entry"], one["balance"]) for one in shown]
    trial_balance = reader.trial_balance()
    assert {one["account"]: one["balance"] for one in trial_balance["accounts"]} == balances
    assert all(one["balanced"] for one in trial_balance["totals"])
    assert reader.sql("SELECT * FROM trial_balance") == trial_balance["accounts"]


def told_through_the_views(reader: Reader, script: Script) -> None:
    """Live this life, keep what it left, and look at it through the views."""
    witness = Witness()
    life = Life(script, witness)
    try:
        life.play()
        reader.told([row for rows in life.rows.values() for row in rows.values()], witness.postings)
        the_bills_are_what_the_rows_say(reader, life, witness)
        the_history_of_a_bill_is_what_the_rows_said(reader, life, witness)
        a_plan_opens_as_its_event_told(reader, life, witness)
        the_schedule_of_a_plan_is_what_the_rows_said(reader, life, witness)
        the_journal_adds_up(reader, life, witness)
    except Exception:
        note(life.story())
        raise


def test_whatever_happens_the_views_say_what_the_rows_said_after_every_message(
    reader: Reader, pytestconfig: pytest.Config
) -> None:
    """BIL-15, I-1, I-2: bills, plans, journal and trial balance of whole lives, as the handlers left them."""

    @settings(
        max_examples=max(1, pytestconfig.getoption("lives") // 25),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(scripts())
    def lives(script: Script) -> None:
        told_through_the_views(reader, script)

    lives()
