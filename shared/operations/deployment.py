"""What this build can run: its services and its adapters, found where the house keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec

from services.notify.adapters.smtp import smtp
from shared.contracts.billing import ReportCollection
from shared.contracts.message import Command
from shared.contracts.notify import ReportNoticeDelivery
from shared.contracts.refunds import ReportPayout
from shared.engine.service import Service
from shared.integration.adapter import Adapter
from shared.integration.sandbox import sandbox_provider
from shared.operations.applications import Application
from shared.operations.house import service_names

__all__ = ["adapters", "applications", "service_of", "services"]


def services() -> tuple[Service, ...]:
    """These services with all their handlers registered."""
    return tuple(service_of(name) for name in service_names())


def service_of(name: str) -> Service:
    """One service with all its handlers registered.

    Its app is left alone where it has more rooms than that: the app brings a whole web server with it.
    """
    rooms = [room for room in ("handlers", "service") if find_spec(f"services.{name}.{room}")] or ["app"]
    modules = [import_module(f"services.{name}.{room}") for room in rooms]
    service: Service = getattr(modules[-1], name)
    return service


def adapters() -> tuple[Adapter, ...]:
    """The adapters the product ships."""
    return (sandbox_provider, smtp)


def applications() -> tuple[Application, ...]:
    """The same adapters as the published reference describes them."""
    return (
        _described(
            sandbox_provider,
            "The sandbox's payment provider: takes and pays money, or not, as the instrument's token says.",
            sends=[ReportCollection, ReportPayout],
        ),
        _described(smtp, "Mails the notices of the channel EMAIL.", sends=[ReportNoticeDelivery]),
    )


def _described(adapter: Adapter, meaning: str, sends: Iterable[type[Command]]) -> Application:
    consumes = {reaction.event: reaction.name for reaction in adapter.reactions}
    return Application.adapter(adapter.name, meaning, consumes=consumes, sends=sends)
