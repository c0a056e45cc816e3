"""Where things lie: services side by side, each a folder with its composition root and the revisions of its schema.

Nothing lists the services. A folder ``services/<name>`` with an ``app.py`` is one; everything else asks here.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

__all__ = ["ROOT", "ServiceMisnamed", "folder_of", "revisions_of", "service_names", "services_root"]

ROOT = Path(__file__).resolve().parents[2]
"""Where ``shared`` lies."""

_NAME = re.compile(r"[a-z][a-z0-9]*")
"""A service's name is part of topics, wire types, environment names and revision ids, and a role of the database."""


class ServiceMisnamed(Exception):
    """A folder is a service by its ``app.py``, but its name cannot be one; the text names the folder."""


def services_root() -> Path:
    """Where Python finds the package ``services``."""
    return Path(import_module("services").__path__[0])


def service_names() -> tuple[str, ...]:
    """The services there are, in the order of their names; raises :class:`ServiceMisnamed`."""
    names = tuple(sorted(root.parent.name for root in services_root().glob("*/app.py")))
    if wrong := [name for name in names if not _NAME.fullmatch(name)]:
        raise ServiceMisnamed(f"services/{wrong[0]}: a service is named by one word of lower-case letters and digits")
    return names


def folder_of(service_name: str) -> Path:
    """Everything of one service."""
    return services_root() / service_name


def revisions_of(service_name: str) -> Path:
    """The folder of a service's own schema revisions."""
    return folder_of(service_name) / "migrations"
