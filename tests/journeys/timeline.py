"""A story as people read it: one line an event, with its business time and the facts that matter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from shared.contracts import billing as b
from shared.contracts import checkout as c
from shared.contracts.message import Event, Rejection
from shared.testing.world import World
from tests.journeys.town import ZONE

FACTS: Mapping[type[Event], str] = {
    c.AccountApplied: "",
    c.ApplicationAdvanced: "{step} {result}, {status}",
    c.AccountActivated: "score {score} limit {limit}",
    c.AccountStatusChanged: "{from_status} -> {to_status} {reasons}",
    c.CardBound: "{instrument.kind} {instrument.token}",
    c.MerchantConsentChanged: "{merchant_id} {granted}",
    c.MerchantPolicyPublished: "{version} from {effective_from}",
    c.CreditLineChanged: "{cause} {cause_ref}: score {score}, {limit} - {held} held - {used} used = {available}",
    c.OrderAuthorized: "{order_id} {amount} until {expires_at}",
    c.OrderDeclined: "{order_id} {reasons} {counterfactual}",
    c.OrderCancelled: "{order_id} {amount} by {by}",
    c.OrderCaptured: "{order_id} {amount}",
    c.DeliveryReported: "{order_id} {outcome}, auto-accepted {auto_accept_at}",
    c.OrderExpired: "{order_id} {amount}",
    c.OrderAccepted: "{order_id} {amount} by {by}",
    c.OrderCompleted: "{order_id} {outcome}",
    c.CommandRejected: "{code}",
    b.PlanOpened: "{order_id} {principal}, owing {outstanding_principal} (version {book_version})",
    b.PlanSettled: "{order_id} {paid} on {settled_on}",
    b.BillIssued: "{bill_id} {amount_due} due {due_on}",
    b.BillDueSoon: "{bill_id} {amount_due} in {days_left} days, autopay {autopay}",
    b.BillPaid: "{bill_id} on {paid_on}, late by {max_dpd}",
    b.DelinquencyChanged: "{bill_id} {dpd} days: {stage}, account {account_stage}",
    b.CollectionRequested: "{repayment_id} {amount} {mode} attempt {attempt}",
    b.CollectionFailed: "{repayment_id} {decline} {reason}, next {next_at} {stop_reason}",
    b.CollectionPending: "{repayment_id} {outcome} ask {ask}",
    b.RepaymentAllocated: "{repayment_id} {amount}, owing {outstanding_principal} (version {book_version})",
    b.OverpaymentDetected: "{overpayment_id} {amount}",
    b.AutopayChanged: "{enabled}",
    b.CommandRejected: "{code}",
}


async def timeline(world: World, owner: str, since: str = "") -> list[str]:
    """Every event of an owner from a local time on, as ``"03-19 14:00 CollectionRequested a:b:o-1:1:0 25769 ..."``."""
    told = [one for one in await world.told("checkout.events", "billing.events") if one.envelope.key == owner]
    lines = [line(one.message, one.envelope.time) for one in told if isinstance(one.message, Event)]
    return [one for one in lines if one >= since]


def line(event: Event, time: datetime) -> str:
    facts = {name: readable(getattr(event, name)) for name in type(event).model_fields}
    name = "Rejected" if isinstance(event, Rejection) else type(event).__name__
    return " ".join(f"{readable(time)} {name} {FACTS[type(event)].format(**facts)}".split())


def readable(fact: object) -> object:
    match fact:
        case None:
            return ""
        case datetime():
            local = fact.astimezone(ZONE)
            return f"{local:%m-%d %H:%M:%S}" if local.second else f"{local:%m-%d %H:%M}"
        case date():
            return f"{fact:%m-%d}"
        case tuple():
            return ", ".join(str(readable(one)) for one in fact)
        case c.Counterfactual():
            return f"at most {fact.max_amount}"
        case _:
            return fact
