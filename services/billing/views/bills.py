"""A buyer's bills: what falls due when, its late fees, whether it may be paid later, and how it came to be so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import Path
from pydantic import Field

from services.billing.rules import dues, late_fees
from services.billing.state import Bill, BillStatus, Extension, Instalment, Line, Plan, Posting
from services.billing.views.history import DebtChange, bill_history
from shared.contracts.billing import BillId, BillKind, Dpd, DueVersion, ExtensionId, FeeId, RepaymentId, Stage
from shared.contracts.fields import BusinessDate, BuyerId, Count, Currency, Instant, MerchantId, Money, OrderId
from shared.contracts.policy import Approver
from shared.drivers.queries import Query
from shared.operations.paging import Asked, Keyset, Page
from shared.operations.views import LISTING, SINGLE, OwnBuyer, Questions, View, Views, Zone, unknown

__all__ = ["views"]

views = Views(tags=["billing"])


# -- what is asked -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BillFound:
    """A bill and the plans of the orders on it."""

    bill: Bill
    plans: tuple[Plan, ...]
    issued: bool

    @property
    def by_order(self) -> dict[str, Plan]:
        return {plan.order_id: plan for plan in self.plans}

    @property
    def parts(self) -> list[tuple[Line, Plan, Instalment]]:
        """Each line with its plan, and the instalment of it that the line bills."""
        plans = [self.by_order[line.order_id] for line in self.bill.lines]
        return [(line, plan, plan.instalments[line.seq - 1]) for line, plan in zip(self.bill.lines, plans, strict=True)]


@dataclass(frozen=True, slots=True)
class WholeBillFound(BillFound):
    """The same, with the open wish for a later due date and the journal of it."""

    wish: Extension | None
    postings: tuple[Posting, ...]


_BILL_FOUND = """
to_jsonb(bill) AS bill, (
    SELECT coalesce(jsonb_agg(to_jsonb(owing)), '[]')
    FROM (SELECT DISTINCT line ->> 'order_id' AS id FROM jsonb_array_elements(bill.lines) AS line) AS named
    CROSS JOIN LATERAL (
        SELECT * FROM plan WHERE plan.buyer_id = bill.buyer_id AND plan.order_id = named.id OFFSET 0
    ) AS owing
) AS plans, CASE
    WHEN bill.kind = 'MONTHLY' AND bill.status = 'VOIDED' THEN bill.paid_on IS NULL AND EXISTS (
        SELECT FROM journal WHERE journal.buyer_id = bill.buyer_id AND journal.bill_id = bill.bill_id
        AND journal.posted_at >= bill.statement_on::timestamp AT TIME ZONE $2
    )
    ELSE bill.status <> 'SCHEDULED'
