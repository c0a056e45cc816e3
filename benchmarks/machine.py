"""The machine a figure was measured on, and whether it was free enough for the figure to mean anything."""

from __future__ import annotations

import platform
import time
from importlib.metadata import version
from typing import Any

import psutil

from shared.local.jars import KAFKA_VERSION
from shared.local.postgres import VERSION as POSTGRES_VERSION

__all__ = ["BUSY_SHARE", "SPEED_SPREAD", "core_speed", "described"]

BUSY_SHARE = 0.15
"""Share of the machine that others may use while we measure."""

SPEED_SPREAD = 1.2
"""How much faster one core may be in one round than in another."""

LIBRARIES = ("faststream", "aiokafka", "asyncpg", "pydantic", "uvloop")

ADDITIONS = 2_000_000


def described() -> dict[str, Any]:
    """What a figure depends on."""
    return {
        "cpu": _cpu_model(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
        "postgresql": POSTGRES_VERSION,
        **{name: version(name) for name in LIBRARIES},
    }


def core_speed() -> float:
    """Additions one core makes, in millions a second: it tells a slow moment of a shared machine."""
    began, total = time.perf_counter(), 0
    for number in range(ADDITIONS):
        total += number
    return ADDITIONS / (time.perf_counter() - began) / 1e6


def _cpu_model() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as facts:
        return next((line.partition(":")[2].strip() for line in facts if line.startswith("model name")), "unknown")
