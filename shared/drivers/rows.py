"""Dataclasses as table rows: what columns a class has, and its instances as columns of values, set by set.

``str``, ``int``, ``bool``, ``datetime``, ``date`` and string enumerations have columns of their own; everything else
(tuples of parts, dictionaries, nested dataclasses) is one ``jsonb`` column, written and read strictly by pydantic.
Columns are what ``unnest`` takes, so there is no work per row in Python beyond reading the fields.

What goes out is not read back to see whether it would come back as it was: that costs as much as loading it. The
database in memory does so, and with it every test.
"""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache, lru_cache
from itertools import repeat
from operator import attrgetter
from types import MemberDescriptorType
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NewType,
    ParamSpec,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import AwareDatetime, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from shared.drivers.arrays import array
from shared.engine.ports import DataRefused, Unavailable
from shared.engine.vocabulary import Entry, Recurring, Row

__all__ = ["ENGINE_TABLES", "Codec", "Column", "NotStorable", "RowUnreadable", "codec", "columns", "once_per_class"]

T = TypeVar("T")
P = ParamSpec("P")

ENGINE_TABLES = frozenset({"position", "inbox", "outbox", "held", "attempt", "line", "alembic_version"})
"""Tables every schema has for the engine; no row or entry may be bound to one of these names."""

IDENTIFIER_MAX = 63
"""Longest name PostgreSQL keeps of a table or column, in bytes."""

RECURRING_MAX = 1_000
"""Values of a recurring field kept in memory at most, some kilobytes each."""

COLUMN_TYPES: dict[type, str] = {
    str: "text",
    int: "bigint",
    bool: "boolean",
    AwareDatetime: "timestamptz",
    datetime: "timestamptz",
    date: "date",
}


class NotStorable(TypeError):
    """A class cannot be kept in a table; the text names the class, the field and the reason."""


class RowUnreadable(Unavailable):
    """A stored row does not fit this build's class: the schema or the data is of another build."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column a class expects: its name, its PostgreSQL type and whether it may be NULL."""

    name: str
    type: str
    nullable: bool

    @property
    def quoted(self) -> str:
        return f'"{self.name}"'


class Codec(Generic[T]):
    """The two ways between instances of one dataclass and columns of values, in the order of its fields."""

    def __init__(self, cls: type[T]) -> None:
        """Understand ``cls``, a dataclass with slots and without ``__post_init__``; :class:`NotStorable` otherwise."""
        if not is_dataclass(cls) or not all(_is_slot(cls, one.name) for one in fields(cls)):
            raise NotStorable(f"{cls.__name__} is not a dataclass with slots")
        if hasattr(cls, "__post_init__"):
            raise NotStorable(f"{cls.__name__} has __post_init__, which reading it back would not run")
        self.cls = cls
        hints = get_type_hints(cls, include_extras=True)
        self._fields = tuple(_Field.of(cls, one.name, hints[one.name]) for one in fields(cls))
        self.columns = tuple(field.column for field in self._fields)
        self._read_fields = [attrgetter(field.column.name) for field in self._fields]
        self._set_fields = [getattr(cls, field.column.name).__set__ for field in self._fields]

    def encode(self, instances: Sequence[T]) -> list[list[Any]]:
        """One list of values per column, JSON as text; :class:`DataRefused` where a value has no such form."""
        return [
            values if field.to_json is None else [None if one is None else field.json([one])[1:-1] for one in values]
            for field, values in self._read(instances)
        ]

    def arrays(self, instances: Sequence[T]) -> list[str]:
        """One array literal per column, for the statements; :class:`DataRefused` likewise."""
        return [field.array(values) for field, values in self._read(instances)]

    def _read(self, instances: Sequence[T]) -> Iterator[tuple[_Field, list[Any]]]:
        for field, read in zip(self._fields, self._read_fields, strict=True):
            yield field, list(map(read, instances))

    def decode(self, records: Sequence[Sequence[Any]]) -> list[T]:
        """The instances of these records, column by column (four times faster than calling the constructor)."""
        instances: list[T] = list(map(object.__new__, repeat(self.cls, len(records))))
        for field, set_field, values in zip(self._fields, self._set_fields, zip(*records, strict=True), strict=False):
            decoded = values if field.decode is None else map(field.decode, values)
            try:
                deque(map(set_field, instances, decoded), maxlen=0)
            except (ValidationError, KeyError) as reason:
                raise RowUnreadable(f"{field.where}: {_brief(reason)}") from reason
        return instances


def once_per_class(make: Callable[P, T]) -> Callable[P, T]:
    """``functools.cache``, for functions of classes: type checkers take classes with ``__hash__`` for unhashable."""
    return cast("Callable[P, T]", cache(make))


