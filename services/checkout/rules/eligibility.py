"""C-R8: whether an order may be paid later. First what makes the request itself invalid, then every failing test."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from services.checkout.rules.admission import refuse_other_currency
from services.checkout.rules.policy import ResolvedPolicy
from services.checkout.rules.proof import PaymentProofs, Purchase
from services.checkout.rules.schedule import instalment_fee, schedule
from services.checkout.rules.valuation import check_sums
from services.checkout.state import Account, AccountStatus, MerchantPair
from shared.contracts.checkout import Counterfactual, PlaceOrder
from shared.engine.vocabulary import Rejected
from shared.kernel.calendar import Calendar

__all__ = ["check_request", "counterfactual", "failing_tests", "offer"]

QUOTE_VALIDITY = timedelta(minutes=30)
OPEN_ORDERS_MAX = 30

_ABOUT_AMOUNT = frozenset({"AMOUNT_ABOVE_MERCHANT_MAX", "INSUFFICIENT_LIMIT"})


def check_request(
    place: PlaceOrder,
    account: Account,
    policy: ResolvedPolicy,
    proofs: PaymentProofs,
    now: datetime,
    calendar: Calendar,
) -> None:
    """Refuse a request that is wrong in itself; the first failure counts.

    CURRENCY_MISMATCH, AMOUNT_MISMATCH, AMOUNT_INVALID, PAYMENT_PROOF_INVALID, PAYMENT_PROOF_EXPIRED, QUOTE_EXPIRED,
    TERMS_CHANGED (details: the offer that holds).
    """
    refuse_other_currency(account, place.currency)
    check_sums(place)
    purchase = Purchase(place.buyer_id, place.order_id, place.amount, place.currency, place.device_ref)
    proofs.verify(place.payment_proof, purchase, now)
    if not timedelta() <= now - place.confirmed.quoted_at <= QUOTE_VALIDITY:
        raise Rejected("QUOTE_EXPIRED", quoted_at=place.confirmed.quoted_at, now=now)
    stands = offer(place, policy, now, calendar)
    if any(getattr(place.confirmed, term) != stands[term] for term in _CONFIRMED_TERMS):
        raise Rejected("TERMS_CHANGED", offer=stands)


_CONFIRMED_TERMS = ("amount", "window_days", "instalment_fee", "agreement_version")


def offer(place: PlaceOrder, policy: ResolvedPolicy, now: datetime, calendar: Calendar) -> dict[str, Any]:
    """What the buyer would be offered now, with the schedule as if the goods were accepted today (CHK-15, CHK-16).

    Where no agreement is in force there is none to differ from.
    """
    terms = policy.terms(place.product)
    return {
        "amount": place.amount,
        "window_days": terms.window_days if place.product == "PAY_AFTER_USE" else None,
        "schedule": [asdict(due) for due in schedule(place, terms, calendar.date(now))],
        "instalment_fee": instalment_fee(place, terms),
        "agreement_version": policy.fields.agreement_version or place.confirmed.agreement_version,
        "quoted_at": now,
    }


def failing_tests(
    place: PlaceOrder, account: Account, pair: MerchantPair | None, policy: ResolvedPolicy
) -> tuple[str, ...]:
    """Every test the order fails, in the published order; none means it may be authorised.

    Goods are what is offered, after use or monthly: services are declined as PRODUCT_NOT_OFFERED.
    """
    terms = policy.fields
    consent = pair is not None and pair.consent is not None and pair.consent.granted
    tests = (
        ("ACCOUNT_NOT_ACTIVE", account.status is not AccountStatus.ACTIVE),
        ("CONSENT_MISSING", terms.consent_required and not consent),
        ("MERCHANT_BLOCKED", terms.status == "BLOCKED"),
        ("PRODUCT_NOT_OFFERED", not _is_offered(place, policy)),
        ("INSTALMENTS_NOT_ALLOWED", place.instalments > 1 and not _may_be_split(place)),
        ("ITEM_NOT_ELIGIBLE", not all(line.eligible for line in place.lines)),
        ("CATEGORY_BLOCKED", any(line.category in (terms.blocked_categories or ()) for line in place.lines)),
        ("SCORE_TOO_LOW", account.score < _needed_score(place, policy)),
        ("AMOUNT_ABOVE_MERCHANT_MAX", place.amount > (terms.max_order_amount or 0)),
        ("INSUFFICIENT_LIMIT", place.amount > account.available),
        ("TOO_MANY_OPEN_ORDERS", account.open_orders >= OPEN_ORDERS_MAX),
    )
    return tuple(code for code, fails in tests if fails)


def counterfactual(reasons: tuple[str, ...], account: Account, policy: ResolvedPolicy) -> Counterfactual | None:
    """The amount that would have passed, where amounts are all that failed; a needed score is never disclosed."""
    if not _ABOUT_AMOUNT.issuperset(reasons):
        return None
    return Counterfactual(max_amount=max(0, min(account.available, policy.fields.max_order_amount or 0)))


def _is_offered(place: PlaceOrder, policy: ResolvedPolicy) -> bool:
    return place.kind == "GOODS" and place.product in (policy.fields.products or ())


def _may_be_split(place: PlaceOrder) -> bool:
    return place.product == "MONTHLY" and place.kind == "GOODS"


def _needed_score(place: PlaceOrder, policy: ResolvedPolicy) -> int:
    own = policy.fields.service_min_score or {}
    scores = (own[line.service_code] for line in place.lines if line.service_code in own)
    return max((policy.fields.min_score or 0, *scores))
