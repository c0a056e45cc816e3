"""Goods on their way back: posted, arrived, or lost sight of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from services.refunds.deadlines import Assess, Receipt, ShipBack
from services.refunds.handlers.cases import close
from services.refunds.handlers.rulings import dispute
from services.refunds.rules import facts, inspection, timetable
from services.refunds.rules.admission import own_case
from services.refunds.service import refunds
from services.refunds.state import CASE_MACHINE, Case, CaseStatus, Order
from shared.contracts.fields import Listed
from shared.contracts.refunds import (
    ReportReturnReceipt,
    ReportReturnShipment,
    ReturnedLine,
    ReturnInTransit,
    ReturnReceived,
)
from shared.engine.refusals import refuse_future, require
from shared.engine.service import Yielded
from shared.engine.vocabulary import Deadline, Disarm
from shared.kernel.calendar import Calendar

__all__ = ["lapse_receipt", "lapse_shipment", "report_receipt", "report_shipment"]

NOTHING_ARRIVED = "Nothing arrived"


@refunds.on(ReportReturnShipment)
def report_shipment(report: ReportReturnShipment, now: datetime, case: Case, calendar: Calendar) -> Iterator[Yielded]:
    """The buyer posted the parcel: from that day on the refund counts, whenever it is decided (REF-07, R-R5)."""
    own_case(report, case)
    require(CASE_MACHINE, case.status, "ReportReturnShipment")
    refuse_future(report.occurred_at, now)
    value_on = timetable.handed_over_on(report.occurred_at, case.value_on, now, calendar)
    yield replace(case, status=CaseStatus.IN_TRANSIT, value_on=value_on)
    yield ReturnInTransit(**case.named(), waybill_no=report.waybill_no, value_on=value_on)
    yield Disarm(ShipBack, case.case_id)
    yield Deadline(now + timetable.RECEIPT, Receipt(case.buyer_id, case.order_id, case.case_id))


@refunds.on(ShipBack)
def lapse_shipment(due: ShipBack, case: Case, order: Order) -> Iterator[Yielded]:
    """The buyer never sent the goods back: the request lapses."""
    if due.KIND in CASE_MACHINE[case.status]:
        yield from close(case, order, "LAPSED")


@refunds.on(ReportReturnReceipt)
def report_receipt(report: ReportReturnReceipt, now: datetime, case: Case, calendar: Calendar) -> Iterator[Yielded]:
    """The parcel arrived, whole or in part; or nothing did, and the platform must rule (REF-08)."""
    own_case(report, case)
    require(CASE_MACHINE, case.status, "ReportReturnReceipt")
    refuse_future(report.occurred_at, now)
    if report.lines:
        yield from _receive(case, report.lines, now)
    else:
        yield from dispute(case, NOTHING_ARRIVED, now, calendar)
    yield Disarm(Receipt, case.case_id)


@refunds.on(Receipt)
def lapse_receipt(due: Receipt, now: datetime, case: Case) -> Iterator[Yielded]:
    """The seller is silent about a parcel on its way: it counts as arrived, and complete."""
    if due.KIND in CASE_MACHINE[case.status]:
        yield facts.promise_missed(case, "SELLER_RECEIPT", now)
        yield from _receive(case, inspection.all_asked_for(case), now)


def _receive(case: Case, arrived: Listed[ReturnedLine], now: datetime) -> Iterator[Yielded]:
    """The goods are back: the seller has three days to say in which condition."""
    yield replace(case, status=CaseStatus.RECEIVED, lines=inspection.received(case, arrived))
    yield ReturnReceived(**case.named(), lines=arrived)
    yield Deadline(now + timetable.ASSESSMENT, Assess(case.buyer_id, case.order_id, case.case_id))
