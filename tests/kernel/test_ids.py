"""Outgoing ids: stable, distinct, and UUIDs that any client accepts."""

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.ids import derived_id

CAUSE = "5f0f1c0e-6c1a-4e2e-9a52-0d5a3a7f0001"


def test_an_id_never_changes_between_releases() -> None:
    assert derived_id(CAUSE, 0) == "18c9d4ed-c67e-82b5-96a4-a186b664644a"
    assert derived_id(CAUSE, 1) == "f4f0cfd3-2ac8-8659-9134-a4d5a808af60"


@given(st.uuids().map(str), st.integers(0, 10_000))
def test_a_derived_id_is_a_canonical_uuid_of_version_8(cause_id: str, index: int) -> None:
    derived = derived_id(cause_id, index)
    assert str(UUID(derived)) == derived
    assert UUID(derived).version == 8
    assert UUID(derived).variant == RFC_4122


@given(st.tuples(st.text(), st.integers(0, 99)), st.tuples(st.text(), st.integers(0, 99)))
def test_different_causes_or_places_give_different_ids(one: tuple[str, int], other: tuple[str, int]) -> None:
    assert (derived_id(*one) == derived_id(*other)) is (one == other)
