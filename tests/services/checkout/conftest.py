"""The constants checkout's handlers ask for, as the worked examples of its specification assume them."""

from collections.abc import Iterator

import pytest
from checkout_story import CALENDAR, PROOFS

from services.checkout.service import checkout


@pytest.fixture(autouse=True)
def constants() -> Iterator[None]:
    before = dict(checkout.resources)
    checkout.provide(PROOFS, CALENDAR)
    yield
    checkout.resources.clear()
    checkout.resources.update(before)
