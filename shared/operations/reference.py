"""The reference that is generated, never written: AsyncAPI, JSON Schemas, the pages of all messages and all metrics.

Everything comes from the contracts, the handler registry, the adapters' descriptions and the catalogue of metrics; the
same input gives the same bytes. A schema that was published is replaced only by a compatible one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from shared.engine.service import Service
from shared.operations.applications import Application, application_of
from shared.operations.asyncapi import asyncapi_document, to_yaml
from shared.operations.event_pages import events_page
from shared.operations.metric_pages import metrics_page
from shared.operations.schemas import compatible, published_messages, schema_of

__all__ = ["IncompatibleChange", "export", "reference", "stale"]

CONTRACTS_VERSION = "1.0.0"
"""Version of the contracts as a whole; messages have versions of their own in their types."""


class IncompatibleChange(Exception):
    """A published message would change in a way that breaks those who know it; ``changes`` has one line each."""

    def __init__(self, changes: list[str]) -> None:
        super().__init__("; ".join(changes))
        self.changes = changes


def export(services: Iterable[Service], adapters: Iterable[Application], directory: Path) -> list[Path]:
    """Write the reference below ``directory`` and give back what was written.

    :class:`IncompatibleChange` if a schema that stands there would be broken: declare a new version instead.
    """
    files = reference(services, adapters)
    broken = [
        f"{name}: {change}"
        for name, text in files.items()
        if name.endswith(".json") and (directory / name).exists()
        for change in compatible(json.loads((directory / name).read_text("utf-8")), json.loads(text))
    ]
    if broken:
        raise IncompatibleChange(broken)
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text, "utf-8")
    return [directory / name for name in files]


def stale(services: Iterable[Service], adapters: Iterable[Application], directory: Path) -> list[str]:
    """What below ``directory`` is missing, differs from what :func:`export` would write, or belongs to no message."""
    files = reference(services, adapters)
    found = []
    for name, text in files.items():
        path = directory / name
        if not path.exists():
            found.append(f"{name} is missing")
        elif path.read_text("utf-8") != text:
            found.append(f"{name} is out of date")
    known = {directory / name for name in files}
    found += [
        f"schemas/{path.name}: its message is gone"
        for path in sorted((directory / "schemas").glob("*.json"))
        if path not in known
    ]
    return found


def reference(services: Iterable[Service], adapters: Iterable[Application]) -> dict[str, str]:
    """Every file of the reference by its name below the documentation's directory."""
    messages = published_messages()
    applications = [*(application_of(service) for service in services), *adapters]
    files = {
        "asyncapi.yaml": to_yaml(asyncapi_document(messages, applications, CONTRACTS_VERSION)),
        "events.md": events_page(messages, applications),
        "metrics.md": metrics_page(),
    }
    for kind in messages:
        files[f"schemas/{kind.TYPE}.json"] = json.dumps(schema_of(kind), indent=2, ensure_ascii=False) + "\n"
    return files
