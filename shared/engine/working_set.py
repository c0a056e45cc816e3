"""The rows a turn works on: loaded once, changed in memory, seen by the next message, saved together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from shared.engine.ports import RowKey, Wanted
from shared.engine.signature import AllLive, ById
from shared.engine.vocabulary import Row, Rows

__all__ = ["WorkingSet", "missing_row"]


class WorkingSet:
    """Rows by type, owner and id. A row that was loaded and does not exist is known to be absent (None)."""

    def __init__(self) -> None:
        self._rows: dict[type[Row], dict[str, dict[str, Row | None]]] = defaultdict(lambda: defaultdict(dict))
        self._all_live: dict[type[Row], set[str]] = defaultdict(set)
        self._changed: dict[type[Row], set[tuple[str, str]]] = defaultdict(set)

    def want(self, need: ById | AllLive, message: object, wanted: dict[type[Row], Wanted]) -> None:
        """Add to ``wanted`` what ``message`` needs and is not here yet."""
        owner = need.owner_of(message)
        if isinstance(need, AllLive):
            if owner not in self._all_live[need.row]:
                of = wanted.setdefault(need.row, Wanted())
                (of.live_of if need.locked else of.read_live_of).add(owner)
            return
        here = self._rows[need.row][owner]
        for row_id in need.ids_of(message):
            if row_id not in here:
                of = wanted.setdefault(need.row, Wanted())
                (of.locked if need.locked else of.read).add((owner, row_id))

    def admit(self, loaded: Iterable[Row], wanted: dict[type[Row], Wanted]) -> None:
        """Take over what was loaded for ``wanted``; rows this turn has changed stay as they are."""
        for row in loaded:
            owner, row_id = row.identity()
            here = self._rows[type(row)][owner]
            if here.get(row_id) is None:
                here[row_id] = row
        for kind, of in wanted.items():
            for owner, row_id in (*of.locked, *of.read):
                self._rows[kind][owner].setdefault(row_id, None)
            self._all_live[kind] |= of.live_of | of.read_live_of

    def one(self, need: ById, message: object) -> Row | None:
        """The row a message names, or None."""
        here = self._rows[need.row][need.owner_of(message)]
        for row_id in need.ids_of(message):
            return here[row_id]
        return None

    def many(self, need: ById | AllLive, message: object) -> Rows[Row]:
        """The rows a message names, or all live ones of its owner."""
        here = self._rows[need.row][need.owner_of(message)]
        if isinstance(need, ById):
            return Rows(row for row_id in need.ids_of(message) if (row := here[row_id]) is not None)
        live = need.row.LIVE
        return Rows(row for row in here.values() if row is not None and live is not None and live.holds(row))

    def put(self, row: Row) -> None:
        """A new version of a row."""
        owner, row_id = row.identity()
        self._rows[type(row)][owner][row_id] = row
        self._changed[type(row)].add((owner, row_id))

    def changed(self) -> dict[type[Row], list[Row]]:
        """The last version of every row that was put, in the order of the keys."""
        found: dict[type[Row], list[Row]] = {}
        for kind, pairs in self._changed.items():
            rows = [row for owner, row_id in sorted(pairs) if (row := self._rows[kind][owner][row_id]) is not None]
            if rows:
                found[kind] = rows
        return found


def missing_row(need: ById, message: object) -> RowKey:
    """Which row a message names that does not exist."""
    ids = tuple(need.ids_of(message))
    return RowKey(need.row, need.owner_of(message), ids[0] if ids else "")
