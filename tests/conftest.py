"""Fixtures for every room of the tests. Imports of the product stay inside them, so that each room stands alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from shared.local.servers import Servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The embedded Kafka and PostgreSQL, one pair for the whole session, started by the first test that asks."""
    from shared.local.servers import Servers
    from shared.operations.house import service_names

    with Servers(tmp_path_factory.mktemp("servers"), services=service_names(), durable=False) as started:
        yield started
