"""Load that flows while something happens, and what must be true of it afterwards."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count, islice
from typing import Any

from services.checkout.rules.proof import PaymentProofs
from services.checkout.rules.proof import Purchase as Proven
from shared.contracts.message import Command
from shared.drivers.topics import PARTITIONS
from shared.kernel.partition import home_partition
from shared.operations.scene import Purchase, Scene
from shared.operations.sightings import Sighting
from tests.engine.till import OpenAccount, SendParcel
from tests.laws.bench import Bench

__all__ = ["Customers", "Town"]

_numbers = count(1)

WEALTH = 1_000_000


class Customers:
    """Buyers of the till, who open accounts and send parcels one after another; everyone can see what they did.

    Those of one ``lane`` write to one partition: what they say at once is read at once.
    """

    def __init__(self, bench: Bench, size: int, name: str, *, lane: int | None = None) -> None:
        self._bench = bench
        mark = f"{name}{next(_numbers)}"
        keys = (f"{mark}-{number}" for number in count())
        at_home = (key for key in keys if lane is None or home_partition(key, PARTITIONS) == lane)
        self.buyers = list(islice(at_home, size))
        self.parcels: defaultdict[str, list[str]] = defaultdict(list)
        self._like = f"{mark}-%"
        self.sent: list[str] = []
        """Ids of every command sent."""

    async def open(self) -> None:
        """Every buyer opens an account."""
        await self.say(*(OpenAccount(buyer_id=buyer, currency="CNY", balance=WEALTH) for buyer in self.buyers))

    async def say(self, *commands: Command, pause_s: float = 0) -> None:
        self.sent += await self._bench.say(*commands, pause_s=pause_s)

    async def send(self, rounds: int, *, pause_s: float = 0) -> None:
        """Every buyer sends so many parcels of one price, all buyers in turn."""
        await self.say(*self.parcels_of_all(*[""] * rounds), pause_s=pause_s)

    def parcels_of_all(self, *notes: str) -> list[SendParcel]:
        """A round of parcels for each note, all buyers in turn."""
        return [self.parcel(buyer, note) for note in notes for buyer in self.buyers]

    def parcel(self, buyer: str, note: str = "") -> SendParcel:
        """The buyer's next parcel."""
        parcel = f"p{len(self.parcels[buyer]):05}"
        self.parcels[buyer].append(parcel)
        return SendParcel(buyer_id=buyer, parcel_id=parcel, price=7, note=note)

    async def assert_exactly_once(self) -> None:
        """Nothing was lost and nothing took place twice, in the rows, the ledger and the events."""
        expected = {(buyer, parcel) for buyer, parcels in self.parcels.items() for parcel in parcels}
        assert set(await self._query("SELECT buyer_id, parcel_id FROM parcel WHERE buyer_id LIKE $1")) == expected
        booked = await self._query("SELECT buyer_id, parcel_id FROM booking WHERE buyer_id LIKE $1")
        assert Counter(booked) == Counter(expected)
        balances = dict(await self._query("SELECT buyer_id, balance FROM account WHERE buyer_id LIKE $1"))
        assert balances == {buyer: WEALTH - 7 * len(self.parcels[buyer]) for buyer in self.buyers}
        events = await self.events()
        outcomes = Counter(one.envelope.causation_id for one in events if one.envelope and not one.envelope.deadline)
        assert outcomes == Counter(self.sent)
        assert self.in_order(events) == dict(self.parcels)

    def in_order(self, events: Sequence[Sighting]) -> dict[str, list[str]]:
        """The parcels of each buyer in the order in which their events were first seen; the fold of what was left."""
        order: defaultdict[str, list[str]] = defaultdict(list)
        for one in events:
            if one.name == "ParcelSent":
                order[one.key].append(one.body["parcel_id"])
                assert one.body["left"] == WEALTH - 7 * len(order[one.key])
        return dict(order)

    async def events(self) -> list[Sighting]:
        mine = set(self.buyers)
        return [one for one in await self._bench.told("till.events") if one.key in mine]

    async def _query(self, statement: str) -> list[tuple[Any, ...]]:
        return await self._bench.query("till", statement, self._like)


