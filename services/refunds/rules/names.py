"""The ids refunds makes, and what can be read out of them."""

from __future__ import annotations

import re

from shared.contracts.billing import OverpaymentDetected, RefundAllocated
from shared.contracts.refunds import ReportPayout

__all__ = ["case_of_refund", "refund_of_case", "refund_of_overpayment"]

_OF_CASE = re.compile(r"([A-Za-z0-9._-]+):r[1-9][0-9]*")
"""No id of a case holds a colon, nor does one a merchant chose for a refund; that of an overpayment ends otherwise."""


def refund_of_case(case_id: str) -> str:
    """The refund a case leads to: its first, and without appeals its only one."""
    return f"{case_id}:r1"


def refund_of_overpayment(detected: OverpaymentDetected) -> str:
    """The refund that gives an overpayment back."""
    return f"op:{detected.overpayment_id}"


def case_of_refund(message: RefundAllocated | ReportPayout) -> str:
    """The case the message's refund comes from, whether or not its sender repeated it; empty where there is none."""
    found = _OF_CASE.fullmatch(message.refund_id)
    return found[1] if found else ""
