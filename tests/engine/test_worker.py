"""A process's share of the work: lanes come and go, processes die in the middle, the line stops and runs again."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from shared.drivers.faults import Point
from shared.engine.breaker import LineStopped
from shared.engine.ports import Line, Unavailable, Word
from shared.kernel.partition import home_partition
from shared.testing.world import PARTITIONS, World
from tests.engine.till import OpenAccount, ParcelSent, Reminded, SendParcel, till

NOON = datetime(2027, 3, 1, 4, tzinfo=UTC)
BUYERS = [f"b{n}" for n in range(6)]

SILENCE = Unavailable("just now")


class Killed(BaseException):
    """The process is gone; nothing of it runs any more."""


@pytest.fixture
async def world() -> World:
    """Six buyers with accounts."""
    world = await World(till, start=NOON, breaker_keys=3).start()
    await world.tell(*(OpenAccount(buyer_id=buyer, currency="CNY", balance=100) for buyer in BUYERS))
    return world


def sending(buyer: str, note: str = "", parcel_id: str = "p1") -> SendParcel:
    return SendParcel(buyer_id=buyer, parcel_id=parcel_id, price=1, note=note)


async def dead(world: World) -> list[tuple[str, str]]:
    return [(one.key, one.reason) for one in await world.members["till"].database.dead_letters(100)]


def kill_on_deadly(note: str) -> None:
    """In place of the toy's mistakes: this one ends the process."""
    if note == "deadly":
        raise Killed


async def test_a_record_that_ends_its_process_is_a_dead_letter_and_its_neighbours_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.engine.till.stumble", kill_on_deadly)
    member = world.members["till"]
    for buyer in BUYERS:
        await world.publish(sending(buyer, "deadly" if buyer == "b3" else ""))
    deaths = 0
    while deaths < 10:
        await member.restart()
        try:
            await world.settle()
            break
        except Killed:
            deaths += 1
    assert deaths == 3
    assert await dead(world) == [("b3", "PROCESS_KILLED")]
    assert {one.buyer_id for one in await world.events(ParcelSent)} == {"b0", "b1", "b2", "b4", "b5"}


async def test_suspicion_outlasts_records_that_were_handled_and_come_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies has not committed its offsets: the next one is handed what stood before the record, too."""
    monkeypatch.setattr("tests.engine.till.stumble", kill_on_deadly)
    member = world.members["till"]
    for parcel_id, note in (("p1", ""), ("p2", "deadly"), ("p3", "")):
        await world.publish(sending("b0", note, parcel_id))
    lane = await world.log.read("till.commands", home_partition("b0", PARTITIONS), 0, 100)
    for _ in range(3):
        await member.restart()
        with pytest.raises(Killed):
            await member.worker.handle(lane)
    await member.restart()
    await member.worker.handle(lane)
    assert await dead(world) == [("b0", "PROCESS_KILLED")]


@pytest.mark.parametrize("followed", [False, True], ids=["alone", "before-a-record-of-its-key"])
async def test_a_deadline_that_ends_its_process_is_a_dead_letter_and_its_neighbours_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch, followed: bool
) -> None:
    """It parks its buyer like any other; the record before which it comes up is not to blame and waits behind it."""
    monkeypatch.setattr("tests.engine.till.stumble", kill_on_deadly)
    await world.tell(*(sending(buyer, "deadly reminding" if buyer == "b3" else "") for buyer in BUYERS))
    world.clock.advance(await world.clock.now() + timedelta(hours=1))
    if followed:
        await world.publish(sending("b3", parcel_id="p2"))
    deaths = 0
    while deaths < 10:
        try:
            await world.settle()
            break
        except Killed:
            deaths += 1
            await world.members["till"].restart()
    assert deaths <= 5
    assert await dead(world) == [("b3", "PROCESS_KILLED")]
    assert {one.buyer_id for one in await world.events(Reminded)} == {*BUYERS} - {"b3"}
    assert [one.parcel_id for one in await world.events(ParcelSent) if one.buyer_id == "b3"] == ["p1"]
    monkeypatch.undo()
    member = world.members["till"]
    [letter] = await member.database.dead_letters(10)
    await member.database.speak(letter.seq, Word.REDRIVE)
    await world.settle()
    assert "b3" in {one.buyer_id for one in await world.events(Reminded)}
    assert len([one for one in await world.events(ParcelSent) if one.buyer_id == "b3"]) == 1 + followed


async def test_a_process_restarted_while_the_line_is_stopped_suspects_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turns that end badly have ended: only the death of a process in the middle of one counts."""
    for buyer in BUYERS:
        await world.publish(sending(buyer, "crash"))
    for _ in range(5):
        await world.members["till"].restart()
        with pytest.raises(LineStopped):
            await world.settle()
    monkeypatch.setattr("tests.engine.till.stumble", kill_on_deadly)
    await world.members["till"].database.stop_line(Line(resumed_at=NOON))
    await world.settle()
    assert await dead(world) == []
    assert len(await world.events(ParcelSent)) == len(BUYERS)


async def test_a_process_without_anything_to_read_knows_that_the_line_is_stopped(world: World) -> None:
    member = world.members["till"]
    await member.database.stop_line(Line(stopped=True, reason="a mistake", build="world"))
    with pytest.raises(LineStopped, match="a mistake"):
        await member.worker.idle()
    await member.database.stop_line(Line(stopped=True, reason="a mistake", build="another"))
    await member.restart()
    await world.tell(sending("b0"))
    assert len(await world.events(ParcelSent)) == 1


