"""A child process that cannot outlive us: started on a leash, logged to a file, stopped politely and then firmly."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["EX_CONFIG", "Account", "Misconfigured", "Process", "StartFailed", "await_answer", "tail", "wheel"]

EX_CONFIG = 78
LEASH = Path(__file__).with_name("leash.py")
LOG_LIMIT_BYTES = 20 * 1024 * 1024
TAIL_LINES = 15

# Linux ends a leash when the *thread* that held it ends, so one thread that lasts as long as we do starts every child.
_holder = ThreadPoolExecutor(max_workers=1, thread_name_prefix="leash-holder")


class StartFailed(Exception):
    """A server or program could not be started. Its text is one clear line; ``tail`` is the end of its log."""

    def __init__(self, message: str, tail: str = "") -> None:
        super().__init__(message)
        self.tail = tail


class Misconfigured(StartFailed):
    """A program says (exit code 78) that its settings are wrong: starting it again would not help."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a child runs as. ``reach`` lets it pass directories that are closed to that user."""

    uid: int
    gid: int
    reach: bool = False


class Process:
    """One running child. Its output is appended to ``log``; ``held`` are files (locks) it keeps open while it lives."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        account: Account | None = None,
        orphan_signal: signal.Signals = signal.SIGKILL,
        held: Sequence[int] = (),
        leashed: bool = sys.platform == "linux",
    ) -> None:
        self.name = name
        self.log = log
        who = account or Account(0, 0)
        leash = ["run", os.getpid(), int(orphan_signal), who.uid, who.gid, int(who.reach), *argv]
        home = "/" if account else None  # where we stand may be closed to another user
        self._popen = _holder.submit(_spawn, leash, log, env, home, held).result()
        self._guard = None if leashed else _holder.submit(_spawn_guard, self.pid, orphan_signal).result()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    @property
    def alive(self) -> bool:
        return self.exit_code is None

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of its log."""
        return tail(self.log, lines)

    def last_words(self) -> str:
        """The last line of its log that says anything."""
        return next((line.strip() for line in reversed(self.tail().splitlines()) if line.strip()), "no output")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; one that has ended already is left in peace."""
        if self.alive:
            self._popen.send_signal(number)

    def stop(self, grace_s: float = 15.0, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, and after ``grace_s`` seconds end it and its process group."""
        self.send(number)
        self.finish(grace_s)

    def finish(self, grace_s: float) -> None:
        """Wait for its end; after ``grace_s`` seconds end it and its process group."""
        try:
            self._popen.wait(grace_s)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()
        if self._guard is not None:
            self._guard.communicate(b"gone\n")


def await_answer(process: Process, answers: Callable[[], bool], timeout_s: float) -> None:
    """Wait until ``process`` answers. Raises StartFailed with the end of its log if it ends first or takes too long."""
    until = time.monotonic() + timeout_s
    while not answers():
        if not process.alive:
            message = f"{process.name} ended at once with exit code {process.exit_code}: {process.last_words()}"
            raise StartFailed(message, process.tail())
        if time.monotonic() >= until:
            raise StartFailed(f"{process.name} did not answer within {timeout_s:.0f} s", process.tail())
        time.sleep(0.05)


def wheel(package: str) -> Path:
    """Where pip put a package that carries programs. Raises StartFailed where it has none for this platform."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        platform = sysconfig.get_platform()
        raise StartFailed(
            f"the embedded servers do not run here: {package} is not installed or has no wheel for {platform}; "
            "use `docker compose up` instead"
        )
    return Path(spec.submodule_search_locations[0])


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log file, empty where there is none."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - lines * 400))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def _spawn(
    leash: Sequence[object], log: Path, env: Mapping[str, str] | None, home: str | None, held: Sequence[int]
) -> subprocess.Popen[bytes]:
    with _opened(log) as output:
        return subprocess.Popen(  # noqa: S603 - the programs are ours
            [sys.executable, "-I", "-S", str(LEASH), *map(str, leash)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=home,
            pass_fds=held,
            start_new_session=True,  # Ctrl-C at the terminal is for the supervisor, which stops its children in order
        )


def _spawn_guard(pid: int, orphan_signal: signal.Signals) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", str(LEASH), "guard", str(pid), str(int(orphan_signal))]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603


def _opened(log: Path) -> IO[bytes]:
    """The log, opened for appending; one that has grown too long is put aside first."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".old.log"))
    return log.open("ab")
