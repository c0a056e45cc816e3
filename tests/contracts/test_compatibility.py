"""v1 is for ever: optional fields may be added to a message, anything else is a new version."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shared.contracts.checkout import CancelOrder, OrderAccepted
from shared.contracts.message import Message
from shared.operations.schemas import compatible, examples_of, published_messages, schema_of

PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas"
BEFORE = schema_of(OrderAccepted)


@pytest.mark.parametrize("kind", published_messages(), ids=lambda kind: kind.TYPE)
def test_a_published_message_has_not_changed_for_those_who_know_it(kind: type[Message]) -> None:
    published = json.loads((PUBLISHED / f"{kind.TYPE}.json").read_text("utf-8"))
    assert compatible(published, schema_of(kind)) == []


@pytest.mark.parametrize("kind", published_messages(), ids=lambda kind: kind.TYPE)
def test_a_schema_is_valid_and_admits_its_examples(kind: type[Message]) -> None:
    schema = schema_of(kind)
    Draft202012Validator.check_schema(schema)
    for example in examples_of(kind):
        Draft202012Validator(schema).validate(example)


def changed(*path: str, to: Any) -> dict[str, Any]:
    after = copy.deepcopy(BEFORE)
    place: Any = after
    for step in path[:-1]:
        place = place[step]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return after


@pytest.mark.parametrize(
    "after",
    [
        BEFORE,
        changed("properties", "channel", to={"type": "string"}),
        changed("$defs", "LateFeeTerms", "properties", "scale", to={"type": "integer", "default": 1}),
        changed("$defs", "ReturnTerms", "properties", "grade_bps", "default", "E", to=1),
        changed("description", to="Said better."),
        changed("properties", "amount", "description", to="Said better."),
        changed("examples", to=[]),
    ],
)
def test_optional_fields_and_better_words_are_welcome(after: dict[str, Any]) -> None:
    assert compatible(BEFORE, after) == []


@pytest.mark.parametrize(
    ("after", "complaint"),
    [
        (changed("properties", "amount", to=None), "amount: removed"),
        (changed("properties", "amount", "type", to="string"), "amount type: was integer, is string"),
        (changed("properties", "amount", "maximum", to=5), "amount maximum: was 1000000000000, is 5"),
        (changed("required", to=[*BEFORE["required"], "channel"]), "required: channel is new"),
        (changed("required", to=BEFORE["required"][1:]), "required: buyer_id is gone"),
        (changed("properties", "by", "enum", to=["BUYER", "AUTO"]), "by enum: SERVICE_END is gone"),
        (changed("properties", "by", "enum", to=["BUYER", "AUTO", "SERVICE_END", "X"]), "by enum: X is new"),
        (changed("$defs", "AcceptedLine", "properties", "sku", to=None), "lines items.sku: removed"),
        (changed("$defs", "LateFeeTerms", "properties", "cap_abs", "default", to=1), "terms.late_fee.cap_abs default"),
        (changed("x-houfu", "key", to="merchant_id"), "x-houfu key: was buyer_id, is merchant_id"),
    ],
)
def test_anything_else_is_a_new_version(after: dict[str, Any], complaint: str) -> None:
    found = compatible(BEFORE, after)
    assert found
    assert found[0].startswith(complaint)


def test_a_required_field_cannot_become_a_list_of_choices() -> None:
    before = schema_of(CancelOrder)
    after = copy.deepcopy(before)
    after["properties"]["line_ids"]["anyOf"].append({"type": "string"})
    assert compatible(before, after)
