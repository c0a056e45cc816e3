"""Spans for OpenTelemetry: every message that is handled is one, in the trace of the message that caused it.

What a message brings about carries its span's context, so a trace runs through every hop, deadlines and adapters
included. Spans exist where the deployment has configured an SDK (as ``opentelemetry-instrument`` does); without one
there is no tracer, and the context a message came with is handed on as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import time_ns

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ["MessageSpan", "Traces"]

_W3C = TraceContextTextMapPropagator()


class MessageSpan:
    """The handling of one message. Implements ``shared.engine.monitor.Span``."""

    def __init__(self, span: trace.Span) -> None:
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(span, Context()))
        self.traceparent = carrier.get("traceparent")  # none if the SDK is switched off
        self._span = span
        self._stopped_ns: int | None = None

    def stop(self, outcome: str, *, failed: bool = False) -> None:
        self._stopped_ns = time_ns()
        self._span.set_attribute("houfu.outcome", outcome)
        if failed:
            self._span.set_status(trace.StatusCode.ERROR, outcome)

    def tell(self) -> None:
        self._span.end(self._stopped_ns)

    @contextmanager
    def current(self) -> Iterator[None]:
        """While the block runs, what instrumented clients do belongs to this span."""
        with trace.use_span(self._span, record_exception=False, set_status_on_exception=False):
            yield


class Traces:
    """Begins the spans of one service or adapter. Implements ``shared.engine.monitor.Tracer``."""

    def __init__(self, name: str, provider: trace.TracerProvider) -> None:
        self._name = name
        self._tracer = provider.get_tracer("houfu")

    @classmethod
    def configured(cls, name: str) -> Traces | None:
        """The traces of a process; None where the deployment has configured no SDK."""
        provider = trace.get_tracer_provider()
        return None if isinstance(provider, trace.ProxyTracerProvider) else cls(name, provider)

    def begin(self, message_type: str, message_id: str, correlation_id: str, traceparent: str | None) -> MessageSpan:
        """The parent is the context the message came with; a message without one begins a trace."""
        parent = _W3C.extract({"traceparent": traceparent}, Context()) if traceparent else Context()
        attributes = {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.message.id": message_id,
            "messaging.message.conversation_id": correlation_id,
        }
        name = f"{self._name} {message_type}"
        return MessageSpan(self._tracer.start_span(name, parent, trace.SpanKind.CONSUMER, attributes))
