"""The mail adapter: puts a notice that goes by EMAIL into words, looks up the address, hands the mail to a server.

===============  =====================================================================================================
reported         when
===============  =====================================================================================================
``ACCEPTED``     the server has taken the mail over
``BOUNCED``      it never will: the recipient or the content refused for good (5xx), no such contact, no address, or a
                 notice that cannot be put into words
``FAILED_SOFT``  anything that may pass: refused for now (4xx), refused to us rather than to the recipient (login,
                 sender, TLS), unreachable, silent, gone in mid-dialogue; or the contacts do not answer
===============  =====================================================================================================

One attempt a request, over a connection of its own, ``HOUFU_AT_ONCE`` side by side; notify asks again by its deadlines.
A process of its own: ``python -m services.notify.adapters.smtp --from beginning``. The log names references only.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

import aiosmtplib
import structlog
from aiosmtplib import SMTPDataError, SMTPException, SMTPRecipientRefused, SMTPResponseException
from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.notify.adapters.letter import AddressUnusable, address_of, letter_for
from services.notify.rendering import NotRenderable
from shared.contracts.envelope import Envelope
from shared.contracts.message import Command
from shared.contracts.notify import DeliveryOutcome, DeliveryRequested, ReportNoticeDelivery
from shared.engine.ports import Unavailable
from shared.integration.adapter import Adapter
from shared.integration.process import AdapterSettings, main
from shared.integration.resolver import Resolver, UnknownReference, resolver_of
from shared.operations.settings import Misconfigured, read_settings

__all__ = ["Mail", "SmtpSettings", "mail_of", "smtp", "verdict"]

log: Any = structlog.get_logger(__name__)

smtp = Adapter("smtp", source="/houfu/adapters/smtp")

FOR_GOOD = 500
"""Replies from here on are final (RFC 5321, 4.2.1)."""

DATED_BACK_MAX = timedelta(hours=23)
"""Notify takes no report of what happened more than 24 hours ago (spec notify, section 7)."""

GOODBYE_S = 2.0
"""How long a server that has taken the mail may take to say goodbye; it is not needed."""

TROUBLE = (NotRenderable, AddressUnusable, UnknownReference, Unavailable, SMTPException, OSError)
"""All that can go wrong with one mail; anything else is a mistake of ours and left to the kit to count."""


def _an_address(text: str) -> str:
    address_of(text)
    return text


class SmtpSettings(BaseSettings):
    """What the mail adapter is told by its environment, beside what every adapter is."""

    model_config = SettingsConfigDict(env_prefix="HOUFU_SMTP_", frozen=True, extra="ignore")

    host: str = Field(min_length=1, description="The SMTP server")
    port: int = Field(default=587, ge=1, le=65535, description="Its port")
    security: Literal["none", "starttls", "tls"] = Field(
        default="starttls", description="none only where the way there is safe, as in a sandbox"
    )
    username: str | None = Field(default=None, description="Login, with a password")
    password: SecretStr | None = Field(default=None, description="Password of the login; needs starttls or tls")
    sender: Annotated[str, AfterValidator(_an_address)] = Field(description="Address the notices come from")
    sender_name: str = Field(default="Houfu 后付", pattern=r"^[^\x00-\x1f\x7f]*$", description="Its name")
    timeout_s: float = Field(default=20, ge=1, le=300, description="Longest time one mail may take, all in all")
    contacts: str = Field(description="Who knows the addresses: sandbox:, file:/path.json or https://host/path")
    contacts_token: SecretStr | None = Field(default=None, description="Bearer token for those at https")


class Mail:
    """Sends one notice at a time to one SMTP server; an adapter's resource, open while the adapter runs."""

    def __init__(self, settings: SmtpSettings, contacts: Resolver, zone: str) -> None:
        self._settings = settings
        self._contacts = contacts
        self._zone = zone
        self._sender = address_of(settings.sender, settings.sender_name)
        self._tls = ssl.create_default_context() if settings.security != "none" else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._contacts.close()

    async def send(self, request: DeliveryRequested, at: datetime) -> DeliveryOutcome:
        """Try once to send the notice, within the time for one mail; what came of it."""
        client = self._client()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await self._hand_over(client, request, at)
        except TROUBLE as trouble:
            outcome, reason = verdict(trouble)
            named = {"delivery_id": request.delivery_id, "contact_ref": request.contact_ref}
            log.warning("smtp.not_sent", **named, outcome=outcome, reason=reason)
            return outcome
        else:
            with suppress(SMTPException, OSError):
                await client.quit(timeout=GOODBYE_S)
            return "ACCEPTED"
        finally:
            client.close()

    async def _hand_over(self, client: aiosmtplib.SMTP, request: DeliveryRequested, at: datetime) -> None:
        if request.contact_ref is None:
            raise UnknownReference("the request names no contact")
        to = address_of(await self._contacts.resolve(request.contact_ref))
        letter = letter_for(request, to=to, sender=self._sender, at=at, zone=self._zone)
        # Step by step: the library's own sendmail would add a RSET that can hide what the server said.
        await client.connect()
        await client.mail(self._sender.addr_spec)
        await client.rcpt(to.addr_spec)
        await client.data(letter.as_bytes())

    def _client(self) -> aiosmtplib.SMTP:
        given = self._settings
        return aiosmtplib.SMTP(
            hostname=given.host,
            port=given.port,
            username=given.username,
            password=given.password.get_secret_value() if given.password else None,
            local_hostname=self._sender.domain,  # else the library asks DNS for ours, in a thread it cannot cancel
            timeout=given.timeout_s,
            use_tls=given.security == "tls",
            start_tls=given.security == "starttls",
            tls_context=self._tls,
        )


