"""A killed PostgreSQL leaves sessions behind that are still at work; the next one starts when they are done."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg

from shared.local.ports import free_port
from shared.local.postgres import SUPERUSER, Postgres

BUSY = """
DO $$ BEGIN WHILE clock_timestamp() < now() + interval '3 s' LOOP NULL; END LOOP; END $$
"""
"""Never waits for anything, so it does not see that its server is gone."""


def test_a_killed_server_starts_again_when_its_last_session_has_ended(tmp_path: Path) -> None:
    passwords = {SUPERUSER: "secret"}
    server = Postgres(
        tmp_path / "postgres", port=free_port(), passwords=passwords, log=tmp_path / "postgres.log", durable=False
    )
    server.start()
    try:
        connection = psycopg.connect(server.dsn(), autocommit=True)
        session = psutil.Process(connection.info.backend_pid)
        working = threading.Thread(target=work, args=(connection,))
        working.start()
        while "DO" not in " ".join(session.cmdline()):  # it says what it is doing
            pass
        psutil.Process(server.pid).kill()
        while server.alive:
            pass
        assert session.is_running()
        server.start()
        assert not session.is_running() or session.status() == psutil.STATUS_ZOMBIE
        working.join()
        with psycopg.connect(server.dsn()) as again:
            assert again.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.stop()


def work(connection: psycopg.Connection) -> None:
    with suppress(psycopg.OperationalError):
        connection.execute(BUSY)
