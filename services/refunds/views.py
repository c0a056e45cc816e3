"""What can be looked at in refunds: a buyer's return cases, and refunds with the legs they are paid in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Path
from pydantic import Field

from services.refunds.state import Case, CaseStatus, LegStatus, Refund, RefundStatus
from shared.contracts.billing import LegKind, RefundCause, RefundId, RepaymentId
from shared.contracts.fields import (
    BusinessDate,
    BuyerId,
    ChosenId,
    Code,
    Count,
    Currency,
    DerivedId,
    Instant,
    LineId,
    MerchantId,
    Money,
    OrderId,
    Quantity,
    Ref,
    Text,
)
from shared.contracts.refunds import (
    AssessedLine,
    CaseId,
    CaseKind,
    CaseOutcome,
    Destination,
    Responsibility,
    ReviewMode,
)
from shared.drivers.queries import Query, column_list
from shared.operations.paging import Asked, Keyset, Page
from shared.operations.views import LISTING, SINGLE, AnyBuyer, Caller, OwnBuyer, Questions, View, Views, shown

__all__ = ["views"]

views = Views(tags=["refunds"])


# -- refunds -----------------------------------------------------------------------------------------------------------


class LegView(View):
    """A share of a refund: less debt, or money that is paid."""

    leg_id: DerivedId = Field(description="The leg: <refund_id>:<n>, n from 1")
    kind: LegKind = Field(description="Less debt, cash to where it came from, cash to the wallet, or paid outside")
    amount: Money = Field(description="Amount in minor units")
    status: LegStatus = Field(description="What is known of its present payout; SUCCEEDED is the end")
    paid_to: Code | None = Field(
        default=None, description="Kind of instrument it goes to, as in messages; its token is not shown"
    )
    repayment_id: RepaymentId | None = Field(default=None, description="The payment that goes back, if it is one")
    tries: Count = Field(description="Payouts requested so far")
    returned: bool = Field(description="Whether the present payout arrived and bounced")


class RefundView(View):
    """Money that goes back to a buyer, for one cause. The legs and what is unallocated sum to the amount."""

    buyer_id: BuyerId
    refund_id: RefundId
    order_id: OrderId | None = Field(default=None, description="The order; absent for an overpayment")
    merchant_id: MerchantId | None = Field(default=None, description="The merchant; absent for an overpayment")
    case_id: ChosenId | None = Field(default=None, description="The return case, if it comes from one")
    cause: RefundCause = Field(description="Its one cause")
    status: RefundStatus = Field(description="Where the refund stands")
    currency: Currency
    amount: Money = Field(description="Amount in minor units")
    cash_amount: Money = Field(description="How much of it is paid out in cash, in minor units")
    unallocated: Money = Field(description="What exceeds the order and is never paid, in minor units")
    promise_by: BusinessDate = Field(description="When it arrives at the latest")
    legs: tuple[LegView, ...] = Field(description="None until billing has said where the refund falls")

    @classmethod
    def with_legs(cls, refund: Refund) -> RefundView:
        """The refund with its legs, without the tokens of instruments."""
        legs = (LegView.of(leg, paid_to=leg.instrument.kind if leg.instrument else None) for leg in refund.legs)
        return cls.of(refund, legs=tuple(legs))


REFUND = Query("refund", Refund, f"SELECT {column_list(Refund)} FROM refund WHERE buyer_id = $1 AND refund_id = $2")  # noqa: S608


@views.get("/buyers/{buyer_id}/refunds/{refund_id}", responses=SINGLE)
async def show_refund(
    buyer_id: AnyBuyer, refund_id: Annotated[RefundId, Path()], access: Caller, questions: Questions
) -> RefundView:
    """One refund of a buyer, for the buyer, the merchant of its order and operators."""
    found = await questions.one(REFUND, buyer_id, refund_id)
    return RefundView.with_legs(shown(found, access, Refund.UNKNOWN))


# -- return cases ------------------------------------------------------------------------------------------------------


class CaseSummary(View):
    """A buyer's request to give goods back, in short."""

    case_id: CaseId
    order_id: OrderId
    merchant_id: MerchantId
    status: CaseStatus = Field(description="Where the case stands")
    kind: CaseKind = Field(description="What the buyer wants")
    review_mode: ReviewMode = Field(description="Whose turn it is to decide")
    reason: Code = Field(description="The buyer's reason")
    currency: Currency
    share_amount: Money = Field(description="Goods and freight of the units asked for, in minor units")
    opened_at: Instant
    outcome: CaseOutcome | None = Field(default=None, description="How it ended; absent while it is open")
    refund_id: RefundId | None = Field(default=None, description="The refund it came to")