class Town:
    """Buyers of the real services, each with one order that is accepted and becomes a debt."""

    def __init__(self, bench: Bench, secret: str) -> None:
        self._bench = bench
        self._proofs = PaymentProofs(secret)
        self._shop = f"shop-{next(_numbers)}"

    async def opened(self) -> Town:
        """The policies are in force."""
        await self._bench.tell(*self._scene("nobody", await self._bench.now()).policies())
        await self._bench.advance(timedelta(hours=1))
        return self

    async def purchases(self, size: int) -> list[Command]:
        """Everything that many new buyers do, in an order that lets them all go on side by side."""
        now, mark = await self._bench.now(), next(_numbers)
        lives = [self._life(self._scene(f"town{mark}-{number}", now)) for number in range(size)]
        return [command for step in zip(*lives, strict=True) for command in step]

    def _life(self, scene: Scene) -> list[Command]:
        order = scene.order("phone case", "ACCESSORY", 12_900)
        return [*scene.enrolment("tok_good"), *order, *scene.shipment(), *scene.delivery(), *scene.receipt()]

    def _scene(self, buyer: str, now: datetime) -> Scene:
        return Scene(buyer, self._shop, self._prove, now)

    def _prove(self, it: Purchase, now: datetime) -> str:
        return self._proofs.sign(Proven(it.buyer_id, it.order_id, it.amount, it.currency, it.device_ref), now)

    async def assert_exactly_once(self, ids: Sequence[str], commands: Sequence[Command]) -> None:
        """Every order is a debt once, both services and both topics say the same, and the journal sums to zero."""
        buyers = {command.key for command in commands}
        checkout = [one for one in await self._bench.told("checkout.events") if one.key in buyers]
        billing = [one for one in await self._bench.told("billing.events") if one.key in buyers]
        answered = {one.envelope.causation_id for one in checkout if one.envelope}
        assert set(ids) <= answered
        assert [one.body for one in checkout if one.name == "CommandRejected"] == []
        for name in ("AccountActivated", "OrderAuthorized", "OrderCaptured", "OrderAccepted"):
            assert Counter(one.key for one in checkout if one.name == name) == Counter(buyers)
        for name in ("PlanOpened", "BillIssued"):
            assert Counter(one.key for one in billing if one.name == name) == Counter(buyers)
        await self._assert_books_agree(buyers, billing)
        await self._assert_lines_fold(buyers, checkout)

    async def _assert_books_agree(self, buyers: set[str], billing: Sequence[Sighting]) -> None:
        told = {one.key: one.body["outstanding_principal"] for one in billing if "outstanding_principal" in one.body}
        owed = dict(await self._bench.query("billing", "SELECT buyer_id, outstanding_principal FROM book"))
        used = dict(await self._bench.query("checkout", "SELECT buyer_id, used FROM account"))
        assert told == {buyer: owed[buyer] for buyer in buyers} == {buyer: used[buyer] for buyer in buyers}
        sums = await self._bench.query("billing", "SELECT cause_id, sum(debit - credit)::int FROM journal GROUP BY 1")
        assert sums
        assert {sum_ for _, sum_ in sums} == {0}
        receivable = "SELECT buyer_id, sum(debit - credit)::bigint FROM journal WHERE account = '1100' GROUP BY 1"
        assert {
            buyer: debt for buyer, debt in await self._bench.query("billing", receivable) if buyer in buyers
        } == told

    async def _assert_lines_fold(self, buyers: set[str], checkout: Sequence[Sighting]) -> None:
        """Whoever only listens, from zero, knows every credit line."""
        lines: dict[str, dict[str, Any]] = {}
        for one in checkout:
            if one.name == "CreditLineChanged":
                assert one.body["available"] == one.body["limit"] - one.body["held"] - one.body["used"]
                lines[one.key] = one.body
        rows = await self._bench.query("checkout", 'SELECT buyer_id, score, "limit", held, used FROM account')
        told = {buyer: (it["score"], it["limit"], it["held"], it["used"]) for buyer, it in lines.items()}
        assert told == {buyer: tuple(rest) for buyer, *rest in rows if buyer in buyers}
