"""Outgoing ids: stable, distinct, and UUIDs that any client accepts."""

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.ids import derived_id

CAUSE = "5f0f1c0e-6c1a-4e2e-9a52-0d5a3a7f0001"


def test_an_id_never_changes_between_releases() -> None:
    assert derived_id("/houfu/billing", CAUSE, 0) == "96d8c7f7-a1b7-82a9-879d-ea7f9d49775a"
    assert derived_id("/houfu/billing", CAUSE, 1) == "f25459b8-cb35-8371-863a-4474848de6fa"


@given(st.text(), st.uuids().map(str), st.integers(0, 10_000))
def test_a_derived_id_is_a_canonical_uuid_of_version_8(source: str, cause_id: str, index: int) -> None:
    derived = derived_id(source, cause_id, index)
    assert str(UUID(derived)) == derived
    assert UUID(derived).version == 8
    assert UUID(derived).variant == RFC_4122


places = st.tuples(st.text(), st.text(), st.integers(0, 99))


@given(places, places)
def test_other_sources_causes_or_places_give_other_ids(one: tuple[str, str, int], other: tuple[str, str, int]) -> None:
    assert (derived_id(*one) == derived_id(*other)) is (one == other)
