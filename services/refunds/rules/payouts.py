"""The legs of a refund, and the payouts by which they are paid (2.2, R-R6).

A leg has one live payout. A new one is made only after the present one failed or came back, so that no leg is ever paid
twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from services.refunds.state import LEG_MACHINE, Leg, LegStatus, Refund, RefundStatus
from shared.contracts.billing import LegKind, RefundLeg
from shared.contracts.fields import Instrument
from shared.contracts.refunds import PayoutOutcome, ReportPayout, RetryPayout
from shared.engine.refusals import require
from shared.engine.vocabulary import Rejected

__all__ = [
    "allocated",
    "asked",
    "first_payout",
    "next_payout",
    "repairable_leg",
    "reported",
    "reported_leg",
    "with_leg",
]

TRIES_MAX = 3
"""Payouts of a leg after which a soft failure is no longer tried again by itself."""

_PAYABLE_TO: Mapping[LegKind, frozenset[str]] = {
    "ORIGINAL_ROUTE": frozenset({"CARD", "WALLET", "BANK", "ALIPAY", "WECHAT"}),
    "WALLET": frozenset({"WALLET"}),
    "EXTERNAL": frozenset({"EXTERNAL"}),
}
"""What another instrument may be: cash stays cash, and what the merchant pays outside stays outside (I-4)."""


def allocated(refund: Refund, legs: Iterable[RefundLeg], unallocated: int) -> Refund:
    """The refund once billing has said where it falls: paid out, or complete where all of it lowers debt."""
    return _moved_on(replace(refund, legs=tuple(_leg(leg) for leg in legs), unallocated=unallocated))


def first_payout(
    leg_id: str, kind: LegKind, amount: int, instrument: Instrument | None, repayment_id: str | None
) -> Leg:
    """A leg whose first payout is requested."""
    return Leg(leg_id, kind, amount, LegStatus.REQUESTED, instrument, repayment_id, tries=1)


def next_payout(leg: Leg, instrument: Instrument | None = None) -> Leg:
    """The leg whose next payout is requested, to another instrument if one is given."""
    return replace(
        leg,
        status=LegStatus.REQUESTED,
        instrument=instrument or leg.instrument,
        tries=leg.tries + 1,
        asks=0,
        returned=False,
    )


def asked(leg: Leg) -> Leg:
    """The leg whose provider is asked once more what became of the payout."""
    return replace(leg, asks=leg.asks + 1)


def with_leg(refund: Refund, leg: Leg) -> Refund:
    """The refund with this leg as it is now; complete when every leg is."""
    return _moved_on(replace(refund, legs=tuple(leg if one.leg_id == leg.leg_id else one for one in refund.legs)))


# -- what a provider may report, and a desk repair ---------------------------------------------------------------------


def reported_leg(refund: Refund, report: ReportPayout) -> Leg:
    """The leg whose present payout is reported.

    UNKNOWN_PAYOUT if this refund never asked for it, PAYOUT_SUPERSEDED if it asked for a newer one since, ALREADY_DONE
    if that outcome is known, ILLEGAL_TRANSITION if it cannot be.
    """
    leg = next((leg for leg in refund.legs if report.payout_id in _payouts(leg)), None)
    if leg is None:
        raise Rejected("UNKNOWN_PAYOUT", payout_id=report.payout_id)
    if report.payout_id != leg.payout_id:
        raise Rejected("PAYOUT_SUPERSEDED", payout_id=report.payout_id, present=leg.payout_id)
    if report.outcome in _known_outcomes(leg):
        raise Rejected("ALREADY_DONE", payout_id=leg.payout_id, status=str(leg.status))
    require(LEG_MACHINE, leg.status, f"ReportPayout {report.outcome}")
    return leg


def reported(leg: Leg, report: ReportPayout) -> Leg:
    """The leg after its present payout was reported. A hard failure, the third soft one and a bounce need a person."""
    leg = replace(leg, provider_ref=report.provider_ref)
    match report.outcome:
        case "SUCCEEDED":
            return replace(leg, status=LegStatus.SUCCEEDED)
        case "PENDING" | "UNKNOWN":
            return replace(leg, status=LegStatus(report.outcome))
        case "FAILED":
            final = report.failure == "HARD" or leg.tries >= TRIES_MAX
            return replace(leg, status=LegStatus.NEEDS_DESK if final else LegStatus.FAILED)
        case "RETURNED":
            return replace(leg, status=LegStatus.NEEDS_DESK, returned=True)


def repairable_leg(refund: Refund, retry: RetryPayout) -> Leg:
    """The leg a person repairs.

    UNKNOWN_PAYOUT if the refund has no such leg, ILLEGAL_TRANSITION if it has not failed, INSTRUMENT_NOT_ALLOWED if it
    would be paid in another way than its kind.
    """
    leg = refund.leg(retry.leg_id)
    if leg is None:
        raise Rejected("UNKNOWN_PAYOUT", leg_id=retry.leg_id)
    require(LEG_MACHINE, leg.status, "RetryPayout")
    if retry.instrument is not None and retry.instrument.kind not in _PAYABLE_TO[leg.kind]:
        raise Rejected("INSTRUMENT_NOT_ALLOWED", kind=leg.kind, allowed=sorted(_PAYABLE_TO[leg.kind]))
    return leg


def _leg(leg: RefundLeg) -> Leg:
    if leg.kind == "DEBT":
        return Leg(leg.leg_id, leg.kind, leg.amount, LegStatus.SUCCEEDED)
    return first_payout(leg.leg_id, leg.kind, leg.amount, leg.instrument, leg.repayment_id)


def _moved_on(refund: Refund) -> Refund:
    done = all(leg.status is LegStatus.SUCCEEDED for leg in refund.legs)
    return replace(refund, status=RefundStatus.COMPLETED if done else RefundStatus.EXECUTING)


def _payouts(leg: Leg) -> list[str]:
    """Every payout of the leg so far."""
    return [f"{leg.leg_id}:{n}" for n in range(1, leg.tries + 1)]


def _known_outcomes(leg: Leg) -> tuple[PayoutOutcome, ...]:
    """The final outcomes the leg's present payout has had."""
    match leg.status:
        case LegStatus.SUCCEEDED:
            return ("SUCCEEDED",)
        case LegStatus.NEEDS_DESK if leg.returned:
            return ("SUCCEEDED", "RETURNED")
        case LegStatus.FAILED | LegStatus.NEEDS_DESK:
            return ("FAILED",)
        case _:
            return ()
