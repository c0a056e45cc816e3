"""A child on its leash: it ends with its parent, and what it holds is free only then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from shared.local.lock import FileLock, holder
from shared.local.process import LEASH, Process, StartFailed, await_answer, wheel

WAIT = (sys.executable, "-c", "import time; time.sleep(600)")


def test_a_child_started_by_a_thread_outlives_that_thread(tmp_path: Path) -> None:
    children: list[Process] = []
    thread = threading.Thread(target=lambda: children.append(Process("child", WAIT, log=tmp_path / "log")))
    thread.start()
    thread.join()
    (child,) = children
    with pytest.raises(psutil.TimeoutExpired):
        psutil.Process(child.pid).wait(0.3)
    child.stop()
    assert child.exit_code == -signal.SIGTERM


def test_a_lock_stays_taken_while_a_child_that_holds_it_lives(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.take()
    assert holder(lock.path) == os.getpid()
    child = Process("child", WAIT, log=tmp_path / "log", held=(lock.fileno,))
    lock.leave()
    assert not FileLock(lock.path).take(patience_s=0.1)
    child.stop()
    assert FileLock(lock.path).take()


def test_nobody_holds_a_lock_that_was_left_or_never_was(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert holder(lock.path) is None
    assert lock.take()
    lock.leave()
    assert holder(lock.path) is None


def test_where_the_kernel_has_no_leash_a_guard_ends_the_orphan() -> None:
    orphan = subprocess.Popen(WAIT)
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", str(LEASH), "guard", str(orphan.pid), str(int(signal.SIGKILL))],
        stdin=subprocess.PIPE,
    )
    guard.communicate()  # closes the pipe, as the death of a supervisor does
    assert orphan.wait() == -signal.SIGKILL


def test_a_guard_leaves_alone_what_was_let_go(tmp_path: Path) -> None:
    child = Process("child", WAIT, log=tmp_path / "log", leashed=False)
    stranger = Process("stranger", WAIT, log=tmp_path / "log")
    child.stop()
    assert stranger.alive
    stranger.stop()


def test_a_server_that_ends_instead_of_answering_is_quoted(tmp_path: Path) -> None:
    hasty = Process("hasty", (sys.executable, "-c", "raise SystemExit('no room left')"), log=tmp_path / "log")
    with pytest.raises(StartFailed, match="hasty ended at once with exit code 1: no room left"):
        await_answer(hasty, lambda: False, 60)


def test_a_platform_without_a_wheel_gets_one_clear_line() -> None:
    with pytest.raises(StartFailed, match=r"no_such_wheel is not installed or has no wheel for .*docker compose up"):
        wheel("no_such_wheel")


def test_an_overlong_log_is_put_aside_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.local.process.LOG_LIMIT_BYTES", 3)
    log = tmp_path / "chatty.log"
    for _ in range(2):
        Process("chatty", (sys.executable, "-c", "print('a line')"), log=log).finish(60)
    assert log.read_text() == "a line\n"
    assert (tmp_path / "chatty.old.log").read_text() == "a line\n"
