"""The checkout service as one ASGI application: ``uvicorn services.checkout.app:app``."""

from collections.abc import Iterable

import services.checkout.handlers  # noqa: F401 - importing them registers them
from services.checkout.rules.proof import PaymentProofs
from services.checkout.service import checkout
from services.checkout.settings import CheckoutSettings
from services.checkout.views import views
from shared.operations.process import application
from shared.operations.settings import read_settings

__all__ = ["app"]


def resources() -> Iterable[object]:
    """What checkout's handlers ask for beyond the tenant's calendar."""
    settings = read_settings(CheckoutSettings)
    yield PaymentProofs(settings.payment_proof_secret.get_secret_value())


app = application(checkout, resources=resources, views=[views])
