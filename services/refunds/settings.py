"""What an operator sets for refunds alone; read from the environment as ``HOUFU_REFUNDS_*``."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["RefundsSettings"]


class RefundsSettings(BaseSettings):
    """Refunds has none: what may come back, and at what price, are return terms frozen on every order."""

    model_config = SettingsConfigDict(env_prefix="HOUFU_REFUNDS_", extra="ignore")
