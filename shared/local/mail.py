"""The sandbox's mail server: takes every mail on the loopback, keeps it as a file, and sends nothing on to anybody.

    python -m shared.local.mail --port 2525 --directory ./mail --health-port 8025

A mail is one ``.eml`` file a recipient, as a mailbox on a server would hold it: with ``Return-Path`` and
``Delivered-To`` in front, readable by any mail program. The names sort in the order of arrival. :func:`mails` reads
them back.
"""

from __future__ import annotations

import argparse
import asyncio
import email
import email.policy
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope

from shared.local.ports import HOST

__all__ = ["KEEP", "Mail", "Mailbox", "mails", "serve_mail"]

MAIL_MAX_BYTES = 1024 * 1024
"""Largest mail taken; a notice has a hundredth of it."""

RECIPIENTS_MAX = 10
"""Most recipients of one mail: a notice has one."""

KEEP = 1_000
"""Mails kept unless said otherwise; the oldest go first."""

IDLE_S = 60.0
"""How long a client may keep silent."""

HEALTH_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it arrived; what it has no part for is empty."""

    sender: str
    recipient: str
    subject: str
    text: str
    html: str
    message: EmailMessage
    """The whole of it, for other headers."""


def mails(directory: Path) -> list[Mail]:
    """What has arrived so far and is still kept, in the order of arrival."""
    found = []
    for file in sorted(directory.glob("*.eml")):
        with suppress(FileNotFoundError):  # it has just made room for a younger one
            found.append(_read(file.read_bytes()))
    return found


def _read(content: bytes) -> Mail:
    message = email.message_from_bytes(content, EmailMessage, policy=email.policy.default)
    return Mail(
        sender=str(message["Return-Path"]).strip("<>"),
        recipient=str(message["Delivered-To"]),
        subject=str(message["Subject"] or ""),
        text=_part(message, "plain"),
        html=_part(message, "html"),
        message=message,
    )


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()).replace("\r\n", "\n") if part is not None else ""


class Mailbox:
    """A directory of mails, at most ``keep`` of them; what is in it was written whole. An aiosmtpd handler."""

    def __init__(self, directory: Path, keep: int = KEEP) -> None:
        self._directory = directory
        self._keep = keep
        directory.mkdir(parents=True, exist_ok=True)
        self._last = max((int(file.stem) for file in directory.glob("*.eml")), default=0)

    async def handle_RCPT(  # noqa: N802 - the name aiosmtpd calls it by
        self, _server: SMTP, _session: object, envelope: Envelope, address: str, _options: Sequence[str]
    ) -> str:
        """Take a recipient, whoever it is."""
        if len(envelope.rcpt_tos) >= RECIPIENTS_MAX:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Envelope) -> str:  # noqa: N802
        """Keep the mail, and only then say so."""
        content = envelope.original_content or b""
        try:
            for recipient in envelope.rcpt_tos:
                self.put(envelope.mail_from or "", recipient, content)
        except OSError:
            return "452 4.3.1 Insufficient system storage"
        return "250 2.0.0 OK"

    def put(self, sender: str, recipient: str, content: bytes) -> Path:
        """Write one mail to the end of the mailbox; returns its file."""
        self._last = max(self._last + 1, time.time_ns())  # ascends even where the wall clock was set back
        file = self._directory / f"{self._last:020d}.eml"
        part = file.with_suffix(".part")
        part.write_bytes(f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n".encode() + content)
        part.replace(file)
        for oldest in sorted(self._directory.glob("*.eml"))[: -self._keep]:
            oldest.unlink(missing_ok=True)
        return file


@asynccontextmanager
async def serve_mail(directory: Path, *, port: int = 0, keep: int = KEEP) -> AsyncIterator[int]:
    """Take mail into ``directory`` while entered; gives the port (0: a free one)."""
    mailbox = Mailbox(directory, keep)
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        return SMTP(
            mailbox,
            hostname="sandbox.invalid",
            ident="Houfu sandbox mail",
            data_size_limit=MAIL_MAX_BYTES,
            enable_SMTPUTF8=True,
            timeout=IDLE_S,
            loop=loop,
        )

    server = await loop.create_server(session, HOST, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _say_alive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer any HTTP request: whoever gets an answer knows that mail is taken."""
    with suppress(TimeoutError, OSError, EOFError, asyncio.LimitOverrunError):
        async with asyncio.timeout(HEALTH_TIMEOUT_S):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nalive")
            await writer.drain()
    writer.close()


async def _run(port: int, directory: Path, health_port: int, keep: int) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with serve_mail(directory, port=port, keep=keep):
        health = await asyncio.start_server(_say_alive, HOST, health_port)
        await told.wait()
        health.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Take mail until told to stop; returns the exit code."""
    parser = argparse.ArgumentParser(prog="mail", description="The sandbox's mail server.")
    parser.add_argument("--port", type=int, required=True, help="where SMTP is spoken, on the loopback")
    parser.add_argument("--directory", type=Path, required=True, help="where the mails go")
    parser.add_argument("--health-port", type=int, required=True, help="where any HTTP request is answered 200")
    parser.add_argument("--keep", type=int, default=KEEP, help=f"mails kept, the oldest go first (default {KEEP})")
    given: Any = parser.parse_args(argv)
    try:
        asyncio.run(_run(given.port, given.directory, given.health_port, given.keep))
    except OSError as reason:
        sys.stderr.write(f"mail: {reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
