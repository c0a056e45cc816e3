"""What people type is understood, or refused in one line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.cli.console import Complaint, duration_of, facts, instant_of, local_time
from shared.cli.display import progress_of
from shared.cli.messages import command_type
from shared.cli.system import _scale_of
from shared.contracts.checkout import PlaceOrder
from shared.contracts.fields import MONEY_MAX
from shared.contracts.message import Message
from shared.local.progress import Progress, Stage
from shared.operations.schemas import published_messages, schema_of


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30d", timedelta(days=30)),
        ("2h", timedelta(hours=2)),
        ("1d12h", timedelta(hours=36)),
        ("90m", timedelta(minutes=90)),
    ],
)
def test_a_length_of_time(text: str, length: timedelta) -> None:
    assert duration_of(text) == length


@pytest.mark.parametrize("text", ["", "d", "2x", "-1d", "1.5h"])
def test_no_length_of_time(text: str) -> None:
    with pytest.raises(Complaint, match="no length of time"):
        duration_of(text)


def test_an_instant_without_an_offset_is_meant_in_the_tenant_s_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    noon = datetime(2027, 3, 1, 4, 0, tzinfo=UTC)
    assert instant_of("2027-03-01T12:00") == instant_of("2027-03-01T12:00+08:00") == noon
    assert local_time(noon) == "2027-03-01 12:00:00"
    monkeypatch.setenv("HOUFU_ZONE", "UTC")
    assert local_time(noon) == "2027-03-01 04:00:00"
    monkeypatch.setenv("HOUFU_ZONE", "Moon/Tranquility")
    with pytest.raises(Complaint, match="HOUFU_ZONE"):
        local_time(noon)


def test_a_command_is_known_by_its_short_and_its_long_names() -> None:
    for said in ("place_order", "PlaceOrder", "checkout.place_order", "houfu.checkout.place_order.v1"):
        assert command_type(said) is PlaceOrder


def test_an_unknown_command_is_refused_with_those_alike() -> None:
    with pytest.raises(Complaint, match=r"there is place_order$"):
        command_type("place")
    with pytest.raises(Complaint, match="bill_issued"):  # an event is for its service alone to write
        command_type("bill_issued")


def test_scale_is_said_by_name_and_number() -> None:
    assert _scale_of(["billing=2", "checkout=1"]) == {"billing": 2, "checkout": 1}
    for wish in ("billing", "billing=", "billing=0", "billing=two"):
        with pytest.raises(Complaint, match="billing=2"):
            _scale_of([wish])


def test_facts_are_few_words_with_amounts_as_people_write_them() -> None:
    body = {"buyer_id": "b-1", "amount": 12900, "reasons": ["A", "B"], "fee": 0, "lines": [{"a": 1}], "dpd": 4}
    assert facts(body) == "amount 129.00 · reasons A, B · dpd 4"


def amounts(kind: type[Message]) -> Iterator[str]:
    """The fields of a message that carry money."""
    for name, field in schema_of(kind)["properties"].items():
        if any(form.get("maximum") == MONEY_MAX for form in field.get("anyOf", [field])):
            yield name


@pytest.mark.parametrize("kind", [kind for kind in published_messages() if any(amounts(kind))])
def test_every_amount_a_message_carries_is_written_with_its_decimals(kind: type[Message]) -> None:
    for name in amounts(kind):
        assert facts({name: 12345}) in (f"{name} 123.45", ""), "an amount would be told in minor units"


def test_only_a_step_is_read_as_progress() -> None:
    assert progress_of('{"part": "kafka", "stage": "ready", "detail": "", "done": 0, "total": 0}') == Progress(
        "kafka", Stage.READY
    )
    for line in ("houfu: no", "{}", '{"part": "kafka", "stage": "odd"}', "[]", "1"):
        assert progress_of(line) is None
