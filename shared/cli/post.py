"""The mail of a sandbox: from the embedded mail server's directory, or from the mailpit that the environment names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from shared.cli.console import Complaint
from shared.local.mail import Mail, mails
from shared.operations.embedded import mail_directory

__all__ = ["Letter", "letters"]

MAILPIT = "HOUFU_MAILPIT_URL"
TIMEOUT_S = 10.0
READ_MAX = 100
"""Mails read of a mailpit, the youngest: each is a request."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as its reader sees it."""

    sender: str
    recipient: str
    subject: str
    text: str


def letters(data_dir: Path, to: str | None = None) -> list[Letter]:
    """What has arrived, oldest first; with ``to`` only what is for this contact or address."""
    url = os.environ.get(MAILPIT)
    found = _of_mailpit(url) if url else [_of_directory(one) for one in mails(mail_directory(data_dir))]
    return [one for one in found if to is None or to in (one.recipient, one.recipient.partition("@")[0])]


def _of_directory(mail: Mail) -> Letter:
    return Letter(str(mail.message["From"]), mail.recipient, mail.subject, mail.text)


def _of_mailpit(url: str) -> list[Letter]:
    try:
        with httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as mailpit:
            listed = mailpit.get("/api/v1/messages", params={"limit": READ_MAX}).raise_for_status().json()
            each = (mailpit.get(f"/api/v1/message/{one['ID']}") for one in reversed(listed["messages"]))
            return [_of_message(one.raise_for_status().json()) for one in each]
    except httpx.HTTPError as trouble:
        raise Complaint(f"{MAILPIT}: no mail to be had ({type(trouble).__name__})") from None


def _of_message(message: dict[str, Any]) -> Letter:
    sender = f"{message['From']['Name']} <{message['From']['Address']}>"
    return Letter(sender, message["To"][0]["Address"], message["Subject"], message["Text"].replace("\r\n", "\n"))
