"""What this build can run: its services and its adapters, found where the house keeps them."""

from __future__ import annotations

from importlib import import_module

from shared.contracts.billing import CollectionPending, CollectionRequested, ReportCollection
from shared.contracts.message import known_services
from shared.engine.service import Service
from shared.integration.adapter import Adapter
from shared.integration.sandbox import sandbox_provider
from shared.operations.applications import Application
from shared.operations.process import ROOT

__all__ = ["adapters", "applications", "service_names", "services"]


def service_names() -> tuple[str, ...]:
    """The services that have a composition root, ``services/<name>/app.py``."""
    return tuple(name for name in known_services() if (ROOT / "services" / name / "app.py").exists())


def services() -> tuple[Service, ...]:
    """These services with all their handlers registered."""
    for name in service_names():
        import_module(f"services.{name}.handlers")
    return tuple(getattr(import_module(f"services.{name}.service"), name) for name in service_names())


def adapters() -> tuple[Adapter, ...]:
    """The adapters the product ships."""
    return (sandbox_provider,)


def applications() -> tuple[Application, ...]:
    """The same adapters as the published reference describes them."""
    answers = "shared.integration.sandbox"
    return (
        Application.adapter(
            sandbox_provider.name,
            "The sandbox's payment provider: takes money or declines as the instrument's token says.",
            consumes={CollectionRequested: f"{answers}.collect", CollectionPending: f"{answers}.look_up"},
            sends=[ReportCollection],
        ),
    )