async def test_the_breaker_stops_the_line_for_deadlines_too(world: World) -> None:
    await world.tell(*(sending(buyer, "crash reminding") for buyer in BUYERS))
    with pytest.raises(LineStopped):
        await world.advance(timedelta(hours=1))
    assert await dead(world) == []


async def test_data_the_database_refuses_of_a_deadline_is_its_own_dead_letter(world: World) -> None:
    await world.tell(*(sending(buyer, "overflow reminding" if buyer == "b1" else "") for buyer in BUYERS))
    await world.advance(timedelta(hours=1))
    assert await dead(world) == [("b1", "DATA_REFUSED")]
    assert sorted(one.buyer_id for one in await world.events(Reminded)) == [buyer for buyer in BUYERS if buyer != "b1"]


async def test_lanes_that_are_given_up_take_their_acknowledged_messages_along(world: World) -> None:
    member = world.members["till"]
    await world.publish(sending("b0"))
    await member.step()
    assert (await member.database.standing()).outbox_rows > 0
    home = home_partition("b0", PARTITIONS)
    member.database.faults.fail_next(Point.BEGIN, Unavailable("just now"))
    with pytest.raises(Unavailable):
        await member.worker.revoke([home])
    assert member.worker.lanes == sorted({0, 1, 2} - {home})
    await member.worker.revoke(range(3))
    await member.worker.revoke(range(3))
    assert member.worker.lanes == []
    assert await member.worker.idle() is False
    await member.join()
    await world.settle()
    assert (await member.database.standing()).outbox_rows == 0
    sent = [one.envelope.id for one in await world.told("till.events") if isinstance(one.message, ParcelSent)]
    assert len(set(sent)) == 1  # possibly twice, under one id


async def test_ids_are_forgotten_by_their_age_on_the_log_however_fast_business_time_runs(world: World) -> None:
    worker = world.members["till"].worker
    await world.advance(timedelta(days=40))
    assert await worker.forget(timedelta(days=1)) == 0
    world.clock.elapse(timedelta(days=2))
    await world.tell(sending("b0"))
    assert await worker.forget(timedelta(days=1)) == len(BUYERS)


async def test_an_unreadable_record_without_an_id_is_known_by_its_place_when_it_is_read_again(world: World) -> None:
    member = world.members["till"]
    world.log.append("till.commands", 0, b"b0", b"no headers")
    await world.settle()
    [letter] = await member.database.dead_letters(10)
    await member.database.speak(letter.seq, Word.DISCARD)
    await world.settle()
    member.database.empty_positions()
    await member.restart()
    await world.settle()
    assert await dead(world) == []
    world.log.append("till.commands", 0, b"b0", b"no headers")
    await world.settle()
    assert [reason for _, reason in await dead(world)] == ["SPEC_VERSION"]


@pytest.mark.parametrize("failures", [0, 1])
async def test_what_a_record_in_anothers_partition_says_stays_in_nobodys_outbox(world: World, failures: int) -> None:
    """One process reads the record, another owns the lane of its key; the log may refuse what it says at first."""
    member = world.members["till"]
    readers = [member.worker, member._new_worker()]
    for reader, lanes in zip(readers, ([0], [1, 2]), strict=True):
        await reader.revoke(range(PARTITIONS))
        await reader.assign(lanes)
    stray = next(buyer for buyer in BUYERS if home_partition(buyer, PARTITIONS) != 0)
    written = await world.publish(sending(stray))
    lane = home_partition(stray, PARTITIONS)
    [*_, record] = await world.log.read("till.commands", lane, 0, 1_000)
    world.log.append("till.commands", 0, record.key, record.value, list(record.headers))
    for reader in readers:
        await reader.idle()
    world.log.faults.fail_next(Point.PUBLISH, *[SILENCE] * failures)
    with suppress(Unavailable):
        await readers[0].handle((await world.log.read("till.commands", 0, 0, 1_000))[-1:])
    for reader in readers:
        await reader.idle()
    assert (await member.database.standing()).outbox_rows == 0
    told = [one.envelope.causation_id for one in await world.told("till.events")]
    assert told.count(written) == 1


async def test_what_a_deadline_says_is_published_though_nobody_heard_that_it_was_committed(world: World) -> None:
    """No record will be read again, and nothing is due any more: the lane itself must be remembered."""
    member = world.members["till"]
    await world.tell(sending("b0", "reminding"))
    world.clock.advance(await world.clock.now() + timedelta(hours=1))
    looking, taking_the_turn = None, SILENCE
    member.database.faults.fail_next(Point.COMMITTED, looking, taking_the_turn)
    await world.settle()
    assert [one.buyer_id for one in await world.events(Reminded)] == ["b0"]
    assert (await member.database.standing()).outbox_rows == 0


async def test_an_outbox_the_log_does_not_take_does_not_grow(world: World) -> None:
    """What is left over is published before anything is added to it, by records or by time."""
    member = world.members["till"]
    for buyer in BUYERS:
        await world.publish(sending(buyer, "reminding"))
    world.log.faults.fail_next(Point.PUBLISH, *[SILENCE] * 20)
    member._records = 1
    for _ in range(10):
        await member.step()
    with suppress(Unavailable):
        await member.worker.idle()
    assert (await member.database.standing()).outbox_rows == 1
    await world.settle()
    assert sorted(one.buyer_id for one in await world.events(ParcelSent)) == BUYERS
