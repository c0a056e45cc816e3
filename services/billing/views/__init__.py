"""What can be looked at in billing: a buyer's bills, the plan of an order, the journal and what it adds up to.

A bill says what falls due when, the plans of its orders say how much; so both are read together. What became of them is
reckoned from the journal alone (:mod:`history`), and comes to the same as the rows.
"""

from __future__ import annotations

from services.billing.views import bills, ledger, plans
from shared.operations.views import Views

__all__ = ["views"]

views = Views()
for subject in (bills, plans, ledger):
    views.include_router(subject.views)
