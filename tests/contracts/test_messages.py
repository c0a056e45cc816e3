"""Every published message: placed, explained, exemplified, and written as it is read."""

import json
import re

import pytest
from pydantic import ValidationError

from shared.contracts import billing, checkout
from shared.contracts.dead_letters import DeadLettered
from shared.contracts.message import Command, Event, Message, Rejection, message_type
from shared.operations.schemas import examples_of, published_messages, schema_of

MESSAGES = published_messages()


def named(kind: type[Message]) -> str:
    return kind.TYPE


@pytest.mark.parametrize("kind", MESSAGES, ids=named)
def test_a_message_says_what_it_means_and_what_each_field_holds(kind: type[Message]) -> None:
    assert kind.__doc__
    schema = schema_of(kind)
    for name, structure in {kind.__name__: schema, **schema.get("$defs", {})}.items():
        assert structure["description"], name
        for field, content in structure["properties"].items():
            assert content.get("description"), f"{name}.{field} has no description"


@pytest.mark.parametrize("kind", MESSAGES, ids=named)
def test_a_message_shows_an_example_that_survives_reading_and_writing(kind: type[Message]) -> None:
    examples = examples_of(kind)
    assert examples
    for example in examples:
        message = kind.from_json(json.dumps(example))
        assert json.loads(message.to_json()) == example
        assert kind.from_json(message.to_json()) == message
        assert message.key
        assert getattr(message, kind.SUBJECT)


@pytest.mark.parametrize("kind", MESSAGES, ids=named)
def test_the_wire_type_names_service_message_and_version(kind: type[Message]) -> None:
    assert re.fullmatch(r"houfu\.[a-z]+\.[a-z_]+\.v[1-9]", kind.TYPE)
    assert message_type(kind.TYPE) is kind
    assert issubclass(kind, Command | Event)


@pytest.mark.parametrize("kind", MESSAGES, ids=named)
def test_a_payload_with_money_has_a_currency_and_one_about_an_order_its_merchant(kind: type[Message]) -> None:
    schema = schema_of(kind)
    money = [name for name, field in schema["properties"].items() if "minor units" in field.get("description", "")]
    if money:
        assert "currency" in schema["properties"], money
    if kind.SUBJECT == "order_id":
        assert {"order_id", "merchant_id", "buyer_id"} <= set(schema["required"])


@pytest.mark.parametrize("kind", [kind for kind in MESSAGES if issubclass(kind, billing.DebtChanged)], ids=named)
def test_an_event_that_changes_the_debt_reports_its_total_and_version(kind: type[Message]) -> None:
    assert {"outstanding_principal", "book_version"} <= set(schema_of(kind)["required"])