class CaseLineView(View):
    """Units of one line that are to come back, and how many of them have."""

    line_id: LineId
    quantity: Quantity
    received: Count = Field(description="Units that arrived")


class ProofView(View):
    """What one party put forward."""

    by: Literal["BUYER", "SELLER", "PLATFORM"] = Field(description="Whose proof it is")
    evidence_refs: tuple[Ref, ...] = Field(description="Photos and papers, kept by the sender")
    text: Text = Field(description="What it shows")
    given_at: Instant


class CaseView(CaseSummary):
    """A buyer's request to give goods back, until it is refused, given up or refunded."""

    buyer_id: BuyerId
    lines: tuple[CaseLineView, ...] = Field(description="What is to come back")
    evidence: tuple[ProofView, ...] = Field(description="In the order in which it was given")
    destination: Destination = Field(description="Where cash goes, if there is any")
    value_on: BusinessDate = Field(description="From this day on a refund counts for fees")
    grades: tuple[AssessedLine, ...] = Field(description="Condition as inspected; units not named are as new")
    responsibility: Responsibility | None = Field(default=None, description="Who answers for damage")
    refund: RefundView | None = Field(default=None, description="The refund it came to")


@dataclass(frozen=True, slots=True)
class CaseFound:
    """A case and the refund it came to."""

    return_case: Case
    refund: Refund | None

    @property
    def buyer_id(self) -> str:
        return self.return_case.buyer_id

    @property
    def merchant_id(self) -> str:
        return self.return_case.merchant_id


CASES = Query(
    "cases",
    Case,
    f"""
    SELECT {column_list(Case)} FROM return_case WHERE buyer_id = $1 AND (opened_at, case_id) < ($2, $3)
    ORDER BY opened_at DESC, case_id DESC LIMIT $4
    """,  # noqa: S608 - names of columns, no values
)
CASE = Query(
    "case",
    CaseFound,
    """
    SELECT to_jsonb(return_case) AS return_case, to_jsonb(refund) AS refund
    FROM return_case LEFT JOIN refund USING (buyer_id, refund_id)
    WHERE return_case.buyer_id = $1 AND return_case.case_id = $2
    """,
)

NEWEST_CASES = Keyset.of_instants("returns", "opened_at", "case_id")


@views.get("/buyers/{buyer_id}/returns", responses=LISTING)
async def list_returns(buyer_id: OwnBuyer, asked: Asked, questions: Questions) -> Page[CaseSummary]:
    """The return cases of a buyer, the newest first."""
    found = await questions.all(CASES, buyer_id, *NEWEST_CASES.after(asked))
    return NEWEST_CASES.page(asked, [CaseSummary.of(one) for one in found])


@views.get("/buyers/{buyer_id}/returns/{case_id}", responses=SINGLE)
async def show_return(
    buyer_id: AnyBuyer, case_id: Annotated[CaseId, Path()], access: Caller, questions: Questions
) -> CaseView:
    """One return case of a buyer and the refund it came to, for the buyer, the order's merchant and operators."""
    found = shown(await questions.one(CASE, buyer_id, case_id), access, Case.UNKNOWN)
    return CaseView.of(found.return_case, refund=RefundView.with_legs(found.refund) if found.refund else None)
