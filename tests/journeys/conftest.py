"""The constants the services' handlers ask for, as long as a journey lasts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.checkout.service import checkout
from tests.journeys.town import CALENDAR, PROOFS, SERVICES


@pytest.fixture(autouse=True)
def constants() -> Iterator[None]:
    before = {service: dict(service.resources) for service in SERVICES}
    checkout.provide(PROOFS)
    for service in SERVICES:
        service.provide(CALENDAR)
    yield
    for service, resources in before.items():
        service.resources.clear()
        service.resources.update(resources)