def test_whoever_adds_a_field_is_understood_by_those_who_do_not_know_it() -> None:
    body = {**examples_of(checkout.ConfirmReceipt)[0], "added_later": {"some": "thing"}}
    assert checkout.ConfirmReceipt.from_json(json.dumps(body)).order_id == body["order_id"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", "25769"),
        ("amount", 25769.0),
        ("amount", -1),
        ("amount", 10**12 + 1),
        ("amount", True),
        ("currency", "XYZ"),
        ("currency", "cny"),
        ("buyer_id", "b:7"),
        ("buyer_id", ""),
        ("buyer_id", "b" * 65),
        ("order_id", "o-1\n"),
        ("instalments", 2),
        ("kind", "goods"),
        ("lines", []),
        ("lines", examples_of(checkout.PlaceOrder)[0]["lines"] * 2),
        ("confirmed", None),
        ("address_ref", "Some Street 5"),
    ],
)
def test_an_order_with_a_bad_field_is_malformed(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        checkout.PlaceOrder.from_json(json.dumps({**examples_of(checkout.PlaceOrder)[0], field: value}))


@pytest.mark.parametrize("missing", ["buyer_id", "currency", "payment_proof", "confirmed", "freight"])
def test_an_order_without_a_required_field_is_malformed(missing: str) -> None:
    body = {name: value for name, value in examples_of(checkout.PlaceOrder)[0].items() if name != missing}
    with pytest.raises(ValidationError):
        checkout.PlaceOrder.from_json(json.dumps(body))


@pytest.mark.parametrize(
    "instant", ["2027-03-01", "2027-03-01T10:00:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", 1, None]
)
def test_an_instant_needs_an_offset_and_a_year_with_room_around_it(instant: object) -> None:
    with pytest.raises(ValidationError):
        checkout.RecordPasswordSet.from_json(json.dumps({"buyer_id": "b-1", "set_at": instant}))


def test_an_instant_is_written_in_utc_whatever_offset_it_came_with() -> None:
    read = checkout.RecordPasswordSet.from_json('{"buyer_id": "b-1", "set_at": "2027-03-01T09:05:00+08:00"}')
    assert json.loads(read.to_json())["set_at"] == "2027-03-01T01:05:00Z"


def test_text_for_people_holds_no_nul_which_no_database_would_take() -> None:
    body = {**examples_of(checkout.CancelOrder)[0], "reason": "a\x00b"}
    with pytest.raises(ValidationError):
        checkout.CancelOrder.from_json(json.dumps(body))


@pytest.mark.parametrize("targets", [{}, {"bill_id": "b:o-1", "order_id": "o-1"}])
def test_a_repayment_names_exactly_one_of_bill_and_order(targets: dict[str, str]) -> None:
    body = {name: value for name, value in examples_of(billing.RepayBill)[0].items() if name != "bill_id"}
    with pytest.raises(ValidationError):
        billing.RepayBill.from_json(json.dumps({**body, **targets}))


def test_a_limit_set_by_the_desk_needs_a_currency() -> None:
    body = {"buyer_id": "b-1", "decision": "APPROVE", "reasons": []}
    checkout.ReviewAccount.from_json(json.dumps(body))
    with pytest.raises(ValidationError):
        checkout.ReviewAccount.from_json(json.dumps({**body, "limit": 1000}))


def test_words_python_keeps_for_itself_stand_on_the_wire_as_the_specification_names_them() -> None:
    changed = checkout.AccountStatusChanged(
        buyer_id="b-1", from_status="ACTIVE", to_status="SUSPENDED", reasons=("DESK_HOLD",)
    )
    assert json.loads(changed.to_json()) == {
        "buyer_id": "b-1",
        "from": "ACTIVE",
        "to": "SUSPENDED",
        "reasons": ["DESK_HOLD"],
    }


@pytest.mark.parametrize("rejected", [checkout.CommandRejected, billing.CommandRejected])
@pytest.mark.parametrize("field", ["buyer_id", "merchant_id"])
def test_a_rejection_is_keyed_as_its_command_was(rejected: type[Rejection], field: str) -> None:
    answer = rejected.of(
        command_id="c-1",
        command_type="houfu.checkout.no_such_thing.v1",
        owner={field: "m:42 even if malformed"},
        code="MALFORMED",
        message="x" * 900,
        details={"reason": "KEY_MISMATCH", "allowed": ["A", None]},
    )
    assert answer.key == "m:42 even if malformed"
    assert len(answer.message) == 500
    assert rejected.from_json(answer.to_json()) == answer
    assert json.loads(answer.to_json())["details"] == {"reason": "KEY_MISMATCH", "allowed": ["A", None]}


def test_a_dead_letter_is_keyed_by_the_message_that_died_or_else_by_its_service() -> None:
    notice = DeadLettered(service="billing", reason="KEY_MISSING", detail="the record has no key", digest="00")
    assert notice.key == "billing"
    assert DeadLettered.from_json(json.dumps(examples_of(DeadLettered)[0])).key == "b-7"


def test_two_equal_requests_may_differ_in_time_and_proof_alone() -> None:
    assert sorted(checkout.PlaceOrder.NOT_CONTENT) == ["confirmed.quoted_at", "payment_proof"]
    timed = {kind for kind in MESSAGES if issubclass(kind, Command) and "occurred_at" in kind.model_fields}
    assert timed
    assert all("occurred_at" in kind.NOT_CONTENT for kind in timed)
