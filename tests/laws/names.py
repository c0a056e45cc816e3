"""What the toy till and its tests must agree on, without one importing the other."""

from pathlib import Path

__all__ = ["EXIT_BY_RECORD", "REVISIONS", "TILL_TOPICS"]

REVISIONS = Path(__file__).parent / "till_migrations"

TILL_TOPICS = ("till.commands", "till.events", "till.dlq", "depot.events")

EXIT_BY_RECORD = 9
"""Exit code of a till that met a parcel with the note ``exit``."""
