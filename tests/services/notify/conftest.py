"""Notify's handlers, registered, in a tenant that lives by Shanghai's clock."""

from collections.abc import Iterator

import pytest

import services.notify.handlers  # noqa: F401 - importing registers them
from services.notify.service import notify
from shared.kernel.calendar import Calendar, WorkingWeek


@pytest.fixture(autouse=True)
def constants() -> Iterator[None]:
    before = dict(notify.resources)
    notify.provide(Calendar("Asia/Shanghai", WorkingWeek.CN_WEEKENDS))
    yield
    notify.resources.clear()
    notify.resources.update(before)
