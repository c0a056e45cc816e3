"""What is seen of a process: its log as machines read it."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from shared.operations.logs import LogFormat, configure_logs


class Lines:
    """A log that is written to memory."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.read if line["event"] == event]


Configure = Callable[..., Lines]


@pytest.fixture
def logging_as(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Configures the logs as a process does, and leaves them as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level

    def configure(level: str = "info", service: str = "till", form: LogFormat = "") -> Lines:
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        configure_logs(level, service, form)
        return Lines(stream)

    yield configure
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
