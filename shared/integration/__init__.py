"""The kit for everyone outside: read events, do I/O, answer with commands.

An adapter is written with three names: :class:`Adapter` registers answers, :func:`main` runs them as a process, and an
answer raises :class:`Unavailable` when the world outside does not answer now (the event is then tried again).
"""

from shared.engine.ports import Unavailable
from shared.integration.adapter import Adapter
from shared.integration.process import main

__all__ = ["Adapter", "Unavailable", "main"]
