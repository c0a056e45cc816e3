"""Whether the tables of a schema are those the classes of this build expect: asked at start-up and in tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from shared.drivers.rows import codec
from shared.engine.vocabulary import Entry, Row

__all__ = ["check_schema"]

_COLUMNS = """
SELECT pg_class.relname, attname, atttypid = to_regtype(wanted.type) AS of_this_type,
       attnotnull, atthasdef OR attidentity <> '' AS filled_in
FROM pg_class
JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN unnest($2::text[], $3::text[], $4::text[]) AS wanted (relname, name, type)
       ON wanted.relname = pg_class.relname AND wanted.name = attname
WHERE relnamespace = current_schema()::regnamespace AND pg_class.relname = ANY($1::text[])
"""

_INDEXES = """
SELECT pg_class.relname, indisunique AND indpred IS NULL AS identifies, indpred IS NOT NULL AS partial,
       ARRAY(SELECT attname::text FROM unnest(indkey::int2[]) WITH ORDINALITY AS part (number, place)
             JOIN pg_attribute ON attrelid = indrelid AND attnum = part.number ORDER BY place) AS names
FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
WHERE relnamespace = current_schema()::regnamespace AND relname = ANY($1::text[])
"""


@dataclass(frozen=True, slots=True)
class _Found:
    """A column as it is; ``filled_in`` says that an insert may leave it out."""

    of_this_type: bool
    not_null: bool
    filled_in: bool


async def check_schema(connection: Any, classes: Iterable[type[Row] | type[Entry]]) -> list[str]:
    """What stands in the way of keeping these classes in the connection's schema, one sentence each; [] if nothing.

    A table may have columns the class does not know, as long as they need not be given: an older build runs on a newer
    schema.
    """
    classes = sorted(classes, key=lambda cls: cls.TABLE)
    tables = [cls.TABLE for cls in classes]
    wanted = [(cls.TABLE, column.name, column.type) for cls in classes for column in codec(cls).columns]
    arrays = list(zip(*wanted, strict=True)) or [()] * 3
    found: dict[str, dict[str, _Found]] = {}
    for table, name, *facts in await connection.fetch(_COLUMNS, tables, *arrays):
        found.setdefault(table, {})[name] = _Found(*facts)
    indexes = await connection.fetch(_INDEXES, tables)
    return [defect for cls in classes for defect in _defects(cls, found.get(cls.TABLE, {}), indexes)]


def _defects(cls: type[Row] | type[Entry], found: dict[str, _Found], indexes: list[Any]) -> Iterator[str]:
    if not found:
        yield f"{cls.TABLE}: there is no such table for {cls.__name__}"
        return
    wanted = {column.name: column for column in codec(cls).columns}
    for name, column in wanted.items():
        where = f"{cls.TABLE}.{name}"
        if name not in found:
            yield f"{where}: there is no such column for {cls.__name__}"
        elif not found[name].of_this_type:
            yield f"{where}: is not of type {column.type}"
        elif found[name].not_null and column.nullable:
            yield f"{where}: is NOT NULL, but {cls.__name__} may leave it empty"
        elif not found[name].not_null and not column.nullable:
            yield f"{where}: may be NULL, but {cls.__name__} always has it"
    for name in found.keys() - wanted.keys():
        if found[name].not_null and not found[name].filled_in:
            yield f"{cls.TABLE}.{name}: must be given, but {cls.__name__} does not know it"
    if issubclass(cls, Row):
        yield from _missing_indexes(cls, [index for index in indexes if index[0] == cls.TABLE])


def _missing_indexes(cls: type[Row], indexes: list[Any]) -> Iterator[str]:
    key = list(dict.fromkeys((cls.OWNER, cls.ID)))
    if not any(identifies and names == key for _, identifies, _, names in indexes):
        yield f"{cls.TABLE}: has no primary key ({', '.join(key)})"
    if cls.LIVE is not None and not any(partial and names[:1] == [cls.OWNER] for _, _, partial, names in indexes):
        yield f"{cls.TABLE}: has no partial index on ({cls.OWNER}) for its live rows"
