"""Where the till's parcels go on to: an adapter, a postman who is told of a reminder, and the service whose door he
knocks on. One message's trace can be followed over all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from shared.contracts.fields import ChosenId
from shared.contracts.message import Command, Event, Rejection
from shared.engine.ports import Unavailable
from shared.engine.service import Service, Yielded
from shared.integration.adapter import Adapter
from tests.engine.till import Reminded


class KnockOnDoor(Command, service="porch", subject="parcel_id"):
    buyer_id: ChosenId
    parcel_id: ChosenId


class DoorOpened(Event, service="porch", subject="parcel_id"):
    buyer_id: ChosenId
    parcel_id: ChosenId


class PorchRejected(Rejection, service="porch", subject="command_id"):
    """The porch refuses a command."""


porch = Service("porch", rejected=PorchRejected, emits=(DoorOpened,))


@porch.on(KnockOnDoor)
def open_door(knock: KnockOnDoor) -> Iterator[Yielded]:
    yield DoorOpened(buyer_id=knock.buyer_id, parcel_id=knock.parcel_id)


class Weather:
    """It may be out of the question to deliver anything, for as many attempts as ``storms``."""

    def __init__(self, storms: int = 0, *, broken: bool = False) -> None:
        self.storms = storms
        self.broken = broken

    def permit(self) -> None:
        if self.broken:
            raise ZeroDivisionError
        if self.storms:
            self.storms -= 1
            raise Unavailable("it storms")


def postman(weather: Weather | None = None) -> Adapter:
    """An adapter that knocks when a buyer was reminded of a parcel."""
    adapter = Adapter("postman", source="https://post.example").provide(weather or Weather())

    @adapter.on(Reminded)
    async def knock(reminded: Reminded, weather: Weather) -> AsyncIterator[Command]:
        weather.permit()
        yield KnockOnDoor(buyer_id=reminded.buyer_id, parcel_id=reminded.parcel_id)

    return adapter
