"""The words a handler speaks: rows it keeps, entries it appends, deadlines it sets, and the one way to say no.

Together with the events of ``shared.contracts`` this is everything a handler may yield. Nothing here does I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Generic, Self, TypeVar

__all__ = ["Cause", "Deadline", "Disarm", "Due", "Entry", "Live", "Named", "Recurring", "Rejected", "Row", "Rows"]


@dataclass(frozen=True, slots=True)
class Live:
    """Which rows are live: those whose ``column`` holds one of ``values``. The table has the same partial index."""

    column: str
    values: frozenset[str]

    @classmethod
    def when(cls, column: str, *values: str) -> Self:
        return cls(column, frozenset(values))

    def holds(self, row: Row) -> bool:
        return getattr(row, self.column) in self.values


class Recurring:
    """Marks a field whose values recur from row to row, such as terms: ``terms: Annotated[BillTerms, Recurring]``.

    Each of them is read once and shared by the rows that have it, so it must be immutable through and through.
    """


class Row:
    """One version of a piece of state: a frozen dataclass bound to a table, keyed by (owner, id).

    ::

        @dataclass(frozen=True, slots=True)
        class Plan(Row, table="plan", owner="buyer_id", id="order_id", unknown="UNKNOWN_ORDER",
                   live=Live.when("status", "OPEN", "CHARGED_OFF")):
            buyer_id: str
            order_id: str
            ...

    Where a buyer has one row only, ``id`` is the owner field itself. ``unknown`` is the code a command is rejected
    with when it names a row this owner does not have.
    """

    __slots__ = ()

    TABLE: ClassVar[str] = ""
    OWNER: ClassVar[str] = ""
    ID: ClassVar[str] = ""
    UNKNOWN: ClassVar[str] = ""
    LIVE: ClassVar[Live | None] = None

    def __init_subclass__(
        cls,
        *,
        table: str = "",
        owner: str = "buyer_id",
        id: str = "",  # noqa: A002 - the field's own word
        unknown: str = "",
        live: Live | None = None,
    ) -> None:
        super().__init_subclass__()
        if table:  # dataclass(slots=True) makes the class a second time, without these words
            cls.TABLE, cls.OWNER, cls.ID = table, owner, id or owner
            cls.UNKNOWN, cls.LIVE = unknown, live

    def identity(self) -> tuple[str, str]:
        """The primary key: (owner, id)."""
        return getattr(self, self.OWNER), getattr(self, self.ID)


R = TypeVar("R", bound=Row)


class Rows(Mapping[str, R], Generic[R]):
    """Some rows of one owner by their id, in the order of the ids; read-only."""

    __slots__ = ("_by_id",)

    def __init__(self, rows: Iterable[R] = ()) -> None:
        self._by_id = {row.identity()[1]: row for row in sorted(rows, key=lambda row: row.identity()[1])}

    def __getitem__(self, row_id: str) -> R:
        return self._by_id[row_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def __repr__(self) -> str:
        return f"Rows({list(self._by_id.values())!r})"


class Entry:
    """One appended line of a ledger or an audit trail: never updated, never deleted."""

    __slots__ = ()

    TABLE: ClassVar[str] = ""
    OWNER: ClassVar[str] = ""

    def __init_subclass__(cls, *, table: str = "", owner: str = "buyer_id") -> None:
        super().__init_subclass__()
        if table:
            cls.TABLE, cls.OWNER = table, owner


class Due:
    """A message of a service to itself, delivered at a business time: a frozen dataclass of plain fields (H-7).

    Its kind is the class's name in upper snake case, its subject the declared field; there is one per
    (owner, kind, subject): arming again replaces.
    """

    __slots__ = ()

    KIND: ClassVar[str] = ""
    KEY: ClassVar[str] = ""
    SUBJECT: ClassVar[str] = ""

    def __init_subclass__(cls, *, subject: str = "", owner: str = "buyer_id") -> None:
        super().__init_subclass__()
        if subject:
            cls.KIND = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).upper()
            cls.KEY, cls.SUBJECT = owner, subject

    @property
    def key(self) -> str:
        owner: str = getattr(self, self.KEY)
        return owner

    @property
    def subject(self) -> str:
        subject: str = getattr(self, self.SUBJECT)
        return subject


@dataclass(frozen=True, slots=True)
class Deadline:
    """Hand ``message`` to its handler at the business time ``at``; replaces an armed one of the same subject."""

    at: datetime
    message: Due


@dataclass(frozen=True, slots=True)
class Disarm:
    """The deadline of this kind and subject is no longer wanted. Harmless where none is armed."""

    kind: type[Due]
    subject: str


class Rejected(Exception):
    """A command is refused: nothing it yielded takes place, its sender gets ``code`` and ``details`` (H-2)."""

    def __init__(self, code: str, message: str = "", **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.message = message or code.replace("_", " ").capitalize()
        self.details = details


@dataclass(frozen=True, slots=True)
class Cause:
    """What a handler may know about the message it handles, beyond its payload.

    ``id`` is its ``ce_id`` (of a deadline: the id derived when it was armed); ``content`` the digest by which a
    repeated request under a new ``ce_id`` is recognised (H-3), empty for anything but a command.
    """

    id: str
    content: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """Where to find a parameter's row when it is not under the message's field of the same name.

    ``ids`` computes the id (or, for ``Rows``, the ids) from the message; ``owner`` fixes the owner, as in
    ``Annotated[Policy | None, Named(owner="platform")]``. ``awaited``: the row may be None, but only where the message
    names none.
    """

    ids: Callable[[Any], str | Iterable[str]] | None = None
    owner: str | None = None
    awaited: bool = False


def field_names(cls: type) -> tuple[str, ...]:
    """The fields of a row, entry or deadline class, in order."""
    return tuple(field.name for field in fields(cls))
