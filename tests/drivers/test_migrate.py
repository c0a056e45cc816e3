"""Migrations: once, whole, by one migrator at a time, and known to be missing before a service starts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from shared.drivers.migrate import MigrationRefused, migrate, pending
from shared.engine.ports import Unavailable
from tests.drivers.plans import REVISIONS

SCHEMA = "migrating"

REVISION = '''"""{doc}."""
from alembic import op

revision = "{revision}"
down_revision = {down}
branch_labels = None


def upgrade() -> None:
    op.execute("""{sql}""")
'''


@pytest.fixture
def empty(dsn: str) -> Iterator[str]:
    """A database without the schema."""
    yield dsn
    with psycopg.connect(dsn) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def revision(folder: Path, name: str, down: str | None, sql: str, doc: str = "Something new") -> None:
    (folder / f"{name}.py").write_text(REVISION.format(doc=doc, revision=name, down=repr(down), sql=sql))


def tables(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [SCHEMA])
        return {name for (name,) in found}


def test_both_branches_are_applied_once(empty: str) -> None:
    assert pending(empty, SCHEMA, [REVISIONS]) == [
        "engine_0001: Positions, inbox, outbox, held messages, attempts and the line.",
        "engine_0002: Deadlines of a key are found by the key, even by a plan made while the table was empty.",
        "engine_0003: The mark of a turn of time names the keys it was about.",
        "example_0001: Plans, wallets and the journal.",
    ]
    assert migrate(empty, SCHEMA, [REVISIONS]) == ["engine_0001", "engine_0002", "engine_0003", "example_0001"]
    assert pending(empty, SCHEMA, [REVISIONS]) == []
    assert migrate(empty, SCHEMA, [REVISIONS]) == []
    assert {"position", "held", "plan", "alembic_version"} <= tables(empty)


def test_migrators_that_start_at_the_same_moment_do_the_work_once(empty: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: migrate(empty, SCHEMA, [REVISIONS]), range(3)))
    assert sorted(done) == [[], [], ["engine_0001", "engine_0002", "engine_0003", "example_0001"]]


def test_a_later_revision_is_pending_until_it_is_applied(empty: str, tmp_path: Path) -> None:
    revision(tmp_path, "shop_0001", None, "CREATE TABLE shop (id text)")
    migrate(empty, SCHEMA, [tmp_path])
    revision(tmp_path, "shop_0002", "shop_0001", "ALTER TABLE shop ADD name text", "Shops have names")
    assert pending(empty, SCHEMA, [tmp_path]) == ["shop_0002: Shops have names."]
    assert migrate(empty, SCHEMA, [tmp_path]) == ["shop_0002"]


def test_a_file_of_sql_is_a_revision_and_its_first_line_says_what_it_brings(empty: str, tmp_path: Path) -> None:
    (tmp_path / "shop_0001.sql").write_text("-- Shops: at last\nCREATE TABLE shop (id text CHECK (id LIKE 'a:b%'))")
    revision(tmp_path, "shop_0002", "shop_0001", "ALTER TABLE shop ADD name text")
    (tmp_path / "shop_0003.sql").write_text("-- Towns.\nCREATE TABLE town (id text);\nALTER TABLE shop ADD town text")
    assert pending(empty, SCHEMA, [tmp_path])[-3:] == [
        "shop_0001: Shops: at last",
        "shop_0002: Something new.",
        "shop_0003: Towns.",
    ]
    assert migrate(empty, SCHEMA, [tmp_path])[-3:] == ["shop_0001", "shop_0002", "shop_0003"]
    assert {"shop", "town"} <= tables(empty)
    with psycopg.connect(empty) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(f"INSERT INTO {SCHEMA}.shop VALUES ('ab')")


def test_a_file_of_sql_that_does_not_say_what_it_brings_is_refused(empty: str, tmp_path: Path) -> None:
    (tmp_path / "shop_0001.sql").write_text("CREATE TABLE shop (id text)")
    with pytest.raises(MigrationRefused, match=r"shop_0001\.sql does not say in its first line what it brings"):
        pending(empty, SCHEMA, [tmp_path])


def test_a_run_that_fails_leaves_nothing_behind(empty: str, tmp_path: Path) -> None:
    revision(tmp_path, "shop_0001", None, "CREATE TABLE shop (id text)")
    revision(tmp_path, "shop_0002", "shop_0001", "ALTER TABLE shoe ADD name text")
    with pytest.raises(MigrationRefused, match='relation "shoe" does not exist'):
        migrate(empty, SCHEMA, [tmp_path])
    assert tables(empty) == set()


def test_a_schema_ahead_of_the_build_is_none_of_its_concern(empty: str, tmp_path: Path) -> None:
    revision(tmp_path, "shop_0001", None, "CREATE TABLE shop (id text)")
    migrate(empty, SCHEMA, [tmp_path])
    with psycopg.connect(empty) as connection:
        connection.execute(
            f"UPDATE {SCHEMA}.alembic_version SET version_num = 'shop_0009' WHERE version_num LIKE 'shop%'"
        )
    assert pending(empty, SCHEMA, [tmp_path]) == []
    assert migrate(empty, SCHEMA, [tmp_path]) == []


def test_a_badly_named_revision_and_a_missing_folder_are_named(empty: str, tmp_path: Path) -> None:
    with pytest.raises(MigrationRefused, match="nowhere is not a folder of revisions"):
        migrate(empty, SCHEMA, [tmp_path / "nowhere"])
    revision(tmp_path, "abc123", None, "SELECT 1")
    with pytest.raises(MigrationRefused, match="'abc123' is not a revision id"):
        pending(empty, SCHEMA, [tmp_path])


def test_a_database_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="the database did not answer"):
        pending("postgresql://nobody@127.0.0.1:1/none", "billing")
