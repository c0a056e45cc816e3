"""The metrics of one process in a Prometheus registry, made from the catalogue and from nothing else."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest

from shared.operations.metrics import CATALOGUE, OTHER, SERIES_MAX, Kind, Metric, Of

__all__ = ["CONTENT_TYPE", "Meters", "NotInCatalogue"]

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # each would double its counter's series


class NotInCatalogue(LookupError):
    """A metric is counted that is not declared, or not for this kind of process, or with other labels."""


class Meters:
    """What a process called ``name`` counts. Labels are given by value, in the order of their declaration.

    Every series also has the label ``service``, which is ``name``.
    """

    def __init__(self, of: Of, name: str) -> None:
        self._name = name
        self._registry = CollectorRegistry()
        self._declared = {one.name: one for one in CATALOGUE if one.of in (of, Of.BOTH)}
        self._families = {name: _family(one, self._registry) for name, one in self._declared.items()}
        self._series: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._sizes = dict.fromkeys(self._declared, 0)
        self._looks: list[Callable[[], None]] = []
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        for metric in self._declared.values():
            if metric.kind is not Kind.GAUGE:  # a rate needs to have seen the 0; a gauge nobody has set says nothing
                for labels in product(*(one.values for one in metric.labels)):
                    self._of(metric, labels)

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """A counter grows."""
        self._of(metric, labels).inc(by)

    def set(self, metric: Metric, *labels: str, to: float) -> None:
        """A gauge stands at ``to``."""
        self._of(metric, labels).set(to)

    def observe(self, metric: Metric, *labels: str, value: float) -> None:
        """A histogram has one value more."""
        self._of(metric, labels).observe(value)

    def before_scrape(self, look: Callable[[], None]) -> None:
        """Call ``look`` before every exposition; it sets gauges and neither waits nor raises."""
        self._looks.append(look)

    def exposition(self) -> bytes:
        """Everything, in the text format of Prometheus."""
        for look in self._looks:
            look()
        return generate_latest(self._registry)

    def value(self, metric: Metric, *labels: str) -> float:
        """What a counter or a gauge stands at; of a histogram, how many values it has seen."""
        name = f"{metric.name}_count" if metric.kind is Kind.HISTOGRAM else metric.name
        given = dict(zip(("service", *(one.name for one in metric.labels)), (self._name, *labels), strict=True))
        return self._registry.get_sample_value(name, given) or 0.0

    def _of(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        series = self._series.get((metric.name, labels))
        return self._new(metric, labels) if series is None else series

    def _new(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        if self._declared.get(metric.name) is not metric:
            raise NotInCatalogue(f"{metric.name} is no metric of {self._name}")
        if len(labels) != len(metric.labels):
            raise NotInCatalogue(f"{metric.name} has the labels {[one.name for one in metric.labels]}")
        if self._sizes[metric.name] >= SERIES_MAX:
            return self._families[metric.name].labels(self._name, *(OTHER for _ in labels))
        self._sizes[metric.name] += 1
        self._series[metric.name, labels] = series = self._families[metric.name].labels(self._name, *labels)
        return series


def _family(metric: Metric, registry: CollectorRegistry) -> Any:
    labels = ("service", *(one.name for one in metric.labels))
    match metric.kind:
        case Kind.COUNTER:
            return prometheus_client.Counter(metric.name, metric.meaning, labels, registry=registry)
        case Kind.GAUGE:
            return prometheus_client.Gauge(metric.name, metric.meaning, labels, registry=registry)
        case Kind.HISTOGRAM:
            return prometheus_client.Histogram(
                metric.name, metric.meaning, labels, registry=registry, buckets=metric.buckets
            )
