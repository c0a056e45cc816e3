"""What an operator sets for notify alone; read from the environment as ``HOUFU_NOTIFY_*``."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["NotifySettings"]


class NotifySettings(BaseSettings):
    """Notify has none: hours and caps are the platform's policy, channels the buyer's wish, not switches."""

    model_config = SettingsConfigDict(env_prefix="HOUFU_NOTIFY_", extra="ignore")