def verdict(trouble: Exception) -> tuple[DeliveryOutcome, str]:
    """What a failed attempt means for the notice, and why, in words without an address."""
    match trouble:
        case NotRenderable() | AddressUnusable():
            return "BOUNCED", str(trouble)
        case UnknownReference():
            return "BOUNCED", "no such contact"
        case SMTPRecipientRefused(code=code) | SMTPDataError(code=code) if code >= FOR_GOOD:
            return "BOUNCED", f"{type(trouble).__name__} {code}"
        case SMTPResponseException(code=code):
            return "FAILED_SOFT", f"{type(trouble).__name__} {code}"
        case Unavailable():
            return "FAILED_SOFT", str(trouble)
        case _:
            return "FAILED_SOFT", type(trouble).__name__


@smtp.on(DeliveryRequested, channel="EMAIL")
async def send_mail(
    request: DeliveryRequested, mail: Mail, envelope: Envelope, now: datetime
) -> AsyncIterator[Command]:
    """Send a notice as a mail, dated by the request, and report what became of it.

    The report is dated by the request too, so that a repetition says the same to the letter; unless that is long ago,
    as after a day off, when it would look like evidence invented later.
    """
    outcome = await mail.send(request, envelope.time)
    yield ReportNoticeDelivery(
        buyer_id=request.buyer_id,
        notice_id=request.notice_id,
        delivery_id=request.delivery_id,
        outcome=outcome,
        occurred_at=max(envelope.time, now - DATED_BACK_MAX),
    )


def mail_of(process: AdapterSettings) -> Mail:
    """What :func:`send_mail` asks for, as the environment says; raises :class:`Misconfigured` naming the setting."""
    given = read_settings(SmtpSettings)
    if given.timeout_s >= process.stall_s:
        raise Misconfigured("HOUFU_SMTP_TIMEOUT_S: must be below HOUFU_STALL_S, or a slow server looks like a stall")
    if (given.username is None) != (given.password is None):
        raise Misconfigured("HOUFU_SMTP_USERNAME, HOUFU_SMTP_PASSWORD: one needs the other")
    if given.password is not None and given.security == "none":
        raise Misconfigured("HOUFU_SMTP_SECURITY: a password travels under starttls or tls only")
    try:
        ZoneInfo(process.zone)
    except (LookupError, ValueError):
        raise Misconfigured(f"HOUFU_ZONE: there is no time zone {process.zone!r}") from None
    token = given.contacts_token.get_secret_value() if given.contacts_token else None
    return Mail(given, resolver_of(given.contacts, setting="HOUFU_SMTP_CONTACTS", token=token), process.zone)


if __name__ == "__main__":
    sys.exit(main(smtp, provide=mail_of))
