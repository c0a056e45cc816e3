"""Held messages: deadlines, early events and dead letters, what parks a key and what comes due; on both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.engine.ports import DataRefused, Held, Until, Word
from tests.drivers.plans import HOUR, NOON, behind, changes, dead, deadline, early

LATE = NOON + 1000 * HOUR


async def save(database: Any, **what: Any) -> None:
    async with database.turn() as turn:
        await turn.save(changes(**what))


async def held(database: Any, *keys: str, horizon: Any = LATE) -> list[Held]:
    async with database.turn() as turn:
        found: list[Held] = await turn.held(keys, horizon)
        return found


async def due(database: Any, horizons: Any, waiting_since: Any = None, limit: int = 100) -> list[str]:
    async with database.turn() as turn:
        found: list[str] = await turn.due(horizons, waiting_since or {}, limit)
        return found


async def test_a_held_message_comes_back_as_it_was(database: Any) -> None:
    full = deadline("b-1", NOON, lane=7, id="i", cause_id="c", correlation_id="r", traceparent="00-a-b-01")
    await save(database, armed=[full])
    assert await held(database, "b-1") == [replace(full, seq=1)]


async def test_arming_again_replaces_and_keeps_the_place(database: Any) -> None:
    await save(database, armed=[deadline("b-1", NOON), deadline("b-1", NOON, subject="o-2")])
    await save(database, armed=[deadline("b-1", NOON + HOUR, id="again", message='{"v":2}')])
    first, second = await held(database, "b-1")
    assert first == deadline("b-1", NOON + HOUR, id="again", message='{"v":2}', seq=first.seq)
    assert first.seq < second.seq


async def test_deadlines_of_other_kinds_subjects_and_keys_stand_side_by_side(database: Any) -> None:
    armed = [
        deadline("b-1", NOON),
        deadline("b-1", NOON, subject="o-2"),
        deadline("b-1", NOON, kind="REMIND"),
        deadline("b-2", NOON),
    ]
    await save(database, armed=armed)
    assert len(await held(database, "b-1", "b-2")) == 4


async def test_disarming_removes_one_deadline_and_is_harmless_where_there_is_none(database: Any) -> None:
    await save(database, armed=[deadline("b-1", NOON), deadline("b-1", NOON, subject="o-2")])
    await save(database, disarmed=[("b-1", "COLLECT", "o-1"), ("b-1", "COLLECT", "o-9"), ("b-2", "COLLECT", "o-2")])
    assert [one.subject for one in await held(database, "b-1")] == ["o-2"]


async def test_a_deadline_that_fired_can_be_armed_again_in_the_same_turn(database: Any) -> None:
    await save(database, armed=[deadline("b-1", NOON)])
    [fired] = await held(database, "b-1")
    await save(database, released=[fired.seq], armed=[deadline("b-1", NOON + HOUR)])
    [again] = await held(database, "b-1")
    assert again.due_at == NOON + HOUR
    await save(database, disarmed=[("b-1", "COLLECT", "o-1")], armed=[deadline("b-1", NOON + 2 * HOUR)])
    assert [one.due_at for one in await held(database, "b-1")] == [NOON + 2 * HOUR]


async def test_deadlines_are_held_back_until_the_horizon_and_everything_else_is_not(database: Any) -> None:
    await save(database, armed=[deadline("b-1", NOON), deadline("b-1", NOON + HOUR, subject="later")])
    await save(database, held=[early("b-1"), dead("b-1"), behind("b-1"), early("b-2")])
    found = await held(database, "b-1", "b-3", horizon=NOON)
    assert [one.until for one in found] == [Until.TIME, Until.ROW, Until.OPERATOR]
    assert await held(database, horizon=NOON) == []


async def test_messages_are_held_in_the_order_they_came(database: Any) -> None:
    await save(database, held=[early("b-1", id=f"{number}") for number in (3, 1, 2)])
    await save(database, held=[early("b-1", id="0")])
    assert [one.id for one in await held(database, "b-1")] == ["3", "1", "2", "0"]


async def test_what_waits_for_something_else_now_keeps_its_place(database: Any) -> None:
    await save(database, held=[early("b-1", id="first"), early("b-1", id="second")])
    first, second = await held(database, "b-1")
    await save(database, held=[early("b-1", id="new"), replace(first, waits_for="bill/x")])
    assert [(one.id, one.waits_for) for one in await held(database, "b-1")] == [
        ("first", "bill/x"),
        ("second", "plan/o-1"),
        ("new", "plan/o-1"),
    ]
    letter = replace(second, until=Until.OPERATOR, waits_for="", reason="HANDLER_FAILED", detail="…", fingerprint="f")
    await save(database, held=[letter])
    assert (await held(database, "b-1"))[1] == letter


async def test_a_deadline_that_failed_becomes_a_dead_letter_and_frees_its_slot(database: Any) -> None:
    await save(database, armed=[deadline("b-1", NOON)])
    [failed] = await held(database, "b-1")
    await save(
        database,
        held=[replace(failed, until=Until.OPERATOR, reason="HANDLER_FAILED", fingerprint="f")],
        armed=[deadline("b-2", NOON)],
    )
    await save(database, armed=[deadline("b-1", NOON + HOUR)])
    assert [one.until for one in await held(database, "b-1")] == [Until.OPERATOR, Until.TIME]


async def test_what_waits_no_longer_is_gone(database: Any) -> None:
    await save(database, held=[early("b-1"), early("b-1", id="stays")])
    first, _ = await held(database, "b-1")
    await save(database, released=[first.seq, 999])
    assert [one.id for one in await held(database, "b-1")] == ["stays"]


async def test_what_is_parked_behind_a_dead_letter_is_asked_for_by_itself(database: Any) -> None:
    await save(database, held=[dead("b-1"), behind("b-1", id="1"), behind("b-2"), behind("b-1", id="2")])
    async with database.turn() as turn:
        assert [one.id for one in await turn.behind("b-1")] == ["1", "2"]
        assert await turn.behind("b-3") == []


async def test_an_unreadable_record_can_be_kept_whatever_its_key(database: Any) -> None:
    long_key = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(9000))
    await save(database, held=[dead(long_key, fingerprint=""), dead("", fingerprint="")])
    assert [one.key for one in await held(database, long_key, "")] == [long_key, ""]


IMPOSSIBLE = {
    "a deadline without a time": replace(deadline("b-1", NOON), due_at=None),
    "an early event that waits for nothing": early("b-1", waits_for=""),
    "a dead letter without a reason": replace(dead("b-1"), reason=""),
    "a word about something that is not a dead letter": replace(early("b-1"), word=Word.REDRIVE),
    "an explanation without end": replace(dead("b-1"), detail="x" * 4001),
    "a key with a NUL": early("b\0"),
    "a lane below zero": early("b-1", lane=-1),
}


@pytest.mark.parametrize("impossible", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
async def test_an_impossible_held_message_is_refused(database: Any, impossible: Held) -> None:
    with pytest.raises(DataRefused):
        await save(database, held=[impossible])


async def test_keys_are_due_up_to_the_horizon_of_their_lane(database: Any) -> None:
    armed = [
        deadline("b-1", NOON, lane=1),
        deadline("b-1", NOON, lane=1, subject="o-2"),
        deadline("b-2", NOON + HOUR, lane=1),
        deadline("b-3", NOON + HOUR, lane=2),
        deadline("b-4", NOON - HOUR, lane=3),
    ]
    await save(database, armed=armed)
    assert await due(database, {1: NOON, 2: NOON + HOUR}) == ["b-1", "b-3"]
    assert await due(database, {1: NOON + HOUR, 2: NOON, 3: NOON}) == ["b-4", "b-1", "b-2"]
    assert await due(database, {}) == []


async def test_no_more_keys_are_due_than_asked_for_and_the_earliest_come_first(database: Any) -> None:
    await save(database, armed=[deadline(f"b-{n}", NOON + n * HOUR, lane=n % 2) for n in range(6)])
    assert await due(database, {0: LATE, 1: LATE}, limit=3) == ["b-0", "b-1", "b-2"]


async def test_the_deadlines_of_a_parked_key_stand_still(database: Any) -> None:
    await save(database, armed=[deadline("b-1", NOON), deadline("b-2", NOON)], held=[dead("b-1")])
    assert await due(database, {0: LATE}) == ["b-2"]


async def test_an_unreadable_record_parks_nobody(database: Any) -> None:
    await save(database, armed=[deadline("b-1", NOON)], held=[dead("b-1", fingerprint="")])
    assert await due(database, {0: LATE}) == ["b-1"]


async def test_an_event_that_has_waited_too_long_gives_its_key_a_turn(database: Any) -> None:
    await save(database, held=[early("b-1"), early("b-2", held_at=NOON + HOUR), early("b-3", lane=1)])
    assert await due(database, {0: NOON, 1: NOON}, {0: NOON + HOUR}) == ["b-1"]
    assert await due(database, {0: NOON, 1: NOON}, {0: NOON}) == []
    assert await due(database, {0: NOON, 1: NOON}, {0: LATE, 1: LATE}) == ["b-1", "b-3", "b-2"]


async def test_an_operators_word_gives_the_key_a_turn(database: Any) -> None:
    await save(database, held=[dead("b-1"), dead("b-2", lane=1)])
    assert await due(database, {0: NOON, 1: NOON}) == []
    first, second = await database.dead_letters(10)
    assert await database.speak(first.seq, Word.REDRIVE)
    assert await database.speak(second.seq, Word.DISCARD)
    assert await due(database, {0: NOON}) == ["b-1"]
    assert [one.word for one in await held(database, "b-1", "b-2")] == [Word.REDRIVE, Word.DISCARD]


async def test_an_operator_can_only_speak_about_a_dead_letter(database: Any) -> None:
    await save(database, held=[early("b-1")])
    [waiting] = await held(database, "b-1")
    assert not await database.speak(waiting.seq, Word.REDRIVE)
    assert not await database.speak(999, Word.REDRIVE)


async def test_failing_counts_the_keys_that_failed_alike(database: Any) -> None:
    letters = [dead("b-1"), dead("b-1"), dead("b-2", held_at=NOON + HOUR), dead("b-3", "other"), dead("b-4", "")]
    await save(database, held=letters)
    async with database.turn() as turn:
        assert await turn.failing("bug", None) == 2
        assert await turn.failing("bug", NOON) == 1
        assert await turn.failing("bug", NOON + HOUR) == 0
        assert await turn.failing("none", None) == 0


async def test_dead_letters_are_listed_in_order_and_by_pages(database: Any) -> None:
    await save(database, held=[dead("b-1", id="1"), early("b-1"), dead("b-2", id="2"), dead("b-3", id="3")])
    first, second = await database.dead_letters(2)
    assert (first.id, second.id) == ("1", "2")
    assert [one.id for one in await database.dead_letters(2, after=second.seq)] == ["3"]
    assert await database.dead_letter(second.seq) == second
    assert await database.dead_letter(second.seq - 1) is None


async def test_the_next_deadline_is_the_earliest_of_all_lanes_that_is_not_parked(database: Any) -> None:
    assert await database.next_due() is None
    armed = [deadline("b-1", NOON, lane=2), deadline("b-2", NOON + HOUR, lane=5), deadline("b-3", LATE, lane=0)]
    await save(database, armed=armed)
    assert await database.next_due() == NOON
    await save(database, held=[dead("b-1")])
    assert await database.next_due() == NOON + HOUR
    standing = await database.standing()
    assert (standing.earliest_due, standing.dead_letters, standing.parked_keys) == (NOON + HOUR, 1, 1)


async def test_a_standing_counts_what_waits_and_what_is_parked(database: Any) -> None:
    await save(database, held=[dead("b-1"), dead("b-1"), dead("b-2", ""), early("b-3"), behind("b-1")])
    standing = await database.standing()
    assert (standing.waiting, standing.dead_letters, standing.parked_keys) == (1, 3, 1)