END AS issued
"""
"""A statement with nothing left when it is cut goes as VOIDED, like one that was issued and then refunded away. But had
anything been paid on that one, it would be PAID; and what left nothing of it was posted after its day had come. (Unless
it had happened a moment before midnight, and was heard of after the cut: then it passes for one never issued.)"""

_ITS_STORY = """
(
    SELECT to_jsonb(extension) FROM extension
    WHERE extension.buyer_id = bill.buyer_id AND extension.bill_id = bill.bill_id AND extension.status = 'REQUESTED'
) AS wish, (
    SELECT coalesce(jsonb_agg(to_jsonb(posting) ORDER BY posting.id), '[]')
    FROM journal AS posting
    WHERE posting.buyer_id = bill.buyer_id AND (
        posting.bill_id = bill.bill_id
        OR posting.fact = 'PLAN_OPENED'
        AND bill.lines @> jsonb_build_array(jsonb_build_object('order_id', posting.order_id))
    )
) AS postings
"""

BILLS = Query(
    "bills",
    BillFound,
    f"""
    SELECT {_BILL_FOUND} FROM bill
    WHERE buyer_id = $1 AND (due_on, bill_id) < ($3, $4) ORDER BY due_on DESC, bill_id DESC LIMIT $5
    """,  # noqa: S608
)
BILL = Query(
    "bill",
    WholeBillFound,
    f"SELECT {_BILL_FOUND}, {_ITS_STORY} FROM bill WHERE buyer_id = $1 AND bill_id = $3",  # noqa: S608
)

LATEST_BILLS = Keyset.of_dates("bills", "due_on", "bill_id")


# -- what is shown -----------------------------------------------------------------------------------------------------


class BillSummary(View):
    """What falls due together, and how much of it is still to pay."""

    bill_id: BillId
    kind: BillKind = Field(description="One order, a monthly statement, or a repayment that came back")
    status: BillStatus = Field(
        description="Where the bill stands; SCHEDULED: a statement that is not cut yet, so more may come onto it"
    )
    issued: bool = Field(
        description="Whether the buyer was asked for it: not while it is SCHEDULED, and not for a statement on which "
        "nothing was left when it was cut (then VOIDED)"
    )
    currency: Currency
    statement_on: BusinessDate | None = Field(default=None, description="MONTHLY: date of the statement")
    due_on: BusinessDate = Field(description="Payable until the end of this day")
    due_version: DueVersion
    billed: Money = Field(description="Principal and fees of its lines, in minor units, without late fees")
    late_fees: Money = Field(description="Late fees that stand, paid or not, in minor units")
    late_fees_unpaid: Money = Field(description="How much of them is unpaid, in minor units")
    amount_due: Money = Field(description="Payable amount in minor units, late fees included, without what is paused")
    paused: Money = Field(description="Amount taken out while a return or appeal is open, in minor units")
    unpaid: Money = Field(
        description="All that can still be paid, in minor units: paused and written-off principal included"
    )
    stage: Stage = Field(description="Step of dunning it has reached")
    max_dpd: Count = Field(description="Highest number of days past due; 0 if it was never late")
    paid_on: BusinessDate | None = Field(
        default=None, description="Day on which the last repayment on it was requested; absent: nothing was paid"
    )

    @classmethod
    def with_amounts(cls, found: BillFound, **other: object) -> Self:
        """The bill with its amounts; what its lines cost stands on the plans."""
        bill, parts = found.bill, [part for _, _, part in found.parts]
        return cls.of(
            bill,
            issued=found.issued,
            billed=sum(part.principal + part.fee for part in parts),
            late_fees=late_fees.standing(bill),
            late_fees_unpaid=bill.unpaid_late_fees,
            amount_due=dues.amount_due(bill, found.by_order),
            paused=sum(part.paused for part in parts),
            unpaid=dues.unpaid(bill, found.by_order),
            **other,
        )


class BillLineView(View):
    """One instalment as it stands on a bill, and what became of it."""

    order_id: OrderId
    merchant_id: MerchantId
    seq: Count = Field(description="Which instalment of the order's plan, from 1")
    instalments: Count = Field(description="How many instalments the plan has")
    due_on: BusinessDate = Field(description="Payable until the end of this day")
    principal: Money = Field(description="Principal in minor units")
    fee: Money = Field(description="Instalment fee in minor units, the price of an extension included")
    paid: Money = Field(description="Principal paid so far, in minor units")
    fee_paid: Money = Field(description="Fee paid so far, in minor units")
    refunded: Money = Field(description="Principal that refunds took away, in minor units")
    charged_off: Money = Field(description="Principal that is written off and not recovered, in minor units")
    fee_charged_off: Money = Field(description="Fee that is written off, in minor units; nobody asks for it any more")
    paused: Money = Field(description="Principal taken out while a return or appeal is open, in minor units")
    amount_due: Money = Field(description="Payable amount in minor units, without what is paused")


class LateFeeView(View):
    """A late fee: amount = paid + reversed + charged_off + reinstated + unpaid."""

    fee_id: FeeId
    amount: Money = Field(description="What was assessed, in minor units")
    reversed: Money = Field(description="What was taken back, in minor units")
    charged_off: Money = Field(description="What is written off, in minor units; nobody asks for it any more")
    reinstated: Money = Field(
        description="What had been paid until a bank took it back, in minor units: a fee on another bill now"
    )
    paid: Money = Field(description="What is paid, in minor units")
    unpaid: Money = Field(description="What is still to pay, in minor units")
    assessed_at: Instant
    dpd: Dpd


class ExtensionWish(View):
    """A later due date that was asked for and is not decided on yet."""

    extension_id: ExtensionId
    days: Count = Field(description="By how many days")
    fee: Money = Field(description="Its price in minor units")
    approver: Approver = Field(description="Who decides")
    until: Instant = Field(description="When it lapses unless it is decided on")


class AwaitedRepayment(View):
    """A repayment whose end is not known yet; until then nothing else is collected for the bill."""

    repayment_id: RepaymentId
    amount: Money = Field(description="Amount asked for in minor units")
    requested_at: Instant


class BillView(BillSummary):
    """A bill with its lines, its late fees, and what happened to it."""

    buyer_id: BuyerId
    lines: tuple[BillLineView, ...] = Field(description="What is billed")
    late_fees_assessed: tuple[LateFeeView, ...] = Field(description="Its late fees, the first one first")
    extended: bool = Field(description="Whether a later due date was granted; none is a second time")
    extension: ExtensionWish | None = Field(default=None, description="The later due date that is asked for")
    in_flight: AwaitedRepayment | None = Field(default=None, description="The repayment it waits for")
    attempts: Count = Field(description="Automatic collections tried for the present due date")
    history: tuple[DebtChange, ...] = Field(
        description="What happened to what it costs, as the journal has it, oldest first; free extensions are not"
    )


@views.get("/buyers/{buyer_id}/bills", responses=LISTING)
async def list_bills(buyer_id: OwnBuyer, asked: Asked, questions: Questions, zone: Zone) -> Page[BillSummary]:
    """The bills of a buyer, the latest due first. A bill whose due date is moved moves in the list.

    Every bill is in it, one that was never issued too, with ``issued`` false: instalments of plans point to it.
    """
    found = await questions.all(BILLS, buyer_id, zone, *LATEST_BILLS.after(asked))
    return LATEST_BILLS.page(asked, [BillSummary.with_amounts(one) for one in found])


@views.get("/buyers/{buyer_id}/bills/{bill_id}", responses=SINGLE)
async def show_bill(
    buyer_id: OwnBuyer, bill_id: Annotated[BillId, Path()], questions: Questions, zone: Zone
) -> BillView:
    """One bill of a buyer with its lines, its late fees and its history.

    The history is read with the buyer's part of the journal: some thousand postings, some milliseconds.
    """
    found = await questions.one(BILL, buyer_id, zone, bill_id)
    if found is None:
        raise unknown(Bill.UNKNOWN)
    return BillView.with_amounts(
        found,
        lines=tuple(_line(*part) for part in found.parts),
        late_fees_assessed=tuple(LateFeeView.of(fee) for fee in found.bill.late_fees),
        extension=ExtensionWish.of(found.wish) if found.wish is not None else None,
        history=tuple(bill_history(found.bill, found.by_order, found.postings)),
    )


def _line(line: Line, plan: Plan, part: Instalment) -> BillLineView:
    return BillLineView.of(
        part,
        order_id=line.order_id,
        merchant_id=line.merchant_id,
        instalments=len(plan.instalments),
        due_on=line.due_on,
        amount_due=part.due_part,
    )
