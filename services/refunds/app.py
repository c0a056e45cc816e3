"""The refunds service as one ASGI application: ``uvicorn services.refunds.app:app``."""

import services.refunds.handlers  # noqa: F401 - importing them registers them
from services.refunds.service import refunds
from services.refunds.views import views
from shared.operations.process import application

__all__ = ["app"]

app = application(refunds, views=[views])
