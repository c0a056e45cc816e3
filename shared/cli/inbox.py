"""A buyer's inbox as notify shows it over HTTP: asked for with a token, as any screen would."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx

from shared.cli.access import state_of
from shared.cli.console import Complaint
from shared.cli.sandbox import token_for

__all__ = ["inbox_of", "notify_url"]

NOTIFY = "HOUFU_NOTIFY_URL"
TIMEOUT_S = 10.0


def inbox_of(buyer_id: str, data_dir: Path | None, *, locale: str, limit: int) -> list[dict[str, Any]]:
    """The youngest notices of a buyer in words, the newest first; raises :class:`Complaint`."""
    headers = {"Authorization": f"Bearer {token_for(data_dir, f'buyer:{buyer_id}')}"}
    asked: dict[str, str | int] = {"locale": locale, "limit": limit}
    try:
        with httpx.Client(base_url=notify_url(data_dir), headers=headers, timeout=TIMEOUT_S, trust_env=False) as notify:
            answer = notify.get(f"/buyers/{buyer_id}/inbox", params=asked).raise_for_status()
    except httpx.HTTPError as trouble:
        raise Complaint(f"notify does not show the inbox of {buyer_id} ({trouble})") from None
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def notify_url(data_dir: Path | None) -> str:
    """Where notify answers: as the environment says, or on the port of the embedded system's first replica.

    Raises :class:`Complaint` where nobody says it.
    """
    if data_dir is None and (url := os.environ.get(NOTIFY)):
        return url
    if data_dir is None and os.environ.get("HOUFU_KAFKA_BOOTSTRAP"):
        raise Complaint(f"HOUFU_KAFKA_BOOTSTRAP is set but not {NOTIFY}")
    first, *_ = state_of(data_dir).of("notify")
    return f"http://127.0.0.1:{first.port}"
