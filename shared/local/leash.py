"""The leash: becomes a server or service after tying its life to the supervisor's.

Run by path as a program of its own, standard library only, so that the supervisor needs no code between fork and exec:

    leash.py run PARENT_PID ORPHAN_SIGNAL UID GID REACH PROGRAM [ARGUMENT ...]
    leash.py guard PID ORPHAN_SIGNAL

``run`` keeps its pid: it gives up root (UID and GID above 0), asks Linux for ORPHAN_SIGNAL at the death of its parent
and executes PROGRAM. ``guard`` is the stand-in where the kernel knows no such signal: it waits for the end of its
standard input, which the supervisor holds open, and signals PID unless a line has told it that PID is gone.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def run(parent_pid: int, orphan_signal: int, uid: int, gid: int, reach: bool, program: list[str]) -> None:
    """Become ``program``; never returns. Exit 1 says that it could not, or that the parent is gone already."""
    if uid:
        give_up_root(uid, gid, reach=reach and sys.platform == "linux")
    if sys.platform == "linux":
        # Asked for after the change of user, which clears it; then the race with a parent that died meanwhile.
        _prctl(PR_SET_PDEATHSIG, orphan_signal)
        if os.getppid() != parent_pid:
            sys.exit(1)
    try:
        os.execv(program[0], program)  # noqa: S606
    except OSError as error:
        sys.exit(f"cannot run {program[0]}: {error.strerror}")


def give_up_root(uid: int, gid: int, *, reach: bool) -> None:
    """Become an ordinary user; with ``reach`` one that may still pass directories closed to others, such as /root."""
    if reach:
        _prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if reach:
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        wanted = 1 << CAP_DAC_OVERRIDE
        _call("capset", header, (ctypes.c_uint32 * 6)(wanted, wanted, wanted, 0, 0, 0))
        _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE)


def guard(pid: int, orphan_signal: int) -> None:
    """Wait for the supervisor's end of the pipe to close; signal ``pid`` unless it was let go before."""
    if not sys.stdin.readline():
        os.kill(pid, orphan_signal)


def _prctl(option: int, first: int, second: int = 0) -> None:
    _call("prctl", option, *map(ctypes.c_ulong, (first, second, 0, 0)))


def _call(function: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, function)(*arguments) != 0:
        error = ctypes.get_errno()
        sys.exit(f"{function}: {os.strerror(error)}")


if __name__ == "__main__":
    mode, *words = sys.argv[1:]
    if mode == "guard":
        guard(int(words[0]), int(words[1]))
    else:
        run(int(words[0]), int(words[1]), int(words[2]), int(words[3]), words[4] == "1", words[5:])
