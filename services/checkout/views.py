"""What can be looked at in checkout: a buyer's account, and the buyer's orders."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import Field

from services.checkout.state import Account, AccountStatus, Order, OrderStatus, ShipmentStatus
from shared.contracts.billing import Stage
from shared.contracts.checkout import AuthorizedLine, Instalments, OrderKind
from shared.contracts.fields import (
    BusinessDate,
    BuyerId,
    ChosenId,
    Count,
    Currency,
    Instant,
    LineId,
    MerchantId,
    Money,
    OrderId,
    Product,
    Quantity,
    Score,
    SignedMoney,
)
from shared.contracts.policy import PolicyVersions, Terms
from shared.drivers.queries import Query, column_list
from shared.operations.paging import Asked, Keyset, Page
from shared.operations.views import (
    LISTING,
    SINGLE,
    AnyBuyer,
    Caller,
    OwnBuyer,
    Questions,
    View,
    Views,
    shown,
    unknown,
)

__all__ = ["views"]

views = Views(tags=["checkout"])


# -- the account -------------------------------------------------------------------------------------------------------


class AccountView(View):
    """A buyer's credit line as it stands: available = limit - held - used."""

    buyer_id: BuyerId
    status: AccountStatus = Field(description="Where the account stands; only ACTIVE may order")
    currency: Currency
    limit: Money = Field(description="Limit in minor units")
    held: Money = Field(description="Held for orders that are not debt yet, in minor units")
    used: Money = Field(description="Unpaid principal as billing last reported it, in minor units")
    available: SignedMoney = Field(description="What may still be ordered, in minor units; below 0 after a limit cut")
    stage: Stage = Field(description="Worst step of dunning among the buyer's bills")
    score: Score


ACCOUNT = Query("account", Account, f"SELECT {column_list(Account)} FROM account WHERE buyer_id = $1")  # noqa: S608


@views.get("/buyers/{buyer_id}/account", responses=SINGLE)
async def show_account(buyer_id: OwnBuyer, questions: Questions) -> AccountView:
    """The credit line of a buyer. The score is for the buyer and for operators, as the whole account is."""
    found = await questions.one(ACCOUNT, buyer_id)
    if found is None:
        raise unknown(Account.UNKNOWN)
    return AccountView.of(found)


# -- the orders --------------------------------------------------------------------------------------------------------


class OrderSummary(View):
    """A pay-later order, in short."""

    order_id: OrderId
    merchant_id: MerchantId
    status: OrderStatus = Field(description="Where the order stands")
    kind: OrderKind = Field(description="Goods that are shipped, or a service that is used")
    product: Product = Field(description="Pay within days of acceptance, or on monthly statements")
    instalments: Instalments
    currency: Currency
    amount: Money = Field(description="Order amount in minor units")
    held_amount: Money = Field(description="Its part of what the account holds, in minor units")
    accepted_amount: Money = Field(description="What was accepted and became debt, in minor units")
    refunded_amount: Money = Field(
        description="What refunds gave back of that, as less debt or in cash, in minor units"
    )
    authorised_at: Instant | None = Field(default=None, description="When the amount was held; absent if declined")
    accepted_at: Instant | None = Field(default=None, description="When the debt began")
    plan_settled: bool = Field(description="Whether nothing is left to pay on it")
    open_cases: Count = Field(description="Return cases that are not closed")


class OrderLineView(AuthorizedLine):
    """One position of an order, as sold and as far as it has come."""

    shipped: Count = Field(description="Units handed to a carrier")
    released: Count = Field(description="Units that will never be: cancelled or lapsed")


class ParcelLine(View):
    """Units of a line in one parcel."""

    line_id: LineId
    quantity: Quantity
    goods: Money = Field(description="Value of these units without freight, in minor units")
    freight: Money = Field(description="Freight of these units, in minor units")


class ParcelView(View):
    """A parcel and what became of it."""

    shipment_id: ChosenId = Field(description="The shipment, unique per order")
    status: ShipmentStatus = Field(description="What became of it; OPEN until the carrier reports")
    lines: tuple[ParcelLine, ...] = Field(description="What is in it")


class OrderView(OrderSummary):
    """A pay-later order from placement to completion, with the terms frozen on it."""

    buyer_id: BuyerId
    lines: tuple[OrderLineView, ...] = Field(description="What is bought")
    freight: Money = Field(description="Freight of the whole order in minor units")
    shipments: tuple[ParcelView, ...] = Field(description="The parcels so far")
    expected_receipt_on: BusinessDate = Field(description="When the goods were expected at placement")
    expires_at: Instant | None = Field(default=None, description="When the authorisation lapses")
    delivered_at: Instant | None = Field(default=None, description="When the last parcel arrived")
    return_until: Instant | None = Field(default=None, description="End of the longest return window while it runs")
    terms: Terms = Field(description="The policy as frozen on this order")
    policy_versions: PolicyVersions = Field(description="Where the terms come from")


ORDERS = Query(
    "orders",
    Order,
    f"""
    SELECT {column_list(Order)} FROM orders
    WHERE buyer_id = $1 AND authorised_at IS NOT NULL AND (authorised_at, order_id) < ($2, $3)
    ORDER BY authorised_at DESC, order_id DESC LIMIT $4
    """,  # noqa: S608 - names of columns, no values
)
ORDER = Query("order", Order, f"SELECT {column_list(Order)} FROM orders WHERE buyer_id = $1 AND order_id = $2")  # noqa: S608

NEWEST_ORDERS = Keyset.of_instants("orders", "authorised_at", "order_id")


@views.get("/buyers/{buyer_id}/orders", responses=LISTING)
async def list_orders(buyer_id: OwnBuyer, asked: Asked, questions: Questions) -> Page[OrderSummary]:
    """The authorised orders of a buyer, the newest first. One that was declined can be asked for by its id."""
    found = await questions.all(ORDERS, buyer_id, *NEWEST_ORDERS.after(asked))
    return NEWEST_ORDERS.page(asked, [OrderSummary.of(one) for one in found])


@views.get("/buyers/{buyer_id}/orders/{order_id}", responses=SINGLE)
async def show_order(
    buyer_id: AnyBuyer, order_id: Annotated[OrderId, Path()], access: Caller, questions: Questions
) -> OrderView:
    """One order of a buyer, for the buyer, its merchant and operators."""
    found = await questions.one(ORDER, buyer_id, order_id)
    order = shown(found, access, Order.UNKNOWN)
    lines = (OrderLineView(**dict(one.sold), shipped=one.shipped, released=one.released) for one in order.lines)
    return OrderView.of(order, lines=tuple(lines))
