"""The history of a service's schema as a replica looks at it: which revisions there are, and which the schema has.

A revision is a file named ``<branch>_<four digits>``, and a schema notes the last one of each branch. So what is
missing is known from names and numbers; only whoever applies revisions (``shared.drivers.migrate``) has to load them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from shared.drivers.postgres import PostgresDatabase

__all__ = ["ENGINE_REVISIONS", "MigrationRefused", "applied_heads", "brings", "folders", "missing", "numbered"]

ENGINE_REVISIONS = Path(__file__).parent / "migrations" / "versions"

ENGINE = "engine"

_REVISION = re.compile(r"^([a-z][a-z0-9]*)_(\d{4})$")


class MigrationRefused(Exception):
    """A revision could not be applied, so nothing was; the text is for the operator."""


def folders(own: Iterable[Path | str]) -> list[Path]:
    """Where the revisions of a schema lie: the engine's and its own; :class:`MigrationRefused` if one is no folder."""
    locations = [ENGINE_REVISIONS, *map(Path, own)]
    for location in locations:
        if not location.is_dir():
            raise MigrationRefused(f"{location} is not a folder of revisions")
    return locations


def missing(heads: Iterable[str], locations: Sequence[Path]) -> list[tuple[str, str]]:
    """The revisions a schema with these heads does not have, oldest first: (id, what it brings).

    By the numbers of the branches, so that heads of a newer build, which this one cannot look up, are understood.
    """
    reached = dict(map(numbered, heads))
    found = []
    for file in _files(locations):
        branch, number = numbered(file.stem)
        if number > reached.get(branch, 0):
            found.append((branch != ENGINE, file.stem, brings(file)))
    return [(revision, text) for _, revision, text in sorted(found)]


async def applied_heads(database: PostgresDatabase, schema: str) -> list[str]:
    """The last revision of each branch that ``schema`` has; [] where nothing was ever applied."""
    async with database.connection("reading the schema's history") as connection:
        table = f'"{schema}".alembic_version'
        if await connection.fetchval("SELECT to_regclass($1)", table) is None:
            return []
        records: Sequence[Any] = await connection.fetch(f"SELECT version_num FROM {table}")  # noqa: S608 - our own name
        return [record[0] for record in records]


def numbered(revision: str) -> tuple[str, int]:
    """Branch and number of a revision's id; :class:`MigrationRefused` if it is none."""
    parts = _REVISION.match(revision)
    if parts is None:
        raise MigrationRefused(f"{revision!r} is not a revision id: <branch>_<four digits>")
    return parts[1], int(parts[2])


def brings(file: Path) -> str:
    """What a revision says of itself in its first line; :class:`MigrationRefused` if a file of SQL says nothing."""
    content = file.read_text("utf-8")
    if file.suffix == ".py":
        return (ast.get_docstring(ast.parse(content)) or "").partition("\n")[0]
    first = re.match(r"-- *(\S.*)", content)
    if first is None:
        raise MigrationRefused(f"{file.name} does not say in its first line what it brings: -- Bills, and their lines.")
    return first[1].strip()


def _files(locations: Sequence[Path]) -> list[Path]:
    files = (file for location in locations for pattern in ("*.py", "*.sql") for file in location.glob(pattern))
    return sorted(file for file in files if file.stem != "__init__")
