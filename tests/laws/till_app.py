"""The toy service as a real process: ``uvicorn tests.laws.till_app:app``.

A parcel with the note ``exit`` ends the process and one with ``crash`` raises, until the file named by ``TILL_MENDED``
exists.
"""

from __future__ import annotations

import os
from pathlib import Path

from shared.operations.process import application
from tests.engine import till as toy
from tests.laws.names import EXIT_BY_RECORD, REVISIONS

__all__ = ["app"]

MENDED = Path(os.environ.get("TILL_MENDED", "/nowhere"))

raising = toy.stumble


def stumble(note: str) -> None:
    """What the toy does wrong, and worse."""
    if MENDED.exists():
        return
    if note == "exit":
        os._exit(EXIT_BY_RECORD)
    raising(note)


toy.stumble = stumble
app = application(toy.till, revisions=REVISIONS)
