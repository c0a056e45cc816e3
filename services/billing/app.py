"""The billing service as one ASGI application: ``uvicorn services.billing.app:app``."""

import services.billing.handlers  # noqa: F401 - importing them registers them
from services.billing.service import billing
from services.billing.views import views
from shared.operations.process import application

__all__ = ["app"]

app = application(billing, views=[views])
