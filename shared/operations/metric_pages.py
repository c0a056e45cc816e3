"""``docs/metrics.md``: the catalogue of metrics for people, in its order."""

from __future__ import annotations

from collections.abc import Iterable

from shared.operations.metrics import CATALOGUE, Metric

__all__ = ["metrics_page"]

_INTRODUCTION = """\
# Metrics

Generated from `shared/operations/metrics.py` by `houfu contracts export`; do not edit.

Every service and every adapter serves its metrics at `GET /metrics`, for Prometheus, without a token. Every series has
the label `service`, the name of the service or adapter; further labels are given below. No label holds an id, a key or
a person. A counter ends in `_total` and begins at 0 with the process; a histogram has `_count`, `_sum` and `_bucket`.

Gauges *of the whole service* come from its database and are the same on every replica: take their maximum. All other
gauges are the replica's own: sum them. Beside these, `process_*` and `python_*` are there as the Prometheus client for
Python defines them: memory, CPU, file descriptors, garbage collection.

What to alert on, and where *Health*, *Dead letters* and *The line* are: [operations.md](operations.md)."""


def metrics_page() -> str:
    """The page, in Markdown."""
    parts = [_INTRODUCTION, _index(CATALOGUE), *map(_section, CATALOGUE)]
    return "\n\n".join(parts) + "\n"


def _index(metrics: Iterable[Metric]) -> str:
    rows = (f"| [{one.name}](#{one.name}) | {one.kind} | {one.unit} | {one.of} |" for one in metrics)
    return "\n".join(["| Metric | Kind | Unit | Of |", "|---|---|---|---|", *rows])


def _section(metric: Metric) -> str:
    facts = [("Kind, unit", f"{metric.kind}, {metric.unit}"), ("Of", str(metric.of))]
    facts += [(f"Label `{one.name}`", _label(one.meaning, one.values)) for one in metric.labels]
    if metric.buckets:
        facts.append(("Buckets", ", ".join(f"{one:g}" for one in metric.buckets)))
    facts += [("Meaning", metric.meaning), ("What to do", metric.remedy)]
    table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in facts)])
    return f"## {metric.name}\n\n{table}"


def _label(meaning: str, values: Iterable[str]) -> str:
    return meaning + "".join(f"{', ' if number else ': '}`{value}`" for number, value in enumerate(values))
