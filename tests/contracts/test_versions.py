"""A later version stands beside the earlier one; readers get the newest, whichever was written."""

import pytest
from pydantic import Field

from shared.contracts.message import (
    _CATALOGUE,
    _UPCASTS,
    Event,
    UnknownType,
    message_type,
    newest_type,
    read_message,
    upcast,
)


@pytest.fixture(autouse=True)
def catalogue_as_it_was():
    known, steps = dict(_CATALOGUE), dict(_UPCASTS)
    yield
    for registry, before in ((_CATALOGUE, known), (_UPCASTS, steps)):
        registry.clear()
        registry.update(before)


def parcel_in_three_versions() -> tuple[type[Event], type[Event], type[Event]]:
    class ParcelSeen(Event, service="trial"):
        """Weighed in pounds."""

        buyer_id: str
        pounds: int

    class ParcelSeenV2(Event, service="trial", name="parcel_seen", version=2):
        """Weighed in grams."""

        buyer_id: str
        grams: int

    class ParcelSeenV3(Event, service="trial", name="parcel_seen", version=3):
        """Weighed in grams, by someone."""

        buyer_id: str
        grams: int = Field(ge=0)
        by: str

    def in_grams(old: ParcelSeen) -> ParcelSeenV2:
        return ParcelSeenV2(buyer_id=old.buyer_id, grams=old.pounds * 454)

    def by_someone(old: ParcelSeenV2) -> ParcelSeenV3:
        return ParcelSeenV3(buyer_id=old.buyer_id, grams=old.grams, by="UNKNOWN")

    in_grams.__annotations__["return"], by_someone.__annotations__["return"] = ParcelSeenV2, ParcelSeenV3
    upcast(ParcelSeen)(in_grams)
    upcast(ParcelSeenV2)(by_someone)
    return ParcelSeen, ParcelSeenV2, ParcelSeenV3


def test_an_old_body_reaches_the_reader_as_the_newest_version() -> None:
    first, second, third = parcel_in_three_versions()
    read = read_message("houfu.trial.parcel_seen.v1", b'{"buyer_id": "b-1", "pounds": 2}')
    assert read == third(buyer_id="b-1", grams=908, by="UNKNOWN")
    assert read_message("houfu.trial.parcel_seen.v2", b'{"buyer_id": "b-1", "grams": 5}').by == "UNKNOWN"  # type: ignore[attr-defined]
    assert [newest_type(kind.TYPE) for kind in (first, second, third)] == [third] * 3
    assert message_type("houfu.trial.parcel_seen.v1") is first


def test_a_body_is_judged_by_the_version_it_was_written_in() -> None:
    parcel_in_three_versions()
    with pytest.raises(ValueError, match="pounds"):
        read_message("houfu.trial.parcel_seen.v1", b'{"buyer_id": "b-1", "grams": 5}')


def test_a_type_this_build_does_not_know_is_named() -> None:
    assert newest_type("houfu.trial.no_such_thing.v1") is None
    with pytest.raises(UnknownType, match="no_such_thing"):
        read_message("houfu.trial.no_such_thing.v1", b"{}")


def test_a_version_leads_on_to_one_other_and_never_back() -> None:
    first, second, third = parcel_in_three_versions()

    def again(old: Event) -> Event:
        return old

    again.__annotations__["return"] = third
    with pytest.raises(TypeError, match="already raised"):
        upcast(first)(again)
    again.__annotations__["return"] = second
    with pytest.raises(TypeError, match="no later version"):
        upcast(third)(again)
    again.__annotations__["return"] = int
    with pytest.raises(TypeError, match="annotated"):
        upcast(third)(again)


def test_a_message_is_declared_once_and_has_the_fields_it_names() -> None:
    parcel_in_three_versions()
    with pytest.raises(TypeError, match="declared twice"):
        parcel_in_three_versions()
    with pytest.raises(TypeError, match="parcel_id"):

        class ParcelLost(Event, service="trial", subject="parcel_id"):
            """Names a subject it does not have."""

            buyer_id: str
