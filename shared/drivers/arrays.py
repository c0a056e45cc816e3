"""Columns of values as PostgreSQL's array literals, each one text parameter.

asyncpg's own arrays ask every element for its Python type, at 0.4 to 1.7 µs a value: more than everything else on a
row's way to the database together. A literal is joined in one go, and escaped only where something has to be. JSON is
sent as one JSON array instead. Whatever a literal cannot say is refused here as PostgreSQL would refuse it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import repeat
from operator import floordiv, sub
from typing import Any

from shared.engine.ports import DataRefused

__all__ = ["array", "element", "elements", "texts"]

_SENT_AS = {"bytea": "text", "timestamptz": "bigint"}
"""Hex travels as text, an instant as microseconds; every other type but JSON as itself."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NOTHING = type(None)


def array(column_type: str, values: Sequence[Any]) -> str:
    """The literal of a column of values; :class:`DataRefused` where one is not of the column's type."""
    try:
        return _LITERALS[column_type](values)
    except (TypeError, ValueError, OverflowError):
        raise DataRefused(f"a value is not of type {column_type}") from None


def elements(column_type: str, place: int) -> str:
    """The SQL function that makes rows of the literal (or the JSON array) in parameter ``place``."""
    if column_type == "jsonb":
        return f"json_array_elements(${place}::text::json)"
    return f"unnest(${place}::text::{_SENT_AS.get(column_type, column_type)}[])"


def element(column_type: str, name: str) -> str:
    """The SQL expression that makes one of those rows, called ``name``, a value of the column's type."""
    match column_type:
        case "jsonb":
            return f"nullif({name}::text, 'null')::jsonb"
        case "bytea":
            return f"decode({name}, 'hex')"
        case "timestamptz":
            return f"timestamptz 'epoch' + {name} * interval '1 microsecond'"
        case _:
            return name


def texts(values: Sequence[str | None]) -> str:
    """``{"a","b",NULL}``; quotes and backslashes are escaped, everything else stands for itself."""
    if not values:
        return "{}"
    if None in values:
        return "{" + ",".join(["NULL" if one is None else f'"{_escaped(one)}"' for one in values]) + "}"
    joined = '","'.join(values)  # type: ignore[arg-type]  # there is no None
    if "\\" in joined or joined.count('"') > 2 * (len(values) - 1):
        joined = '","'.join(map(_escaped, values))  # type: ignore[arg-type]
    return f'{{"{joined}"}}'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _plain(*allowed: type) -> Callable[[Sequence[Any]], str]:
    """Literals of values whose ``str`` PostgreSQL reads and whose types are exactly these."""
    accepted = {*allowed, _NOTHING}

    def literal(values: Sequence[Any]) -> str:
        if not accepted.issuperset(map(type, values)):
            raise TypeError
        return "{" + ",".join(map(str, values)).replace("None", "NULL") + "}"

    return literal


def _instants(values: Sequence[datetime | None]) -> str:
    """Microseconds since 1970; subtracting from an instant without an offset raises TypeError."""
    if None in values:
        return _numbers([None if one is None else (one - _EPOCH) // _MICROSECOND for one in values])
    since = map(sub, values, repeat(_EPOCH))
    return "{" + ",".join(map(str, map(floordiv, since, repeat(_MICROSECOND)))) + "}"


def _hexes(values: Sequence[bytes]) -> str:
    return texts(list(map(bytes.hex, values)))


_numbers = _plain(int)

_LITERALS: dict[str, Callable[[Sequence[Any]], str]] = {
    "text": texts,
    "bytea": _hexes,
    "bigint": _numbers,
    "timestamptz": _instants,
    "boolean": _plain(bool),
    "date": _plain(date),
}