@once_per_class
def codec(cls: type[T]) -> Codec[T]:
    """The codec of a class, made once; rows and entries are held to their table's rules as well."""
    made = Codec(cls)
    if issubclass(cls, Row | Entry):
        _check_table(cls, made)
    return made


def columns(cls: type) -> tuple[Column, ...]:
    """The columns the table of a row or entry class must have."""
    return codec(cls).columns


def _check_table(cls: type[Row] | type[Entry], made: Codec[Any]) -> None:
    by_name = {column.name: column for column in made.columns}
    if not cls.TABLE or cls.TABLE in ENGINE_TABLES or len(cls.TABLE.encode()) > IDENTIFIER_MAX:
        raise NotStorable(f"{cls.__name__}: {cls.TABLE!r} cannot be the name of its table")
    keys = (cls.OWNER, cls.ID) if issubclass(cls, Row) else (cls.OWNER,)
    for name in keys:
        if name not in by_name or by_name[name].nullable or by_name[name].type != "text":
            raise NotStorable(f"{cls.__name__}.{name}: a key is a field of type str")
    if issubclass(cls, Row) and cls.LIVE is not None:
        column = by_name.get(cls.LIVE.column)
        if column is None or column.type != "text":
            raise NotStorable(f"{cls.__name__}.{cls.LIVE.column}: what says whether a row is live is a text field")


@dataclass(frozen=True, slots=True)
class _Field:
    """A column, how a list of its values becomes JSON (if it is JSON), and how one is read (None: as it is)."""

    where: str
    column: Column
    to_json: Any = None
    decode: Callable[[Any], Any] | None = None

    def json(self, values: list[Any]) -> str:
        """The values as one JSON array; :class:`DataRefused` where one is not of the field's type."""
        try:
            text: bytes = self.to_json(values, warnings="error")
        except PydanticSerializationError as reason:
            raise DataRefused(f"{self.where}: {_brief(reason)}") from None
        return text.decode()

    def array(self, values: list[Any]) -> str:
        """The values as an array literal, or as a JSON array; :class:`DataRefused` likewise."""
        if self.to_json is not None:
            return self.json(values)
        try:
            return array(self.column.type, values)
        except DataRefused as reason:
            raise DataRefused(f"{self.where}: {reason}") from None

    @classmethod
    def of(cls, owner: type, name: str, annotation: Any) -> _Field:
        where = f"{owner.__name__}.{name}"
        if len(name.encode()) > IDENTIFIER_MAX or '"' in name:
            raise NotStorable(f"{where}: the name cannot be a column's")
        plain, nullable = _without_none(_unwrapped(annotation))
        plain = _unwrapped(plain)
        if isinstance(plain, type) and issubclass(plain, str) and issubclass(plain, Enum):
            by_value: dict[Any, Any] = {member.value: member for member in plain}
            if nullable:
                by_value[None] = None
            return cls(where, Column(name, "text", nullable), None, by_value.__getitem__)
        if get_origin(plain) is Literal and all(type(value) is str for value in get_args(plain)):
            return cls(where, Column(name, "text", nullable))
        if isinstance(plain, type) and plain in COLUMN_TYPES:
            return cls(where, Column(name, COLUMN_TYPES[plain], nullable))
        return cls._of_json(where, Column(name, "jsonb", nullable), annotation)

    @classmethod
    def _of_json(cls, where: str, column: Column, annotation: Any) -> _Field:
        try:
            one: TypeAdapter[Any] = TypeAdapter(annotation)
            many: TypeAdapter[Any] = TypeAdapter(list[annotation | None])
        except Exception as reason:
            raise NotStorable(f"{where}: {_brief(reason)}") from reason
        validate_json = one.validator.validate_json

        def decode(text: str | None) -> Any:
            return None if text is None else validate_json(text, strict=True)

        recurs = Recurring in getattr(annotation, "__metadata__", ())
        read = lru_cache(RECURRING_MAX)(decode) if recurs else decode
        return cls(where, column, many.serializer.to_json, read)


def _is_slot(cls: type, name: str) -> bool:
    return isinstance(getattr(cls, name, None), MemberDescriptorType)


def _unwrapped(annotation: Any) -> Any:
    """The type itself, without the constraints and names put around it."""
    while get_origin(annotation) is Annotated or isinstance(annotation, NewType):
        annotation = annotation.__supertype__ if isinstance(annotation, NewType) else get_args(annotation)[0]
    return annotation


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    members = [member for member in get_args(annotation) if member is not type(None)]
    nullable = len(members) < len(get_args(annotation))
    return (members[0] if len(members) == 1 else annotation), nullable


def _brief(reason: Exception) -> str:
    """The kind of a defect without the value, which may be private and would make equal defects look different."""
    if isinstance(reason, ValidationError):
        return ", ".join(sorted({one["type"] for one in reason.errors(include_input=False, include_url=False)}))
    return type(reason).__name__
