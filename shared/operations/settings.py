"""What a service process is told by its environment. A wrong or missing setting ends the process with its name."""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.operations.logs import LogFormat

__all__ = ["EXIT_MISCONFIGURED", "EXIT_UNREACHABLE", "Misconfigured", "ServiceSettings", "read_settings"]

EXIT_MISCONFIGURED = 78
"""Exit code of a process that cannot start as it is set up (EX_CONFIG); starting it again would not help."""

EXIT_UNREACHABLE = 75
"""Exit code of a process that found no broker or no database at its start (EX_TEMPFAIL)."""


class ServiceSettings(BaseSettings):
    """Settings every service has, ``HOUFU_`` in front in the environment; services add their own."""

    model_config = SettingsConfigDict(env_prefix="HOUFU_", frozen=True, extra="ignore")

    kafka_bootstrap: str = Field(
        pattern=r"^[^\s,]+:\d+(,[^\s,]+:\d+)*$", description="Kafka bootstrap servers, host:port[,host:port]"
    )
    dsn: str = Field(pattern=r"^postgres(ql)?://", description="PostgreSQL DSN of this service's own role and schema")
    clock: Literal["system", "movable"] = Field(default="system", description="Where business time comes from (T-6)")
    calendar: Literal["CN", "CN-WEEKENDS"] = Field(default="CN", description="Working days of the tenant (T-4)")
    zone: str = Field(default="Asia/Shanghai", description="The tenant's time zone (T-2)")
    build: str = Field(
        default="", description="Names this build; another build resumes a stopped line. Default: a digest of the code"
    )
    turn_records: int = Field(
        default=500, ge=1, le=5000, description="Records for each turn; a process takes two at once"
    )
    inbox_days: int = Field(
        default=31,
        ge=1,
        le=3650,
        description="Days ids of handled messages are remembered; commands stay 30",
    )
    breaker_keys: int = Field(default=20, ge=2, le=10_000, description="Distinct keys failing alike that stop the line")
    stall_s: float = Field(
        default=30, ge=5, le=600, description="With lag and no turn ended for this long the process exits"
    )
    stop_s: float = Field(default=15, ge=1, le=120, description="Longest time a stop may take")
    pool_size: int = Field(default=4, ge=2, le=50, description="Database connections of this process")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged")
    log_format: LogFormat = Field(
        default="", description="How a line of the log looks. Default: console on a terminal, json elsewhere"
    )


Settings = TypeVar("Settings", bound=BaseSettings)


class Misconfigured(Exception):
    """The process cannot work as it is set up; the text says which setting or which missing part."""


def read_settings(kind: type[Settings]) -> Settings:
    """The settings of this process; raises :class:`Misconfigured` naming each that is missing or wrong."""
    try:
        return kind()
    except ValidationError as defect:
        prefix = kind.model_config.get("env_prefix", "")
        wrong = (f"{prefix}{'_'.join(map(str, one['loc']))}".upper() + f": {one['msg']}" for one in defect.errors())
        raise Misconfigured("; ".join(wrong)) from None
