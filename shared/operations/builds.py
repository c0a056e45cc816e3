"""Names a build where nobody else does: by a digest of the code that runs."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

from shared.operations.house import ROOT

__all__ = ["digest_of_code"]


def digest_of_code(own: Iterable[Path]) -> str:
    """A digest of everything shared and of these files."""
    digest = blake2b(digest_size=8)
    for path in sorted({*(ROOT / "shared").rglob("*.py"), *own}):
        digest.update(path.read_bytes())
    return digest.hexdigest()
