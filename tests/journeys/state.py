"""What the services know and have said, to be compared between two worlds or two moments of one."""

from __future__ import annotations

from services.billing.service import billing
from services.billing.state import Posting
from shared.testing.world import PARTITIONS, World
from tests.journeys.town import EVENTS, SERVICES


def rows(world: World) -> list[object]:
    """Every row of the services and the journal; entries of one cause stand in the order they were posted."""
    journal = sorted(world.entries(billing, Posting), key=lambda one: (one.cause_id, one.n))
    kept = [row for service in SERVICES for kind in service.row_types for row in world.rows(service, kind)]
    return [*kept, *journal]


async def ids(world: World) -> set[tuple[str, str, str]]:
    """Every event that was ever published, by id, type and business time."""
    told = await world.told(*EVENTS)
    return {(one.envelope.id, one.envelope.type, one.envelope.time.isoformat()) for one in told}


async def write_again(world: World, *topics: str) -> None:
    """Every record of these topics comes once more."""
    for topic in topics:
        for lane in range(PARTITIONS):
            for record in await world.log.read(topic, lane, 0, 1_000_000):
                world.log.append(topic, lane, record.key, record.value, list(record.headers))  # type: ignore[arg-type]
