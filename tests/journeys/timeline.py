"""A story as people read it: one line an event, with its business time and the facts that matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from shared.contracts import billing as b
from shared.contracts import checkout as c
from shared.contracts import notify as n
from shared.contracts import refunds as r
from shared.contracts.fields import Part
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
    b.BillPaused: "{bill_id} {amount}, due {amount_due}, until {until}",
    b.BillResumed: "{bill_id} {amount}, due {amount_due} on {due_on} (version {due_version}) {reason}",
    b.BillVoided: "{bill_id}",
    b.RefundAllocated: "{refund_id} {amount}: {legs}, owing {outstanding_principal} (version {book_version})",
    b.LateFeeAssessed: "{fee_id} {amount} on {base}, {fees_total} of {cap}",
    b.LateFeeWithheld: "{bill_id} {dpd} days: {reason}",
    b.FeeReversed: "{fee_id} {amount} {cause}, owing {outstanding_principal} (version {book_version})",
    b.ExtensionRequested: "{extension_id} {bill_id} {days} days for {fee}, {approver} until {until}",
    b.ExtensionDecided: "{extension_id} {decision}, due {due_on} (version {due_version}) for {fee}",
    b.BillChargedOff: "{bill_id} {principal} + {fee} + {late_fee} after {dpd} days",
    b.RepaymentReversed: "{reversal_id} {amount}, owing {outstanding_principal} (version {book_version})",
    b.PlanReopened: "{order_id} {principal} on {bill_id}",
    b.RefundSimulated: "{simulation_id} {amount}: {legs}",
    b.CommandRejected: "{code}",
    r.ReturnOpened: "{case_id} {share_amount}, review by {review_by}",
    r.ReturnApproved: "{case_id} lapsed {lapsed}, ship by {ship_by}",
    r.ReturnRejected: "{case_id} {reason}",
    r.EvidenceRequested: "{case_id} until {until}",
    r.EvidenceSubmitted: "{case_id} by {by}",
    r.ReturnInTransit: "{case_id} counts from {value_on}",
    r.ReturnReceived: "{case_id}",
    r.ReturnAssessed: "{case_id} {amount}, review by {review_by}",
    r.RefundDisputed: "{case_id} {reason}",
    r.ReturnClosed: "{case_id} {outcome}",
    r.RefundApproved: "{refund_id} {amount} {cause}, between {promise_from} and {promise_by}",
    r.PayoutRequested: "{payout_id} {amount} {kind} ask {ask}",
    r.PayoutReported: "{payout_id} {outcome}",
    r.RefundCompleted: "{refund_id} {amount}, cash {cash_amount}",
    r.SlaMissed: "{rule} due {due_at}",
    r.CommandRejected: "{code}",
    n.PreferencesChanged: "{locale}",
    n.DeliveryRequested: "{template} {channel}",
    n.NoticeDeferred: "{kind} until {until}",
    n.NoticeRetryArmed: "{kind} until {until}",
    n.NoticeSent: "{kind} {channel}",
    n.NoticeDelivered: "{kind} {channel}",
    n.NoticeFailed: "{kind}",
    n.NoticeSuppressed: "{kind} {reason}",
    n.CommandRejected: "{code}",
}

PARTS: Mapping[type[Part], str] = {b.RefundLeg: "{kind} {amount}", c.Counterfactual: "at most {max_amount}"}

SHOWN = ("checkout", "billing")
"""The services whose events a timeline shows unless others are named."""


async def timeline(world: World, owner: str, since: str = "", services: Sequence[str] = SHOWN) -> list[str]:
    """Every event of an owner from a local time on, as ``"03-19 14:00 CollectionRequested a:b:o-1:1:0 25769 ..."``."""
    told = [one for one in await world.told(*(f"{name}.events" for name in services)) if one.envelope.key == owner]
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
        case b.RefundLeg() | c.Counterfactual():
            return PARTS[type(fact)].format(**dict(fact))
        case _:
            return fact
