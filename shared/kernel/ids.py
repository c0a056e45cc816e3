"""Ids of outgoing messages: derived, so that handling a message again names its consequences alike."""

from __future__ import annotations

from hashlib import blake2b

__all__ = ["derived_id"]

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def derived_id(source: str, cause_id: str, index: int) -> str:
    """The UUID (version 8) of the ``index``-th thing that ``source`` made of the message ``cause_id``.

    The same three give the same id in every process and for ever: a republication is recognised by it. Several services
    and adapters answer one message, and whoever reads them all tells their answers apart by the source.
    """
    digest = blake2b(f"{len(source)}:{source}:{cause_id}:{index}".encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-{_VARIANT[digest[16]]}{digest[17:20]}-{digest[20:]}"
