"""What an operator sets for billing alone; read from the environment as ``HOUFU_BILLING_*``."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["BillingSettings"]


class BillingSettings(BaseSettings):
    """Billing has none: its rules are terms, published as policies and frozen on every order, not switches."""

    model_config = SettingsConfigDict(env_prefix="HOUFU_BILLING_", extra="ignore")
