"""A lock on a file that says "in use" exactly as long as somebody who holds it lives."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

__all__ = ["FileLock", "holder"]


class FileLock:
    """The lock on ``path``; the file names the process that took it.

    A child that inherits ``fileno`` holds it too: closed by us, the lock goes with the last of them. That is how a new
    start waits for the children of a killed one, without trusting process ids that may belong to strangers by now.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    @property
    def fileno(self) -> int:
        if self._file is None:
            raise ValueError(f"{self.path} is not locked")
        return self._file

    def take(self, patience_s: float = 1.0) -> bool:
        """Take the lock, waiting up to ``patience_s`` seconds; False if somebody else still holds it then."""
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        until = time.monotonic() + patience_s
        while not _locked(file):
            if time.monotonic() >= until:
                os.close(file)
                return False
            time.sleep(0.05)
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        self._file = file
        return True

    def leave(self) -> None:
        """Let go of the lock; children that inherited it go on holding it."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None


def holder(path: Path) -> int | None:
    """The pid of the process that took the lock on ``path``; None if nobody who holds it lives."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        # Shared, so that two who ask at once do not take each other for the holder.
        return None if _locked(file, fcntl.LOCK_SH) else int(os.pread(file, 20, 0) or 0) or None
    finally:
        os.close(file)


def _locked(file: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
