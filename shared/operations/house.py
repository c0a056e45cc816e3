"""Where things lie: services side by side, each with the revisions of its schema."""

from __future__ import annotations

from pathlib import Path

from shared.contracts.message import known_services

__all__ = ["ROOT", "revisions_of", "service_names"]

ROOT = Path(__file__).resolve().parents[2]
"""Where ``shared`` and ``services`` lie side by side."""


def service_names() -> tuple[str, ...]:
    """The services that have a composition root, ``services/<name>/app.py``."""
    return tuple(name for name in known_services() if (ROOT / "services" / name / "app.py").exists())


def revisions_of(service_name: str) -> Path:
    """The folder of a service's own schema revisions."""
    return ROOT / "services" / service_name / "migrations"
