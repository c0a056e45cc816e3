"""Given some rows, when a message arrives, then exactly this is yielded: handlers as the pure functions they are.

::

    then = Given(billing, book).when(accepted, now=noon)
    assert then.events == [PlanOpened(...), BillIssued(...)]
    then = then.given.when(report, now=later)          # the rows just yielded are given
    assert then.rejected.code == "ALREADY_DONE"
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.contracts.message import Event, Message
from shared.engine.service import Service, Yielded
from shared.engine.signature import AllLive, ById, Need, Resource
from shared.engine.vocabulary import Cause, Deadline, Disarm, Due, Entry, Rejected, Row, Rows

__all__ = ["Given", "Then"]

SOME_CAUSE = Cause(id="00000000-0000-8000-8000-000000000001", content="some content")


@dataclass(frozen=True)
class Then:
    """What a handler did: its yields in order, or the rejection; and the state as it stands afterwards."""

    yields: list[Yielded]
    rejected: Rejected | None
    given: Given

    def _only(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.yields if isinstance(one, kind)]

    @property
    def events(self) -> list[Event]:
        return self._only(Event)

    @property
    def rows(self) -> list[Row]:
        return self._only(Row)

    @property
    def entries(self) -> list[Entry]:
        return self._only(Entry)

    @property
    def deadlines(self) -> list[Deadline]:
        return self._only(Deadline)

    @property
    def disarmed(self) -> list[Disarm]:
        return self._only(Disarm)


class Given:
    """A service and the rows and deadlines that stand; immutable: every step returns a new one."""

    def __init__(self, service: Service, *rows: Row, armed: Iterable[Deadline] = ()) -> None:
        self.service = service
        self._rows = {(type(row), *row.identity()): row for row in rows}
        self._armed = {(one.message.KIND, one.message.subject): one for one in armed}

    @property
    def rows(self) -> list[Row]:
        return list(self._rows.values())

    @property
    def armed(self) -> list[Deadline]:
        return sorted(self._armed.values(), key=lambda one: (one.at, one.message.KIND, one.message.subject))

    def row(self, kind: type[Row], row_id: str) -> Any:
        """The one row of this kind and id; KeyError if there is none."""
        return next(row for (cls, _, found), row in self._rows.items() if cls is kind and found == row_id)

    def when(self, message: Message | Due, now: datetime, cause: Cause = SOME_CAUSE) -> Then:
        """Handle one message at its business time ``now``."""
        handler = self.service.handler(type(message))
        if handler is None:
            raise LookupError(f"{self.service.name} does not react to {type(message).__name__}")
        supply = _Supply(self, message, now, cause)
        try:
            arguments = [supply(need) for need in handler.signature.needs]
            yields = list(handler.react(message, *arguments))
        except Rejected as rejected:
            return Then([], rejected, self)
        return Then(yields, None, self._after(message, yields))

    def until(self, instant: datetime) -> Iterator[Then]:
        """Let time pass: each deadline due up to ``instant`` comes back to its handler, those armed on the way too."""
        given = self
        while given.armed and given.armed[0].at <= instant:
            due = given.armed[0]
            then = given.when(due.message, now=due.at)
            given = then.given
            yield then

    def _after(self, message: Message | Due, yields: list[Yielded]) -> Given:
        after = Given(self.service)
        after._rows, after._armed = dict(self._rows), dict(self._armed)
        if isinstance(message, Due):
            after._armed.pop((message.KIND, message.subject), None)
        for one in yields:
            match one:
                case Row():
                    after._rows[type(one), *one.identity()] = one
                case Deadline():
                    after._armed[one.message.KIND, one.message.subject] = one
                case Disarm():
                    after._armed.pop((one.kind.KIND, one.subject), None)
        return after


@dataclass(frozen=True)
class _Supply:
    """Answers a handler's needs out of the given rows."""

    given: Given
    message: Message | Due
    now: datetime
    cause: Cause

    def __call__(self, need: Need) -> Any:
        match need:
            case ById(many=True):
                found = (self._find(need.row, need.owner_of(self.message), one) for one in need.ids_of(self.message))
                return Rows(row for row in found if row is not None)
            case ById():
                return self._one(need)
            case AllLive():
                owner = need.owner_of(self.message)
                mine = (row for row in self.given.rows if type(row) is need.row and row.identity()[0] == owner)
                return Rows(row for row in mine if need.row.LIVE is not None and need.row.LIVE.holds(row))
            case Resource():
                return self.given.service.resources[need.type]
            case _:
                return self.now if need.name == "now" else self.cause

    def _one(self, need: ById) -> Row | None:
        ids = tuple(need.ids_of(self.message))
        row = self._find(need.row, need.owner_of(self.message), ids[0]) if ids else None
        if row is None and need.misses(self.message):
            raise Rejected(need.row.UNKNOWN)
        return row

    def _find(self, kind: type[Row], owner: str, row_id: str) -> Row | None:
        return self.given._rows.get((kind, owner, row_id))
