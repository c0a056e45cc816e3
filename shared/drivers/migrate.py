'''Bring a service's schema up to date: ``houfu migrate``, never a replica at boot.

Every schema has two branches of revisions side by side: ``engine`` (in this package) and the service's own, in
``services/<name>/migrations``. A revision is a file of plain SQL named ``<branch>_<four digits>.sql``. It says in its
first line what it brings, and within a release it only adds (a column that may be NULL or has a default, a table, an
index), so that the build before it goes on running::

    -- Bills, and the lines on them.                         (services/billing/migrations/billing_0002.sql)
    CREATE TABLE bill (
        buyer_id text NOT NULL,
        bill_id  text NOT NULL,
        status   text NOT NULL CHECK (status IN ('OPEN', 'PAID')),
        PRIMARY KEY (buyer_id, bill_id)
    ) WITH (fillfactor = 70);
    CREATE INDEX bill_live ON bill (buyer_id) WHERE status IN ('OPEN');

The same as one of Alembic's Python files is understood as well::

    """Bills, and the lines on them."""                      # services/billing/migrations/billing_0002.py

    from alembic import op

    revision = "billing_0002"                                # the name of the file
    down_revision = "billing_0001"                           # None in the first one, which also has
    branch_labels = None                                     # branch_labels = ("billing",)

    def upgrade() -> None:
        op.execute("""CREATE TABLE bill (…""")

Table names are unqualified. One run is one transaction under an advisory lock: it takes place whole or not at all,
once, however many migrators start at the same moment. There is no way down: the way back is a restored backup or
another revision.
'''

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
from alembic import op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, create_engine, exc, text
from sqlalchemy.pool import NullPool

from shared.drivers.postgres import fence_class
from shared.drivers.revisions import ENGINE_REVISIONS, MigrationRefused, brings, folders, missing, numbered
from shared.engine.ports import Unavailable

__all__ = ["ENGINE_REVISIONS", "MigrationRefused", "migrate", "pending"]

MIGRATION_LANE = -1
"""The lock of a migrator among the service's advisory locks, whose other members are lanes."""

CONNECT_TIMEOUT_S = 10


def migrate(
    dsn: str, service: str, version_locations: Sequence[Path | str] = (), *, schema: str | None = None
) -> list[str]:
    """Apply what is pending of the engine's and the given revisions and return their ids, oldest first.

    ``schema`` (by default the service's name) is created where it does not exist.
    Raises :class:`Unavailable` or :class:`MigrationRefused`.
    """
    locations = folders(version_locations)
    with _connected(dsn) as connection:
        _enter(connection, service, schema or service)
        open_ = missing(_heads(connection, schema or service), locations)
        if open_:
            _upgrade(_script(locations), connection, schema or service)
        connection.commit()
        return [revision for revision, _ in open_]


def pending(
    dsn: str, service: str, version_locations: Sequence[Path | str] = (), *, schema: str | None = None
) -> list[str]:
    """The revisions this build needs and the schema has not, as ``id: what it brings``; raises :class:`Unavailable`.

    A schema that is ahead of this build is none of its concern.
    """
    with _connected(dsn) as connection:
        found = missing(_heads(connection, schema or service), folders(version_locations))
    return [f"{revision}: {text}" for revision, text in found]


def _script(locations: Sequence[Path]) -> ScriptDirectory:
    return _Revisions(ENGINE_REVISIONS.parent, version_locations=list(map(str, locations)))


class _Revisions(ScriptDirectory):
    """Alembic's history, made of files of plain SQL as well as of its own."""

    def _load_revisions(self) -> Iterator[Script]:
        yield from super()._load_revisions()
        for location in self._version_locations:
            yield from map(_of_sql, sorted(location.glob("*.sql")))


def _of_sql(file: Path) -> Script:
    """A file of SQL as the module Alembic would have it be."""
    branch, number = numbered(file.stem)
    sql = file.read_text("utf-8")
    module: Any = ModuleType(file.stem, brings(file))
    module.down_revision = f"{branch}_{number - 1:04d}" if number > 1 else None
    module.branch_labels = (branch,) if number == 1 else None
    module.upgrade = partial(op.execute, sql.replace(":", r"\:"))  # a colon is no parameter here
    return Script(module, file.stem, file)


@contextmanager
def _connected(dsn: str) -> Iterator[Connection]:
    """One connection in one transaction, rolled back unless it is committed."""
    url = "postgresql+psycopg://"
    engine = create_engine(url, poolclass=NullPool, creator=lambda: _connect(dsn))
    try:
        with engine.connect() as connection:
            yield connection
    except exc.OperationalError as reason:
        raise Unavailable(f"the database did not answer: {reason.orig}") from reason
    except exc.DBAPIError as reason:
        raise MigrationRefused(str(reason.orig)) from reason


def _connect(dsn: str) -> Any:
    return psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S)


def _enter(connection: Connection, service: str, schema: str) -> None:
    """Wait for other migrators of this schema, without the limits a replica's role may have, and step into it."""
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    lock = {"service": fence_class(service), "lane": MIGRATION_LANE}
    connection.execute(text("SELECT pg_advisory_xact_lock(:service, :lane)"), lock)
    known = text("SELECT FROM pg_namespace WHERE nspname = :schema")
    if connection.execute(known, {"schema": schema}).first() is None:
        connection.execute(text(f'CREATE SCHEMA "{schema}"'))
    connection.execute(text(f'SET LOCAL search_path TO "{schema}"'))


def _heads(connection: Connection, schema: str) -> tuple[str, ...]:
    context = MigrationContext.configure(connection, opts={"version_table_schema": schema})
    return context.get_current_heads()


def _upgrade(script: ScriptDirectory, connection: Connection, schema: str) -> None:
    def steps(heads: Any, _: MigrationContext) -> Any:
        return script._upgrade_revs("heads", heads)

    with EnvironmentContext(Config(), script, fn=steps, destination_rev="heads") as environment:
        environment.configure(connection=connection, version_table_schema=schema)
        environment.run_migrations()
