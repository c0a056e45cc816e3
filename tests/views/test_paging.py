"""Long lists: every item once, in order, whatever is added meanwhile; a cursor is a place and nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest

from tests.views.bench import Bench
from tests.views.rows import DAY, NOON, bill, case, mailbox, notice, order, plan

ORDERS = "/buyers/ann/orders"
MANY = 130

IDS = ("case_id", "notice_id", "order_id", "bill_id")
"""What identifies an item: the first of these that it has."""


def numbered(number: int, **facts: Any) -> Any:
    """Order ``number``; three in a row share an instant."""
    return order(f"o-{number:03}", authorised_at=NOON + (number // 3) * DAY, **facts)


async def pages(bench: Bench, path: str, **params: Any) -> AsyncIterator[list[str]]:
    """The ids on each page, following the cursors."""
    while True:
        page = await bench.read(path, "buyer:ann", **params)
        yield [next(one[name] for name in IDS if name in one) for one in page["items"]]
        if "next_cursor" not in page:
            return
        params["cursor"] = page["next_cursor"]


@pytest.mark.parametrize("limit", [1, 7, 20, 100])
async def test_every_order_is_visited_once_and_in_order(checkout: Bench, limit: int) -> None:
    await checkout.save(*(numbered(number) for number in range(MANY)))
    visited = [page async for page in pages(checkout, ORDERS, limit=limit)]
    assert [one for page in visited for one in page] == [f"o-{number:03}" for number in reversed(range(MANY))]
    assert {len(page) for page in visited[:-1]} == {limit}


async def test_every_bill_is_visited_once_and_in_order(billing: Bench) -> None:
    days = {f"o-{number:03}": date(2027, 3, 1) + (number // 4) * DAY for number in range(MANY)}
    await billing.save(*map(plan, days), *(bill(order_id, due_on) for order_id, due_on in days.items()))
    visited = [one async for page in pages(billing, "/buyers/ann/bills", limit=33) for one in page]
    assert visited == [f"b:{order_id}" for order_id in reversed(days)]


async def test_every_return_case_is_visited_once_and_in_order(refunds: Bench) -> None:
    await refunds.save(*(case(f"c-{number:03}", opened_at=NOON + number // 4 * DAY) for number in range(MANY)))
    visited = [one async for page in pages(refunds, "/buyers/ann/returns", limit=33) for one in page]
    assert visited == [f"c-{number:03}" for number in reversed(range(MANY))]


async def test_every_notice_is_visited_once_newest_first_and_those_of_one_instant_by_id(notify: Bench) -> None:
    days = {f"{number:03}:BILL_DUE_SOON": number // 4 for number in range(MANY)}
    await notify.save(mailbox(), *(notice(one, created_at=NOON + day * DAY) for one, day in days.items()))
    visited = [one async for page in pages(notify, "/buyers/ann/inbox", limit=33) for one in page]
    assert visited == sorted(days, key=lambda one: (-days[one], one))


async def test_what_is_added_meanwhile_neither_repeats_nor_hides_anything(checkout: Bench) -> None:
    """New orders in front, and one that turns out to be older, behind the page that is being read."""
    await checkout.save(*(numbered(number) for number in range(0, MANY, 2)))
    before = {f"o-{number:03}" for number in range(0, MANY, 2)}
    visited: list[str] = []
    async for page in pages(checkout, ORDERS, limit=10):
        visited += page
        await checkout.save(
            order(f"new-{len(visited)}", authorised_at=NOON + 1000 * DAY),
            numbered(1) if len(visited) == 30 else numbered(MANY - 1),
        )
    assert visited[:10] == [f"o-{number:03}" for number in range(MANY - 2, MANY - 22, -2)]
    assert sorted(visited) == sorted(before | {"o-001"})
    assert len(visited) == len(set(visited))


async def test_twenty_are_shown_unless_another_number_is_asked_for(checkout: Bench) -> None:
    await checkout.save(*(numbered(number) for number in range(21)))
    page = await checkout.read(ORDERS, "buyer:ann")
    assert len(page["items"]) == 20
    assert len((await checkout.read(ORDERS, "buyer:ann", cursor=page["next_cursor"]))["items"]) == 1


async def test_a_page_that_is_exactly_full_is_the_last_one(checkout: Bench) -> None:
    await checkout.save(*(numbered(number) for number in range(20)))
    page = await checkout.get(ORDERS, "buyer:ann")
    assert "next_cursor" not in page.json()
    assert "link" not in page.headers
    assert (await checkout.read("/buyers/bob/orders", "buyer:bob")) == {"items": []}


async def test_the_next_page_is_linked_with_everything_else_that_was_asked(checkout: Bench) -> None:
    await checkout.save(*(numbered(number) for number in range(4)))
    first = await checkout.get(ORDERS, "buyer:ann", limit=3)
    assert first.links["next"]["url"] == f"?limit=3&cursor={first.json()['next_cursor']}"
    second = await checkout.get(str(first.url.join(first.links["next"]["url"])), "buyer:ann")
    assert [one["order_id"] for one in second.json()["items"]] == ["o-000"]


def forged(*place: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


AT = "2027-03-01T04:00:00Z"

GARBAGE = {
    "nothing": "",
    "a number": "20",
    "no alphabet of ours": "¿?",
    "no JSON": base64.urlsafe_b64encode(b"\xff\xfe{").decode(),
    "another list's": forged("bills", "2027-03-11", "b:o-1"),
    "this list's name, another's place": forged("orders", "2027-03-11", "o-1"),
    "no time zone": forged("orders", "2027-03-01T04:00:00", "o-1"),
    "no time": forged("orders", 0, "o-1"),
    "no id": forged("orders", AT, "o-1\0"),
    "too short": forged("orders", AT),
    "too long": forged("orders", AT, "o-1", "more"),
    "endless": forged("orders", AT, "o" * 10_000),
    "deep": base64.urlsafe_b64encode(b"[" * 700).decode(),
}


@pytest.mark.parametrize("cursor", GARBAGE.values(), ids=GARBAGE.keys())
async def test_a_cursor_that_is_none_is_refused(checkout: Bench, cursor: str) -> None:
    refused = await checkout.get(ORDERS, "buyer:ann", cursor=cursor)
    assert (refused.status_code, refused.json()["code"]) == (400, "BAD_CURSOR")


async def test_a_cursor_shows_nothing_that_its_bearer_may_not_see(checkout: Bench) -> None:
    """It is a place in a list; whose list is decided by path and token, so it need not be signed."""
    await checkout.save(*(numbered(number) for number in range(4)))
    of_ann = (await checkout.read(ORDERS, "buyer:ann", limit=1))["next_cursor"]
    assert await checkout.read("/buyers/bob/orders", "buyer:bob", cursor=of_ann) == {"items": []}


@pytest.mark.parametrize("limit", ["0", "101", "-1", "ten", "1e1", ""])
async def test_a_limit_outside_1_to_100_is_refused(checkout: Bench, limit: str) -> None:
    refused = await checkout.get(ORDERS, "buyer:ann", limit=limit)
    assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_REQUEST")
    assert [one["parameter"] for one in refused.json()["errors"]] == ["query.limit"]


async def test_a_place_keeps_every_fraction_of_its_instant(checkout: Bench) -> None:
    instants = [NOON.replace(microsecond=fraction) for fraction in (1, 2, 500_000, 999_999)]
    await checkout.save(*(order(f"o-{at.microsecond}", authorised_at=at) for at in instants))
    visited = [one async for page in pages(checkout, ORDERS, limit=1) for one in page]
    assert visited == ["o-999999", "o-500000", "o-2", "o-1"]
