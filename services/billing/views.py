"""What can be looked at in billing: a buyer's bills, and the plan of an order.

A bill says what falls due when, the plans of its orders say how much; so both are read together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import Path
from pydantic import Field

from services.billing.rules import dues
from services.billing.state import Bill, BillStatus, Instalment, Line, Plan, PlanStatus
from shared.contracts.billing import BillId, BillKind, DueVersion, RepaymentId, Stage
from shared.contracts.fields import (
    BusinessDate,
    BuyerId,
    Code,
    Count,
    Currency,
    Instant,
    MerchantId,
    Money,
    OrderId,
    Product,
)
from shared.drivers.queries import Query
from shared.operations.paging import Asked, Keyset, Page
from shared.operations.views import LISTING, SINGLE, OwnBuyer, Questions, View, Views, unknown

__all__ = ["views"]

views = Views(tags=["billing"])


# -- bills -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BillFound:
    """A bill and the plans of the orders on it."""

    bill: Bill
    plans: tuple[Plan, ...]

    @property
    def by_order(self) -> dict[str, Plan]:
        return {plan.order_id: plan for plan in self.plans}

    @property
    def parts(self) -> list[tuple[Line, Plan, Instalment]]:
        """Each line with its plan, and the instalment of it that the line bills."""
        plans = [self.by_order[line.order_id] for line in self.bill.lines]
        return [(line, plan, plan.instalments[line.seq - 1]) for line, plan in zip(self.bill.lines, plans, strict=True)]


_BILL_FOUND = """
SELECT to_jsonb(bill) AS bill, (
    SELECT coalesce(jsonb_agg(to_jsonb(billed)), '[]')
    FROM (SELECT DISTINCT line ->> 'order_id' AS id FROM jsonb_array_elements(bill.lines) AS line) AS named
    CROSS JOIN LATERAL (
        SELECT * FROM plan WHERE plan.buyer_id = bill.buyer_id AND plan.order_id = named.id OFFSET 0
    ) AS billed
) AS plans
FROM bill WHERE buyer_id = $1
"""

BILLS = Query(
    "bills",
    BillFound,
    f"{_BILL_FOUND} AND (due_on, bill_id) < ($2, $3) ORDER BY due_on DESC, bill_id DESC LIMIT $4",
)
BILL = Query("bill", BillFound, f"{_BILL_FOUND} AND bill_id = $2")

LATEST_BILLS = Keyset.of_dates("bills", "due_on", "bill_id")


class BillSummary(View):
    """What falls due together, and how much of it is still to pay."""

    bill_id: BillId
    kind: BillKind = Field(description="One order, a monthly statement, or a repayment that came back")
    status: BillStatus = Field(description="Where the bill stands")
    currency: Currency
    due_on: BusinessDate = Field(description="Payable until the end of this day")
    due_version: DueVersion
    billed: Money = Field(description="Principal and fees of its lines when they were billed, in minor units")
    amount_due: Money = Field(description="Payable amount in minor units, without what is paused")
    paused: Money = Field(description="Amount taken out while a return or appeal is open, in minor units")
    stage: Stage = Field(description="Step of dunning it has reached")
    max_dpd: Count = Field(description="Highest number of days past due; 0 if it was never late")
    paid_on: BusinessDate | None = Field(default=None, description="Day on which the last repayment was requested")

    @classmethod
    def with_amounts(cls, found: BillFound, **other: object) -> Self:
        """The bill with its amounts, which stand on the plans."""
        parts = [part for _, _, part in found.parts]
        return cls.of(
            found.bill,
            billed=sum(part.principal + part.fee for part in parts),
            amount_due=dues.amount_due(found.bill, found.by_order),
            paused=sum(part.paused for part in parts),
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
    fee: Money = Field(description="Instalment fee in minor units")
    paid: Money = Field(description="Principal paid so far, in minor units")
    fee_paid: Money = Field(description="Fee paid so far, in minor units")
    refunded: Money = Field(description="Principal that refunds took away, in minor units")
    paused: Money = Field(description="Principal taken out while a return or appeal is open, in minor units")
    amount_due: Money = Field(description="Payable amount in minor units, without what is paused")


class AwaitedRepayment(View):
    """A repayment whose end is not known yet; until then nothing else is collected for the bill."""

    repayment_id: RepaymentId
    amount: Money = Field(description="Amount asked for in minor units")
    requested_at: Instant


class BillView(BillSummary):
    """A bill with its lines."""

    buyer_id: BuyerId
    lines: tuple[BillLineView, ...] = Field(description="What is billed")
    in_flight: AwaitedRepayment | None = Field(default=None, description="The repayment it waits for")
    attempts: Count = Field(description="Automatic collections tried for the present due date")


@views.get("/buyers/{buyer_id}/bills", responses=LISTING)
async def list_bills(buyer_id: OwnBuyer, asked: Asked, questions: Questions) -> Page[BillSummary]:
    """The bills of a buyer, the latest due first. A bill whose due date is moved moves in the list."""
    found = await questions.all(BILLS, buyer_id, *LATEST_BILLS.after(asked))
    return LATEST_BILLS.page(asked, [BillSummary.with_amounts(one) for one in found])


@views.get("/buyers/{buyer_id}/bills/{bill_id}", responses=SINGLE)
async def show_bill(buyer_id: OwnBuyer, bill_id: Annotated[BillId, Path()], questions: Questions) -> BillView:
    """One bill of a buyer with its lines."""
    found = await questions.one(BILL, buyer_id, bill_id)
    if found is None:
        raise unknown(Bill.UNKNOWN)
    lines = (
        BillLineView.of(
            part,
            order_id=line.order_id,
            merchant_id=line.merchant_id,
            instalments=len(plan.instalments),
            due_on=line.due_on,
            amount_due=part.due_part,
        )
        for line, plan, part in found.parts
    )
    return BillView.with_amounts(found, lines=tuple(lines))


# -- plans -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlanFound:
    """A plan and the bills its instalments sit on."""

    plan: Plan
    bills: tuple[Bill, ...]


PLAN = Query(
    "plan",
    PlanFound,
    """
    SELECT to_jsonb(plan) AS plan, (
        SELECT coalesce(jsonb_agg(to_jsonb(billing)), '[]')
        FROM (SELECT DISTINCT part ->> 'bill_id' AS id FROM jsonb_array_elements(plan.instalments) AS part) AS named
        CROSS JOIN LATERAL (
            SELECT * FROM bill WHERE bill.buyer_id = plan.buyer_id AND bill.bill_id = named.id OFFSET 0
        ) AS billing
    ) AS bills
    FROM plan WHERE buyer_id = $1 AND order_id = $2
    """,
)


class InstalmentView(View):
    """One instalment: principal = paid + refunded + charged_off + outstanding."""

    seq: Count = Field(description="Place in the plan, from 1")
    bill_id: BillId
    due_on: BusinessDate = Field(description="Payable until the end of this day")
    principal: Money = Field(description="Principal in minor units")
    fee: Money = Field(description="Instalment fee in minor units")
    paid: Money = Field(description="Principal paid so far, in minor units")
    fee_paid: Money = Field(description="Fee paid so far, in minor units")
    refunded: Money = Field(description="Principal that refunds took away, in minor units")
    charged_off: Money = Field(description="Principal written off, in minor units")
    paused: Money = Field(description="Principal taken out while a return or appeal is open, in minor units")
    outstanding: Money = Field(description="Unpaid principal in minor units")


class PaymentView(View):
    """What one repayment paid on the order."""

    repayment_id: RepaymentId
    paid_with: Code = Field(description="Kind of instrument, as in messages; its token is not shown")
    paid_on: BusinessDate = Field(description="Day on which the repayment was requested")
    principal: Money = Field(description="Principal it paid, in minor units")
    refundable: Money = Field(description="How much of it may still go back the same way, in minor units")


class PlanView(View):
    """The debt of one order, from its acceptance: its schedule and what was paid."""

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    status: PlanStatus = Field(description="Whether something is left on the order")
    product: Product = Field(description="Pay within days of acceptance, or on monthly statements")
    currency: Currency
    accepted_on: BusinessDate = Field(description="When the debt began")
    principal: Money = Field(description="Accepted amount in minor units")
    fee: Money = Field(description="Instalment fee of the whole plan in minor units")
    paid: Money = Field(description="Principal paid so far, in minor units")
    refunded: Money = Field(description="Principal that refunds took away, in minor units")
    unpaid: Money = Field(description="Principal and fees still to pay, in minor units, paused ones included")
    settled_on: BusinessDate | None = Field(default=None, description="Day on which nothing was left")
    instalments: tuple[InstalmentView, ...] = Field(description="The schedule")
    payments: tuple[PaymentView, ...] = Field(description="In the order in which they came")


@views.get("/buyers/{buyer_id}/plans/{order_id}", responses=SINGLE)
async def show_plan(buyer_id: OwnBuyer, order_id: Annotated[OrderId, Path()], questions: Questions) -> PlanView:
    """The plan of an order: what falls due when, and which repayments went into it."""
    found = await questions.one(PLAN, buyer_id, order_id)
    if found is None:
        raise unknown(Plan.UNKNOWN)
    plan = found.plan
    due_on = {(line.order_id, line.seq): line.due_on for bill in found.bills for line in bill.lines}
    schedule = (InstalmentView.of(part, due_on=due_on[plan.order_id, part.seq]) for part in plan.instalments)
    payments = (PaymentView.of(one, paid_with=one.instrument.kind) for one in plan.payments)
    return PlanView.of(plan, instalments=tuple(schedule), payments=tuple(payments))
