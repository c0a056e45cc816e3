"""Structured logs: one line an event, with the service's name; JSON for machines, key=value for who sits in front.

A line about a message names it by ``message_id``, ``correlation_id`` and ``type``. Nothing a message says reaches a
log (law 8): of an exception the kinds and places are told, and what it says only where it cannot quote a payload.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from time import monotonic
from typing import Any, Literal

import structlog

from shared.engine.ports import DataRefused, Unavailable

__all__ = ["LogFormat", "configure_logs"]

LogFormat = Literal["json", "console", ""]
"""How a line looks; empty: readable on a terminal, JSON anywhere else."""

NOISY = ("aiokafka", "houfu.broker")
"""A broker outage makes these write thousands of lines; each text is let through once in a while."""

QUIET_S = 10.0

SPEAKING = (Unavailable, DataRefused, OSError)
"""Exceptions whose text names settings, statements, tables and addresses, and never a value of a message."""

CHAIN_MAX = 5
"""Most exceptions of a chain that are told."""

FIRST = ("timestamp", "level", "service", "event")

Line = MutableMapping[str, Any]


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


def configure_logs(level: str, service: str, form: LogFormat = "") -> None:
    """Send every log, the libraries' too, through one chain to standard error."""

    def name_service(_: Any, __: str, line: Line) -> Line:
        return {"service": service, **line}

    chain: list[Any] = [
        structlog.contextvars.merge_contextvars,
        name_service,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _place_exception,
    ]
    structlog.configure(
        processors=[*chain, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_add_facts, *chain],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(form)],
        )
    )
    quiet = _OnceInAWhile()
    handler.addFilter(lambda record: not record.name.startswith(NOISY) or quiet.filter(record))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for library in ("aiokafka", "alembic", "houfu.broker"):
        logging.getLogger(library).setLevel(logging.WARNING)
    for server in ("uvicorn", "uvicorn.error", "uvicorn.access"):  # it has brought handlers of its own
        logging.getLogger(server).handlers.clear()
        logging.getLogger(server).propagate = True


def _rendering(form: LogFormat) -> list[Any]:
    if (form or ("console" if sys.stderr.isatty() else "json")) == "console":
        return [structlog.processors.KeyValueRenderer(key_order=list(FIRST))]
    return [_in_order, structlog.processors.JSONRenderer(default=str, ensure_ascii=False)]


def _in_order(_: Any, __: str, line: Line) -> Line:
    return {**{name: line.get(name) for name in FIRST}, **line}


def _add_facts(_: Any, __: str, line: Line) -> Line:
    """What the engine, which knows no structlog, says beside the event; other libraries' extras may hold anything."""
    return {**line, **getattr(line["_record"], "facts", {})}


def _place_exception(_: Any, __: str, line: Line) -> Line:
    given = line.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else sys.exc_info()[1] if given is True else given
    if isinstance(error, BaseException):
        line["exception"] = "\n".join(_told(error))
    return line


def _told(error: BaseException, depth: int = 1) -> Iterator[str]:
    """An exception and what led to it, the first one first: frames and kinds."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and depth < CHAIN_MAX:
        yield from _told(before, depth + 1)
        yield "which led to"
    yield from (frame.rstrip() for frame in traceback.format_tb(error.__traceback__))
    yield f"{type(error).__name__}: {error}" if isinstance(error, SPEAKING) else type(error).__name__
    for one in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        if depth < CHAIN_MAX:
            yield from _told(one, depth + 1)
