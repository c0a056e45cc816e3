"""One small service on memory ports: every outcome a message can have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.contracts.message import Event
from shared.engine.breaker import LineStopped
from shared.engine.ports import Word
from shared.testing.world import World
from tests.engine.till import (
    Account,
    AccountOpened,
    OpenAccount,
    Parcel,
    ParcelDone,
    ParcelPacked,
    ParcelSent,
    ParcelWeighed,
    Reminded,
    SendParcel,
    SetTariff,
    TillRejected,
    till,
)

NOON = datetime(2027, 3, 1, 4, tzinfo=UTC)
ANN = OpenAccount(buyer_id="ann", currency="CNY", balance=1000)


def sending(parcel_id: str = "p1", *, buyer_id: str = "ann", price: int = 100, note: str = "") -> SendParcel:
    return SendParcel(buyer_id=buyer_id, parcel_id=parcel_id, price=price, note=note)


@pytest.fixture
async def world() -> World:
    return await World(till, start=NOON, breaker_keys=3).start()


async def codes(world: World) -> list[str]:
    return [one.code for one in await world.events(TillRejected)]


async def test_a_command_saves_rows_and_publishes_its_event(world: World) -> None:
    await world.tell(ANN, sending())
    assert world.rows(till, Account) == [Account("ann", 900, ("p1",))]
    assert [one.left for one in await world.events(ParcelSent)] == [900]


async def test_every_event_names_its_cause(world: World) -> None:
    first = await world.publish(ANN)
    await world.settle()
    (opened,) = [one for one in await world.told("till.events") if isinstance(one.message, AccountOpened)]
    assert (opened.envelope.causation_id, opened.envelope.correlation_id) == (first, first)
    assert opened.envelope.time == NOON


async def test_a_rejected_command_changes_nothing_and_is_answered_with_its_code(world: World) -> None:
    await world.tell(ANN, sending(price=2000), sending(buyer_id="bob"))
    assert world.rows(till, Account) == [Account("ann", 1000)]
    assert await codes(world) == ["BALANCE_TOO_LOW", "UNKNOWN_ACCOUNT"]


async def test_the_same_id_and_content_has_no_second_effect(world: World) -> None:
    await world.tell(ANN)
    same = "11111111-1111-4111-8111-111111111111"
    for _ in range(2):
        await world.publish(sending(), id=same)
    await world.settle()
    await world.publish(sending(), id=same)
    await world.settle()
    assert len(await world.events(ParcelSent)) == 1
    assert await codes(world) == []


async def test_the_same_id_with_other_content_is_answered_id_reused(world: World) -> None:
    await world.tell(ANN)
    same = "11111111-1111-4111-8111-111111111111"
    await world.publish(sending(), id=same)
    await world.publish(sending("p2"), id=same)
    await world.settle()
    await world.publish(sending("p3"), id=same)
    await world.settle()
    assert await codes(world) == ["ID_REUSED", "ID_REUSED"]
    assert [one.parcel_id for one in world.rows(till, Parcel)] == ["p1"]


async def test_a_new_id_with_the_same_content_is_already_done(world: World) -> None:
    later = sending().model_copy(update={"occurred_at": NOON})
    await world.tell(ANN, sending(), later, sending(price=5))
    assert await codes(world) == ["ALREADY_DONE", "ALREADY_EXISTS"]


async def test_another_owners_rows_are_read_as_they_stand(world: World) -> None:
    await world.tell(SetTariff(merchant_id="platform", fee=7), ANN, sending())
    assert [one.fee for one in await world.events(ParcelSent)] == [7]


async def test_deadlines_come_up_at_their_instants_and_are_called_off(world: World) -> None:
    await world.tell(ANN, sending("p1"), sending("p2"))
    await world.advance(timedelta(minutes=61))
    assert [(one.parcel_id, one.open_parcels) for one in await world.events(Reminded)] == [("p1", 2), ("p2", 2)]
    await depot(world, ParcelWeighed(buyer_id="ann", parcel_id="p1", weight=3))
    await world.advance(timedelta(hours=5))
    assert [one.parcel_id for one in await world.events(Reminded)] == ["p1", "p2", "p2", "p2"]
    reminded = [one.envelope for one in await world.told("till.events") if isinstance(one.message, Reminded)]
    assert [one.time for one in reminded if one.subject == "p2"] == [NOON + timedelta(hours=n) for n in (1, 2, 3)]
    assert {one.deadline for one in reminded} == {"REMIND"}


async def test_a_deadline_armed_in_the_past_runs_right_after_its_message(world: World) -> None:
    await world.tell(ANN, sending(note="late"))
    assert world.rows(till, Parcel)[0].reminders == 2  # at NOON - 1 h and NOON; the next is an hour ahead


async def depot(world: World, *facts: Event) -> None:
    """The depot says something."""
    for fact in facts:
        world._published += 1
        await world.publish(fact)  # type: ignore[arg-type]
    await world.settle()


async def test_an_event_that_overtook_its_cause_is_applied_right_after_it(world: World) -> None:
    await depot(world, ParcelPacked(buyer_id="ann", parcel_id="p1", box="a"))
    await depot(world, ParcelPacked(buyer_id="ann", parcel_id="p1", box="b"))
    await depot(world, ParcelWeighed(buyer_id="ann", parcel_id="p1", weight=9))
    assert await world.events(ParcelDone) == []
    await world.tell(ANN, sending())
    assert world.rows(till, Account)[0].seen == ("p1", "p1:a", "p1:b")
    assert world.rows(till, Parcel)[0].status == "DONE"
    standing = await world.members["till"].database.standing()
    assert standing.waiting == 0
    assert standing.outbox_rows == 0


async def test_an_event_whose_row_never_comes_is_a_dead_letter_after_seven_days(world: World) -> None:
    await depot(world, ParcelPacked(buyer_id="ann", parcel_id="p1", box="a"))
    await world.advance(timedelta(days=6, hours=23))
    assert await dead(world) == []
    await world.advance(timedelta(hours=2))
    assert await dead(world) == ["ROW_NEVER_CAME"]
    await world.tell(ANN)  # nobody is parked by it
    assert len(await world.events(AccountOpened)) == 1


async def dead(world: World) -> list[str]:
    return [one.reason for one in await world.members["till"].database.dead_letters(100)]


async def test_a_raising_handler_parks_its_buyer_only(world: World) -> None:
    bob = OpenAccount(buyer_id="bob", currency="CNY", balance=50)
    await world.tell(ANN, bob, sending("p1", note="crash"), sending("p2"), sending("p3", buyer_id="bob", price=1))
    assert [one.parcel_id for one in await world.events(ParcelSent)] == ["p3"]
    (letter,) = await world.members["till"].database.dead_letters(10)
    assert (letter.reason, letter.key) == ("HANDLER_FAILED", "ann")
    assert "ZeroDivisionError" in letter.detail
    notices = await world.told("till.dlq")
    assert [one.envelope.key for one in notices] == ["ann"]


async def test_a_discarded_dead_letter_is_answered_and_the_rest_goes_on_in_order(world: World) -> None:
    await world.tell(ANN, sending("p1", note="crash"), sending("p2"), sending("p3"))
    await speak(world, Word.DISCARD)
    assert await codes(world) == ["DISCARDED"]
    assert [one.parcel_id for one in await world.events(ParcelSent)] == ["p2", "p3"]


async def speak(world: World, word: Word) -> None:
    database = world.members["till"].database
    (letter,) = [one for one in await database.dead_letters(10) if one.parks]
    assert await database.speak(letter.seq, word)
    await world.settle()


async def test_a_redriven_dead_letter_runs_again_then_the_rest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.tell(ANN, sending("p1", note="crash"), sending("p2"), sending("p3", note="crash"), sending("p4"))
    await speak(world, Word.REDRIVE)
    assert await world.events(ParcelSent) == []  # the mistake is still there
    assert await dead(world) == ["HANDLER_FAILED"]
    monkeypatch.setattr("tests.engine.till.ZeroDivisionError", NotImplementedError, raising=False)
    await speak(world, Word.DISCARD)
    assert [one.parcel_id for one in await world.events(ParcelSent)] == ["p2"]  # p3 parks the buyer again
    await speak(world, Word.DISCARD)
    assert [one.parcel_id for one in await world.events(ParcelSent)] == ["p2", "p4"]


async def test_the_deadlines_of_a_parked_buyer_stand_still(world: World) -> None:
    await world.tell(ANN, sending("p1"), sending("p2", note="crash"))
    await world.advance(timedelta(hours=2))
    assert await world.events(Reminded) == []
    await speak(world, Word.DISCARD)
    reminded = [one.envelope.time for one in await world.told("till.events") if isinstance(one.message, Reminded)]
    assert reminded == [NOON + timedelta(hours=1), NOON + timedelta(hours=2)]


async def test_a_failing_deadline_is_a_dead_letter_that_can_be_discarded(world: World) -> None:
    await world.tell(ANN, sending("p1", note="crash reminding"))
    await world.advance(timedelta(hours=1))
    assert await dead(world) == ["HANDLER_FAILED"]
    await world.tell(sending("p2"))
    assert [one.parcel_id for one in await world.events(ParcelSent)] == ["p1"]
    await speak(world, Word.DISCARD)
    assert [one.parcel_id for one in await world.events(ParcelSent)] == ["p1", "p2"]


async def test_a_dead_letter_is_storable_whatever_killed_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def quote(note: str) -> None:
        raise ValueError(f"cannot read {note!s}: \0 \ud800")

    monkeypatch.setattr("tests.engine.till.stumble", quote)
    await world.tell(ANN, sending())
    (letter,) = await world.members["till"].database.dead_letters(10)
    assert letter.reason == "HANDLER_FAILED"
    assert "\0" not in letter.detail


async def test_a_command_without_an_outcome_is_a_failure(world: World) -> None:
    await world.tell(ANN, sending(note="say nothing"))
    assert await dead(world) == ["HANDLER_FAILED"]


async def test_data_the_database_refuses_is_a_dead_letter_and_its_neighbours_are_saved(world: World) -> None:
    buyers = [f"b{n}" for n in range(20)]
    for buyer in buyers:
        await world.publish(OpenAccount(buyer_id=buyer, currency="CNY", balance=100))
    for buyer in buyers:
        await world.publish(sending("p", buyer_id=buyer, price=1, note="overflow" if buyer == "b7" else ""))
    await world.settle()
    assert len(await world.events(ParcelSent)) == 19
    (letter,) = await world.members["till"].database.dead_letters(10)
    assert (letter.key, letter.reason) == ("b7", "DATA_REFUSED")


async def test_many_keys_failing_alike_stop_the_line_and_nothing_is_lost(world: World) -> None:
    for n in range(5):
        await world.publish(OpenAccount(buyer_id=f"b{n}", currency="CNY", balance=100))
    await world.settle()
    for n in range(5):
        await world.publish(sending("p", buyer_id=f"b{n}", price=1, note="crash"))
    with pytest.raises(LineStopped):
        await world.settle()
    assert await dead(world) == []
    with pytest.raises(LineStopped):
        await world.settle()
