"""A handler's signature is its declaration; whatever cannot be satisfied is refused where it is registered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import pytest

from shared.engine.service import Service, Yielded
from shared.engine.signature import AllLive, ById, Resource, SignatureInvalid, Special, read_signature
from shared.engine.vocabulary import Cause, Due, Entry, Named, Row, Rows
from shared.kernel.calendar import Calendar
from tests.engine.till import (
    Account,
    AccountOpened,
    Booking,
    OpenAccount,
    Parcel,
    ParcelPacked,
    Remind,
    SendParcel,
    SetTariff,
    Tariff,
    TillRejected,
    till,
)


@dataclass(frozen=True, slots=True)
class Unbound(Row):
    buyer_id: str


@dataclass(frozen=True, slots=True)
class Crate(Row, table="crate", id="crate_id", unknown="UNKNOWN_CRATE"):
    buyer_id: str
    crate_id: str


@dataclass(frozen=True, slots=True)
class Shelf(Row, table="shelf", owner="merchant_id", unknown="UNKNOWN_SHELF"):
    merchant_id: str


def no_generator(sending: SendParcel) -> list[Any]:
    return []


def nothing_at_all() -> Iterator[Yielded]:
    yield from ()


def another_message(opening: OpenAccount) -> Iterator[Yielded]:
    yield from ()


def bare_message(sending) -> Iterator[Yielded]:  # type: ignore[no-untyped-def]
    yield from ()


def bare_parameter(sending: SendParcel, parcel) -> Iterator[Yielded]:  # type: ignore[no-untyped-def]
    yield from ()


def another_instant(sending: SendParcel, later: datetime) -> Iterator[Yielded]:
    yield from ()


def two_rows_in_one(sending: SendParcel, parcel: Parcel | Account | None) -> Iterator[Yielded]:
    yield from ()


def optional_number(sending: SendParcel, number: int | None) -> Iterator[Yielded]:
    yield from ()


def callable_(sending: SendParcel, call: Callable[[], int]) -> Iterator[Yielded]:
    yield from ()


def unbound(sending: SendParcel, unbound: Unbound | None) -> Iterator[Yielded]:
    yield from ()


def never_unknown(setting: SetTariff, tariff: Tariff) -> Iterator[Yielded]:
    yield from ()


def no_such_id(sending: SendParcel, crate: Crate) -> Iterator[Yielded]:
    yield from ()


def no_such_owner(sending: SendParcel, shelf: Shelf) -> Iterator[Yielded]:
    yield from ()


def nobody_would_wake(packed: ParcelPacked, shelf: Annotated[Shelf, Named(owner="platform")]) -> Iterator[Yielded]:
    yield from ()


def never_live(sending: SendParcel, crates: Rows[Crate]) -> Iterator[Yielded]:
    yield from ()


def rows_of_numbers(sending: SendParcel, numbers: Rows[int]) -> Iterator[Yielded]:  # type: ignore[type-var]
    yield from ()


@pytest.mark.parametrize(
    ("handler", "message", "parameter", "why"),
    [
        (no_generator, SendParcel, "", "not a generator function"),
        (nothing_at_all, SendParcel, "", "first parameter must be annotated with SendParcel"),
        (another_message, SendParcel, "", "first parameter must be annotated with SendParcel"),
        (bare_message, SendParcel, "", "first parameter must be annotated with SendParcel"),
        (bare_parameter, SendParcel, "'parcel'", "no annotation"),
        (another_instant, SendParcel, "'later'", "'now'"),
        (two_rows_in_one, SendParcel, "'parcel'", "not a row or None"),
        (optional_number, SendParcel, "'number'", "not a row"),
        (callable_, SendParcel, "'call'", "neither a row"),
        (unbound, SendParcel, "'unbound'", "not bound to a table"),
        (never_unknown, SetTariff, "'tariff'", "no code for 'unknown'"),
        (no_such_id, SendParcel, "'crate'", "no field 'crate_id'"),
        (no_such_owner, SendParcel, "'shelf'", "no field 'merchant_id'"),
        (nobody_would_wake, ParcelPacked, "'shelf'", "nothing would wake"),
        (never_live, SendParcel, "'crates'", "does not say when it is live"),
        (rows_of_numbers, SendParcel, "'numbers'", "not a row"),
    ],
)
def test_a_refusal_names_the_handler_and_the_parameter(
    handler: Callable[..., Any], message: type, parameter: str, why: str
) -> None:
    with pytest.raises(SignatureInvalid) as refused:
        read_signature(handler, message)
    text = str(refused.value)
    assert handler.__qualname__ in text
    assert parameter in text
    assert why in text


# ------------------------------------------------------------------ what can be asked for


def everything(
    sending: SendParcel | ParcelPacked,
    now: datetime,
    cause: Cause,
    account: Account,
    parcel: Parcel | None,
    parcels: Rows[Parcel],
    first_two: Annotated[Rows[Crate], Named(ids=lambda sending: (f"{sending.parcel_id}:{n}" for n in (1, 2)))],
    tariff: Annotated[Tariff | None, Named(owner="platform")],
    crate: Annotated[Crate | None, Named(ids=lambda sending: f"c:{sending.parcel_id}")],
    calendar: Calendar,
) -> Iterator[Yielded]:
    yield from ()


def test_every_kind_of_parameter_is_understood() -> None:
    message = SendParcel(buyer_id="ann", parcel_id="p1", price=1)
    now, cause, account, parcel, parcels, first_two, tariff, crate, calendar = read_signature(
        everything, SendParcel
    ).needs
    assert (now, cause, calendar) == (Special("now"), Special("cause"), Resource(Calendar))
    assert isinstance(parcels, AllLive)
    assert parcels.owner_of(message) == "ann"
    for need, required, many, locked, ids in [
        (account, True, False, True, ["ann"]),
        (parcel, False, False, True, ["p1"]),
        (first_two, False, True, True, ["p1:1", "p1:2"]),
        (tariff, False, False, False, ["platform"]),
        (crate, False, False, True, ["c:p1"]),
    ]:
        assert isinstance(need, ById)
        assert (need.required, need.many, need.locked, list(need.ids_of(message))) == (required, many, locked, ids)
    assert read_signature(everything, ParcelPacked).message is ParcelPacked


def test_an_id_that_is_not_stated_names_no_row() -> None:
    @dataclass(frozen=True, slots=True)
    class Look(Due, subject="buyer_id"):
        buyer_id: str
        crate_id: str | None = None

    def look(due: Look, crate: Crate | None) -> Iterator[Yielded]:
        yield from ()

    look.__annotations__ = {"due": Look, "crate": Crate | None}
    (crate,) = read_signature(look, Look).needs
    assert isinstance(crate, ById)
    assert list(crate.ids_of(Look("ann"))) == []


# ------------------------------------------------------------------ registration


def test_a_message_has_one_handler_and_a_command_one_service() -> None:
    shop = Service("shop", rejected=TillRejected)
    with pytest.raises(TypeError, match="SendParcel is a command of till, not of shop"):
        shop.on(SendParcel)(lambda: None)
    with pytest.raises(TypeError, match=r"till already reacts to SendParcel: .*send_parcel"):
        till.on(SendParcel)(lambda: None)


def test_a_service_knows_what_it_reads_emits_keeps_and_lacks() -> None:
    assert till.topics == ("depot.events", "till.commands")
    assert {AccountOpened, TillRejected} <= till.emits
    assert till.row_types == (Account, Parcel, Tariff)
    assert till.due_kinds == {"REMIND": Remind}
    assert list(till.missing_resources()) == []
    shop = Service("shop", rejected=TillRejected)

    @shop.on(ParcelPacked)
    def pack(packed: ParcelPacked, calendar: Calendar) -> Iterator[Yielded]:
        yield from ()

    assert [one.rpartition(".")[2] for one in shop.missing_resources()] == ["pack: Calendar"]
    shop.provide(Calendar("Asia/Shanghai"))
    assert list(shop.missing_resources()) == []


def test_entries_and_rows_have_an_owner() -> None:
    assert issubclass(Booking, Entry)
    assert (Booking.TABLE, Booking.OWNER) == ("booking", "buyer_id")
    assert Parcel("ann", "p1", "SENT", 1, "").identity() == ("ann", "p1")
    assert repr(Rows([Account("ann", 1)])) == "Rows([Account(buyer_id='ann', balance=1, seen=())])"
