"""The constants the services' handlers ask for, as long as a journey lasts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.journeys.town import furnished


@pytest.fixture(autouse=True)
def constants() -> Iterator[None]:
    with furnished():
        yield
