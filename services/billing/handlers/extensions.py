"""Extensions: a later due date, asked for by the buyer and granted at once or by whoever decides on it (B-E)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from services.billing.deadlines import ExtensionEnd
from services.billing.handlers.changes import changed
from services.billing.rules import dues, extension, facts
from services.billing.rules.closing import concluded
from services.billing.rules.debts import Debts
from services.billing.service import billing
from services.billing.state import BILL_MACHINE, EXTENSION_MACHINE, Bill, Book, Extension, ExtensionStatus, Plan
from shared.contracts.billing import DecideExtension, RequestExtension
from shared.contracts.policy import ExtensionOption
from shared.engine.refusals import refusal, repeated, require
from shared.engine.service import Yielded
from shared.engine.vocabulary import Cause, Deadline, Disarm, Rejected, Rows
from shared.kernel.calendar import Calendar

__all__ = ["decide_extension", "lapse_extension", "request_extension"]


@billing.on(RequestExtension)
def request_extension(
    command: RequestExtension,
    now: datetime,
    cause: Cause,
    asked: Extension | None,
    book: Book,
    bill: Bill,
    extensions: Rows[Extension],
    plans: Rows[Plan],
    calendar: Calendar,
) -> Iterator[Yielded]:
    """The buyer wants to pay later: granted at once, or put before the merchant or the platform (BIL-13)."""
    if asked is not None:
        same = asked.content == cause.content
        raise repeated(same=same, extension_id=asked.extension_id, status=str(asked.status), bill_id=asked.bill_id)
    option = _offered(command, bill, extensions, plans, now, calendar)
    wish = extension.requested(command, option, bill, now, cause.content)
    if wish.approver == "AUTO":
        yield from _grant(wish, Debts(book, plans, {bill.bill_id: bill}), cause, now, calendar)
        return
    yield wish
    yield facts.extension_requested(wish, bill)
    yield Deadline(wish.until, ExtensionEnd(wish.buyer_id, wish.extension_id, wish.bill_id))


def _offered(
    command: RequestExtension,
    bill: Bill,
    extensions: Rows[Extension],
    plans: Rows[Plan],
    now: datetime,
    calendar: Calendar,
) -> ExtensionOption:
    """The option that is asked for; the refusals in the order of H-5: state first, then content."""
    _require_due(bill, plans, "RequestExtension")
    if bill.extended:
        raise Rejected("EXTENSION_USED", bill_id=bill.bill_id)
    if (other := next(iter(extensions.values()), None)) is not None:
        raise Rejected("EXTENSION_OPEN", extension_id=other.extension_id, bill_id=other.bill_id)
    dpd = (calendar.date(now) - bill.due_on).days
    if dpd > bill.terms.extension.max_dpd:
        raise Rejected("TOO_LATE", dpd=dpd, max_dpd=bill.terms.extension.max_dpd)
    option = extension.offered(bill, command.days)
    if option is None:
        raise Rejected("EXTENSION_NOT_OFFERED", days=[one.days for one in bill.terms.extension.options])
    return option


def _require_due(bill: Bill, plans: Rows[Plan], trigger: str) -> None:
    """A date can be moved only where something is due by it: not of a bill that is closed, to come, or all paused."""
    require(BILL_MACHINE, bill.status, trigger)
    if not dues.due_part(bill, plans):
        raise Rejected("ILLEGAL_TRANSITION", "Nothing of this bill is due", **refusal(bill.status, ()))


@billing.on(DecideExtension)
def decide_extension(
    command: DecideExtension,
    now: datetime,
    cause: Cause,
    wish: Extension,
    book: Book,
    bill: Bill,
    plans: Rows[Plan],
    calendar: Calendar,
) -> Iterator[Yielded]:
    """Whoever decides has answered."""
    if wish.bill_id != command.bill_id:
        raise Rejected(Extension.UNKNOWN, extension_id=command.extension_id, bill_id=command.bill_id)
    if str(wish.status) == command.decision:
        raise Rejected("ALREADY_DONE", extension_id=wish.extension_id, status=str(wish.status))
    require(EXTENSION_MACHINE, wish.status, "DecideExtension")
    _require_due(bill, plans, "DecideExtension")
    if command.by != wish.approver:
        raise Rejected("PARTY_NOT_ALLOWED", by=command.by, allowed=[wish.approver])
    yield Disarm(ExtensionEnd, wish.extension_id)
    if command.decision == "GRANTED":
        yield from _grant(wish, Debts(book, plans, {bill.bill_id: bill}), cause, now, calendar)
        return
    declined = replace(wish, status=ExtensionStatus.DECLINED)
    yield declined
    yield facts.extension_decided(declined, bill)


@billing.on(ExtensionEnd)
def lapse_extension(end: ExtensionEnd, wish: Extension, bill: Bill) -> Iterator[Yielded]:
    """Nobody has answered in 48 hours: the due date stays."""
    if end.KIND in EXTENSION_MACHINE[wish.status]:
        lapsed = replace(wish, status=ExtensionStatus.LAPSED)
        yield lapsed
        yield facts.extension_decided(lapsed, bill)


def _grant(wish: Extension, debts: Debts, cause: Cause, now: datetime, calendar: Calendar) -> Iterator[Yielded]:
    """Every unpaid line is due later, the ladder begins anew, and the bill is late no longer (B-E, B-D2)."""
    granted = replace(wish, status=ExtensionStatus.GRANTED)
    yield granted
    outcome = concluded(debts, extension.extended(debts, granted), calendar.date(now))
    fact = facts.extension_decided(granted, outcome.after.bills[granted.bill_id])
    yield from changed(outcome, fact, cause, now, calendar)
