"""An adapter is read once, at registration: what cannot work is refused with the name of the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from shared.contracts.billing import CollectionRequested, ReportCollection
from shared.contracts.envelope import Envelope
from shared.contracts.message import Command
from shared.integration.adapter import Adapter, AdapterInvalid
from tests.integration_kit.kit import NOON, enveloped, requested


class Provider:
    name = "provider"


def an_adapter() -> Adapter:
    return Adapter("psp", source="https://psp.example")


async def test_an_answer_gets_the_event_its_envelope_the_time_and_resources_by_type() -> None:
    adapter, provider = an_adapter(), Provider()
    given: list[object] = []

    @adapter.on(CollectionRequested)
    async def collect(
        request: CollectionRequested, psp: Provider, now: datetime, asked: Envelope
    ) -> AsyncIterator[Command]:
        given.extend([request, psp, now, asked])
        for never in ():
            yield never

    adapter.provide(provider)
    adapter.check()
    event = requested()
    envelope = enveloped(event)
    reaction = adapter.reaction_to(event)
    assert reaction is not None
    assert [one async for one in adapter.answer(reaction, event, envelope, NOON)] == []
    assert given == [event, provider, NOON, envelope]


def test_filters_compare_fields_of_the_payload() -> None:
    adapter = an_adapter()

    @adapter.on(CollectionRequested, mode="AUTO")
    async def automatic(request: CollectionRequested) -> AsyncIterator[Command]:
        yield ReportCollection.model_construct()

    @adapter.on(CollectionRequested, mode="MANUAL")
    async def manual(request: CollectionRequested) -> AsyncIterator[Command]:
        yield ReportCollection.model_construct()

    event = requested()
    answers = [adapter.reaction_to(event.model_copy(update={"mode": mode})) for mode in ("AUTO", "MANUAL")]
    assert [one.answer for one in answers if one] == [automatic, manual]
    assert adapter.topics == ("billing.events",)


def test_an_event_nobody_filters_for_is_of_no_concern() -> None:
    adapter = an_adapter()

    @adapter.on(CollectionRequested, mode="MANUAL")
    async def manual(request: CollectionRequested) -> AsyncIterator[Command]:
        yield ReportCollection.model_construct()

    assert adapter.reaction_to(requested()) is None


def test_refused_a_filter_on_a_field_the_event_does_not_have() -> None:
    with pytest.raises(AdapterInvalid, match="no field 'channel'"):

        @an_adapter().on(CollectionRequested, channel="EMAIL")
        async def collect(request: CollectionRequested) -> AsyncIterator[Command]:
            yield ReportCollection.model_construct()


def test_refused_an_answer_that_is_no_async_generator() -> None:
    with pytest.raises(AdapterInvalid, match="async generator"):

        @an_adapter().on(CollectionRequested)  # type: ignore[arg-type]
        async def collect(request: CollectionRequested) -> None:
            return None


def test_refused_an_answer_to_another_event_than_it_is_annotated_with() -> None:
    with pytest.raises(AdapterInvalid, match="first parameter"):

        @an_adapter().on(CollectionRequested)
        async def collect(request: ReportCollection) -> AsyncIterator[Command]:
            yield request


def test_refused_two_answers_to_the_same() -> None:
    adapter = an_adapter()

    async def collect(request: CollectionRequested) -> AsyncIterator[Command]:
        yield ReportCollection.model_construct()

    adapter.on(CollectionRequested)(collect)
    with pytest.raises(AdapterInvalid, match="already answers"):
        adapter.on(CollectionRequested)(collect)


def test_refused_at_start_a_resource_nobody_provides_or_two_do() -> None:
    adapter = an_adapter()

    @adapter.on(CollectionRequested)
    async def collect(request: CollectionRequested, psp: Provider) -> AsyncIterator[Command]:
        yield ReportCollection.model_construct()

    with pytest.raises(AdapterInvalid, match="0 resources are a Provider"):
        adapter.check()
    adapter.provide(Provider(), Provider())
    with pytest.raises(AdapterInvalid, match="2 resources are a Provider"):
        adapter.check()
