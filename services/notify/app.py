"""The notify service as one ASGI application: ``uvicorn services.notify.app:app``."""

import services.notify.handlers  # noqa: F401 - importing them registers them
from services.notify.service import notify
from services.notify.views import views
from shared.operations.process import application

__all__ = ["app"]

app = application(notify, views=[views])
