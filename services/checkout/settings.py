"""What an operator sets for checkout alone; read from the environment as ``HOUFU_CHECKOUT_*``."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["CheckoutSettings"]


class CheckoutSettings(BaseSettings):
    """Settings of the checkout service. A missing or too short secret stops the start-up and names itself."""

    model_config = SettingsConfigDict(env_prefix="HOUFU_CHECKOUT_", extra="ignore")

    payment_proof_secret: SecretStr = Field(
        min_length=32, description="Key that signs payment proofs (HS256); at least 32 characters, the same on replicas"
    )
