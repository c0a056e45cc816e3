"""The plan of an order: its schedule, how that changed, and the payments that went into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Path
from pydantic import Field

from services.billing.state import Bill, Plan, PlanStatus, Posting
from services.billing.views.history import ScheduleChange, plan_history
from shared.contracts.billing import BillId, RepaymentId
from shared.contracts.fields import (
    BusinessDate,
    BuyerId,
    Code,
    Count,
    Currency,
    MerchantId,
    Money,
    OrderId,
    Product,
    SignedMoney,
)
from shared.drivers.queries import Query
from shared.operations.views import SINGLE, OwnBuyer, Questions, View, Views, unknown

__all__ = ["views"]

views = Views(tags=["billing"])


@dataclass(frozen=True, slots=True)
class PlanFound:
    """A plan, the bills its instalments sit on, and the journal of its principal and of what reversals brought back."""

    plan: Plan
    bills: tuple[Bill, ...]
    postings: tuple[Posting, ...]


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
    ) AS bills, (
        SELECT coalesce(jsonb_agg(to_jsonb(posting) ORDER BY posting.id), '[]')
        FROM journal AS posting
        WHERE posting.buyer_id = plan.buyer_id AND posting.order_id = plan.order_id
        AND (posting.account = '1100' OR posting.account = '1110' AND posting.fact = 'REPAYMENT_REVERSED')
    ) AS postings
    FROM plan WHERE buyer_id = $1 AND order_id = $2
    """,
)


class InstalmentView(View):
    """One instalment: principal = paid + refunded + charged_off + outstanding."""

    seq: Count = Field(description="Place in the plan, from 1")
    bill_id: BillId
    due_on: BusinessDate = Field(description="Payable until the end of this day")
    principal: Money = Field(description="Principal in minor units")
    fee: Money = Field(description="Instalment fee in minor units, the price of an extension included")
    paid: Money = Field(description="Principal paid so far, in minor units")
    fee_paid: Money = Field(description="Fee paid so far, in minor units")
    refunded: Money = Field(description="Principal that refunds took away, in minor units")
    charged_off: Money = Field(description="Principal that is written off and not recovered, in minor units")
    fee_charged_off: Money = Field(description="Fee that is written off, in minor units; nobody asks for it any more")
    paused: Money = Field(description="Principal taken out while a return or appeal is open, in minor units")
    outstanding: Money = Field(description="Unpaid principal in minor units")


class PaymentView(View):
    """What one repayment paid on the order."""

    repayment_id: RepaymentId
    paid_with: Code = Field(description="Kind of instrument, as in messages; its token is not shown")
    paid_on: BusinessDate = Field(description="Day on which the repayment was requested")
    principal: Money = Field(description="Principal it paid, in minor units")
    refundable: Money = Field(description="How much of it may still go back the same way, in minor units")
    reversed: Money = Field(description="How much of it a bank took back, in minor units")


class PlanView(View):
    """The debt of one order, from its acceptance: its schedule, how it changed, and what was paid."""

    buyer_id: BuyerId
    order_id: OrderId
    merchant_id: MerchantId
    status: PlanStatus = Field(description="Whether something is left on the order")
    product: Product = Field(description="Pay within days of acceptance, or on monthly statements")
    currency: Currency
    accepted_on: BusinessDate = Field(description="When the debt began")
    principal: Money = Field(description="Accepted amount in minor units")
    fee: Money = Field(description="Instalment fee of the whole plan in minor units")
    paid: SignedMoney = Field(
        description="Principal paid so far less what a bank took back, in minor units; below 0 where that was overpaid"
    )
    refunded: Money = Field(description="Principal that refunds took away, in minor units")
    reinstated: Money = Field(description="Principal that is owed again since a bank took it back, in minor units")
    unpaid: Money = Field(description="Principal and fees still to pay, in minor units, paused ones included")
    settled_on: BusinessDate | None = Field(default=None, description="Day on which nothing was left")
    instalments: tuple[InstalmentView, ...] = Field(description="The schedule")
    payments: tuple[PaymentView, ...] = Field(description="In the order in which they came")
    changes: tuple[ScheduleChange, ...] = Field(
        description="What changed the unpaid principal of the schedule, as the journal has it, oldest first"
    )


@views.get("/buyers/{buyer_id}/plans/{order_id}", responses=SINGLE)
async def show_plan(buyer_id: OwnBuyer, order_id: Annotated[OrderId, Path()], questions: Questions) -> PlanView:
    """The plan of an order: what falls due when, how that changed, and which repayments went into it.

    The changes are read with the buyer's part of the journal: some thousand postings, some milliseconds.
    """
    found = await questions.one(PLAN, buyer_id, order_id)
    if found is None:
        raise unknown(Plan.UNKNOWN)
    plan = found.plan
    due_on = {(line.order_id, line.seq): line.due_on for bill in found.bills for line in bill.lines}
    schedule = (InstalmentView.of(part, due_on=due_on[plan.order_id, part.seq]) for part in plan.instalments)
    payments = (PaymentView.of(one, paid_with=one.instrument.kind) for one in plan.payments)
    changes = plan_history(plan, found.bills, found.postings)
    return PlanView.of(plan, instalments=tuple(schedule), payments=tuple(payments), changes=tuple(changes))
