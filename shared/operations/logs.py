"""Structured logs: one line an event, with the service's name, readable in a terminal and by machines."""

from __future__ import annotations

import logging
import sys
from time import monotonic
from typing import Any

import structlog

__all__ = ["configure_logs"]

NOISY = ("aiokafka", "houfu.broker")
"""A broker outage makes these write thousands of lines; each text is let through once in a while."""

QUIET_S = 10.0


class _OnceInAWhile(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = monotonic()
        mark = f"{record.name}:{record.lineno}"
        if now - self._last.get(mark, -QUIET_S) < QUIET_S:
            return False
        self._last[mark] = now
        return True


def configure_logs(level: str, service: str) -> None:
    """Send every log, the libraries' too, through one chain to standard error."""
    chain: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*chain, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    renderer = structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "service", "event"])
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    quiet = _OnceInAWhile()
    handler.addFilter(lambda record: not record.name.startswith(NOISY) or quiet.filter(record))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for library in ("aiokafka", "alembic", "houfu.broker"):
        logging.getLogger(library).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)
