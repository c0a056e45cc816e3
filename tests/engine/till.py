"""A small service that uses everything the engine offers: the till of a parcel depot.

A buyer opens an account, sends parcels against its balance, and is reminded of each; another service says when a parcel
was packed (possibly before the till knows of it) and weighed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated

from shared.contracts.fields import ChosenId, Currency, Instant, Money, Text
from shared.contracts.message import Command, Event, Rejection
from shared.engine.service import Service, Yielded
from shared.engine.vocabulary import Cause, Deadline, Disarm, Due, Entry, Live, Named, Rejected, Row, Rows

REMIND_AFTER = timedelta(hours=1)


class OpenAccount(Command, service="till", subject="buyer_id"):
    buyer_id: ChosenId
    currency: Currency
    balance: Money


class SendParcel(Command, service="till", subject="parcel_id", not_content=("occurred_at",)):
    buyer_id: ChosenId
    parcel_id: ChosenId
    price: Money
    note: Text = ""
    occurred_at: Instant | None = None


class SetTariff(Command, service="till", subject="merchant_id", key="merchant_id"):
    merchant_id: ChosenId
    fee: Money


class AccountOpened(Event, service="till", subject="buyer_id"):
    buyer_id: ChosenId
    balance: Money


class ParcelSent(Event, service="till", subject="parcel_id"):
    buyer_id: ChosenId
    parcel_id: ChosenId
    fee: Money
    left: int


class Reminded(Event, service="till", subject="parcel_id"):
    buyer_id: ChosenId
    parcel_id: ChosenId
    open_parcels: int


class ParcelDone(Event, service="till", subject="parcel_id"):
    buyer_id: ChosenId
    parcel_id: ChosenId
    weight: int


class TariffSet(Event, service="till", subject="merchant_id", key="merchant_id"):
    merchant_id: ChosenId
    fee: Money


class TillRejected(Rejection, service="till", subject="command_id"):
    """The till refuses a command."""


class ParcelPacked(Event, service="depot", subject="parcel_id"):
    buyer_id: ChosenId
    parcel_id: ChosenId
    box: Text


class ParcelWeighed(Event, service="depot", subject="parcel_id"):
    buyer_id: ChosenId
    parcel_id: ChosenId
    weight: int


@dataclass(frozen=True, slots=True)
class Account(Row, table="account", unknown="UNKNOWN_ACCOUNT"):
    buyer_id: str
    balance: int
    seen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parcel(Row, table="parcel", id="parcel_id", unknown="UNKNOWN_PARCEL", live=Live.when("status", "SENT", "PACKED")):
    buyer_id: str
    parcel_id: str
    status: str
    price: int
    content: str
    note: str = ""
    reminders: int = 0


@dataclass(frozen=True, slots=True)
class Tariff(Row, table="tariff", owner="merchant_id"):
    merchant_id: str
    fee: int


@dataclass(frozen=True, slots=True)
class Booking(Entry, table="booking"):
    buyer_id: str
    parcel_id: str
    amount: int
    cause_id: str


@dataclass(frozen=True, slots=True)
class Remind(Due, subject="parcel_id"):
    buyer_id: str
    parcel_id: str


till = Service("till", rejected=TillRejected, emits=(AccountOpened, ParcelSent, Reminded, ParcelDone, TariffSet))


@till.on(OpenAccount)
def open_account(opening: OpenAccount, account: Account | None) -> Iterator[Yielded]:
    if account is not None:
        raise Rejected("ALREADY_EXISTS", balance=account.balance)
    yield Account(opening.buyer_id, opening.balance)
    yield AccountOpened(buyer_id=opening.buyer_id, balance=opening.balance)


@till.on(SetTariff)
def set_tariff(setting: SetTariff, tariff: Tariff | None) -> Iterator[Yielded]:
    yield Tariff(setting.merchant_id, setting.fee)
    yield TariffSet(merchant_id=setting.merchant_id, fee=setting.fee)


def stumble(note: str) -> None:
    """A mistake in the code that some parcels meet; a build without it replaces this function."""
    if note == "crash":
        raise ZeroDivisionError("a mistake in the code")


@till.on(SendParcel)
def send_parcel(
    sending: SendParcel,
    now: datetime,
    cause: Cause,
    account: Account,
    parcel: Parcel | None,
    tariff: Annotated[Tariff | None, Named(owner="platform")],
) -> Iterator[Yielded]:
    if parcel is not None:
        raise Rejected("ALREADY_DONE" if parcel.content == cause.content else "ALREADY_EXISTS", status=parcel.status)
    stumble(sending.note)
    if sending.note == "say nothing":
        return
    fee = tariff.fee if tariff else 0
    if account.balance < sending.price + fee:
        raise Rejected("BALANCE_TOO_LOW", balance=account.balance)
    left = 2**70 if sending.note == "overflow" else account.balance - sending.price - fee
    yield replace(account, balance=left, seen=(*account.seen, sending.parcel_id))
    yield Parcel(sending.buyer_id, sending.parcel_id, "SENT", sending.price, cause.content, sending.note)
    yield Booking(sending.buyer_id, sending.parcel_id, -sending.price - fee, cause.id)
    yield ParcelSent(buyer_id=sending.buyer_id, parcel_id=sending.parcel_id, fee=fee, left=left)
    wait = timedelta(hours=-1) if sending.note == "late" else REMIND_AFTER
    yield Deadline(now + wait, Remind(sending.buyer_id, sending.parcel_id))


@till.on(Remind)
def remind(due: Remind, now: datetime, parcel: Parcel, parcels: Rows[Parcel]) -> Iterator[Yielded]:
    if parcel.note.endswith(" reminding"):
        stumble(parcel.note.removesuffix(" reminding"))
    yield replace(parcel, reminders=2**70 if parcel.note == "overflow reminding" else parcel.reminders + 1)
    yield Reminded(buyer_id=due.buyer_id, parcel_id=due.parcel_id, open_parcels=len(parcels))
    if parcel.reminders < 2:
        yield Deadline(now + REMIND_AFTER, due)


@till.on(ParcelPacked)
def pack(packed: ParcelPacked, parcel: Parcel, account: Account) -> Iterator[Yielded]:
    yield replace(parcel, status="PACKED")
    yield replace(account, seen=(*account.seen, f"{packed.parcel_id}:{packed.box}"))


@till.on(ParcelWeighed)
def weigh(weighed: ParcelWeighed, parcel: Parcel) -> Iterator[Yielded]:
    yield replace(parcel, status="DONE")
    yield ParcelDone(buyer_id=weighed.buyer_id, parcel_id=weighed.parcel_id, weight=weighed.weight)
    yield Disarm(Remind, weighed.parcel_id)
