"""How hard the laws are tried: shortly with every run of the tests, for long with ``--chaos``."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LONG", "SHORT", "Strength"]


@dataclass(frozen=True, slots=True)
class Strength:
    """How many times and for how long."""

    kills: int
    """SIGKILLs of services at random moments, in all."""
    broker_kills: int
    """SIGKILLs of the broker, one after another."""
    outage_s: float
    """How long a server stays away."""
    steady_s: float
    """How long a steady load flows."""


SHORT = Strength(kills=5, broker_kills=1, outage_s=60, steady_s=60)

LONG = Strength(kills=100, broker_kills=50, outage_s=60, steady_s=600)
