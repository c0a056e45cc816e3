"""The billing service as one ASGI application: ``uvicorn services.billing.app:app``."""

import services.billing.handlers  # noqa: F401 - importing them registers them
from services.billing.service import billing
from shared.operations.process import application

__all__ = ["app"]

app = application(billing)
