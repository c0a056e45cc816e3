"""Free ports on loopback."""

from __future__ import annotations

import random
import socket

__all__ = ["HOST", "free_port", "is_free"]

HOST = "127.0.0.1"

# Below the range from which systems draw the local ends of outgoing connections: one of those would take our port
# between two starts.
RANGE = range(20_000, 30_000)

_given: set[int] = set()


def free_port(preferred: int | None = None) -> int:
    """``preferred`` if nothing listens there, else another port that is free and was not given out by us before."""
    if preferred is not None and is_free(preferred):
        return preferred
    for port in random.sample(RANGE, k=1_000):
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no free port on {HOST} between {RANGE.start} and {RANGE.stop - 1}")


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections fading away do not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
