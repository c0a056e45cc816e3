"""A service without handlers for which something is not as it must be: ``uvicorn tests.laws.kiosk_app:app`` refuses."""

from __future__ import annotations

import os

from shared.engine.service import Service
from shared.operations.process import application
from tests.engine.till import TillRejected
from tests.laws.names import REVISIONS

__all__ = ["app"]

app = application(Service(os.environ["KIOSK"], rejected=TillRejected), revisions=REVISIONS)
