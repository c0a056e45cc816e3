"""What this build can run: its services and its adapters, found where the house keeps them."""

from __future__ import annotations

from importlib import import_module

from shared.contracts.billing import CollectionPending, CollectionRequested, ReportCollection
from shared.engine.service import Service
from shared.integration.adapter import Adapter
from shared.integration.sandbox import sandbox_provider
from shared.operations.applications import Application
from shared.operations.house import service_names

__all__ = ["adapters", "applications", "services"]


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
