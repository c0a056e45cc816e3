"""The handlers of refunds, registered, in a tenant that lives by Shanghai's clock and plain weekends."""

import pytest

import services.refunds.handlers  # noqa: F401 - importing registers them
from services.refunds.service import refunds
from shared.kernel.calendar import Calendar, WorkingWeek


@pytest.fixture(autouse=True, scope="session")
def _tenant() -> None:
    refunds.provide(Calendar(week=WorkingWeek.CN_WEEKENDS))
