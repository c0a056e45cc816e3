"""The mail adapter against real servers, kind and hostile: what it sends, what it reports, what it lets nobody see."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.notify.adapters import smtp as room
from services.notify.adapters.letter import AddressUnusable, address_of, letter_for
from services.notify.adapters.smtp import Mail, SmtpSettings, mail_of, send_mail, smtp
from services.notify.rendering import render
from shared.contracts.envelope import Envelope as CloudEvent
from shared.contracts.notify import DeliveryRequested, ReportNoticeDelivery
from shared.drivers.kafka import KafkaLog
from shared.drivers.observer import Observer
from shared.drivers.topics import create_topics
from shared.engine.ports import Unavailable
from shared.integration.outbound import addressed
from shared.integration.process import AdapterSettings
from shared.integration.resolver import SandboxResolver, UnknownReference
from shared.kernel.ids import derived_id
from shared.local.mail import Mailbox, mails, serve_mail
from shared.local.ports import HOST, free_port
from shared.local.servers import Servers
from shared.operations.settings import EXIT_MISCONFIGURED, Misconfigured
from shared.testing.samples import sample_of

SENDER = "notices@houfu.example"
ZONE = "Asia/Shanghai"
ASKED_AT = dt.datetime(2027, 3, 16, 1, 0, tzinfo=dt.UTC)
PATIENCE_S = 60
BRIEF_S = 0.3
"""A time-out for one mail where the server will not answer anyway."""


def requested(**changes: Any) -> DeliveryRequested:
    return sample_of(DeliveryRequested, **{"contact_ref": "contact-7", **changes})


def settings(port: int, **changes: Any) -> SmtpSettings:
    given = SmtpSettings(host=HOST, port=port, security="none", sender=SENDER, contacts="sandbox:")
    return given.model_copy(update=changes)


class Contacts:
    """Answers every question alike."""

    def __init__(self, answer: str | Exception) -> None:
        self._answer = answer
        self.closed = False

    async def resolve(self, _ref: str) -> str:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    async def close(self) -> None:
        self.closed = True


async def outcome_of(port: int, request: DeliveryRequested | None = None, **changes: Any) -> str:
    async with Mail(settings(port, **changes), SandboxResolver(), ZONE) as mail:
        return await mail.send(request or requested(), ASKED_AT)


# ------------------------------------------------------------------ what is sent


async def test_a_notice_arrives_as_a_mail_of_text_and_page(tmp_path: Path) -> None:
    request = requested(locale="en")
    async with serve_mail(tmp_path) as port:
        assert await outcome_of(port, request) == "ACCEPTED"
    [mail] = mails(tmp_path)
    words = render(request.template, request.locale, request.params)
    assert (mail.sender, mail.recipient) == (SENDER, "contact-7@sandbox.invalid")
    assert (mail.subject, mail.text, mail.html) == (words.subject, words.text, words.html)
    assert mail.message.get_content_type() == "multipart/alternative"
    assert mail.message["From"] == f"Houfu 后付 <{SENDER}>"
    assert mail.message["To"] == "contact-7@sandbox.invalid"
    assert mail.message["Date"].datetime == ASKED_AT
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.message["X-Houfu-Notice"] == request.notice_id


async def test_the_same_delivery_is_the_same_message_another_is_not(tmp_path: Path) -> None:
    first = requested()
    second = requested(delivery_id=f"{first.notice_id}:2")
    async with serve_mail(tmp_path) as port:
        for request in (first, first, second, requested(buyer_id="b-8")):
            assert await outcome_of(port, request) == "ACCEPTED"
    ids = [mail.message["Message-ID"] for mail in mails(tmp_path)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(one.endswith("@houfu.example>") for one in ids)


def test_nothing_in_a_request_adds_a_header() -> None:
    evil = "o-1\r\nBcc: everybody@example.com\r\n\r\nbody"
    request = requested(template="order_completed", params={"order_id": evil, "outcome": "COMPLETED"})
    letter = letter_for(request, to=address_of("a@b.example"), sender=address_of(SENDER, "H"), at=ASKED_AT, zone=ZONE)
    plain = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Houfu-Notice"}
    assert set(letter.keys()) == plain | {"MIME-Version", "Content-Type"}
    head, _, _ = letter.as_bytes().partition(b"\r\n\r\n")
    assert b"\nBcc" not in head
    assert head.isascii()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@@example.com",
        "a b@example.com",
        "ann@example..com",
        "ann@-example.com",
        "ann@example.com\r\nRCPT TO:<bob@example.com>",
        "<ann@example.com>",
        "Ann <ann@example.com>",
        "ann@example.com,bob@example.com",
        "安@example.com",
        "a" * 65 + "@example.com",
        "ann@" + "a." * 130 + "com",
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(AddressUnusable, match=r"^not an e-mail address$"):
        address_of(text)


@pytest.mark.parametrize(
    ("text", "on_the_wire"),
    [
        ("ann.lee+houfu@example.com", "ann.lee+houfu@example.com"),
        ("ann@例子.example", "ann@xn--fsqu00a.example"),
        ("o'brien@example.com", "o'brien@example.com"),
    ],
)
def test_an_address_may_have_a_domain_in_any_script(text: str, on_the_wire: str) -> None:
    assert address_of(text).addr_spec == on_the_wire


# ------------------------------------------------------------------ what is reported

STALL, HANG_UP, DRIP = "stall", "hang up", "drip"
KIND = {
    "connect": "220 here",
    "ehlo": "250 hello",
    "mail": "250 ok",
    "rcpt": "250 ok",
    "data": "354 go on",
    "content": "250 taken",
    "quit": "221 bye",
}


class Host:
    """An SMTP server that says at each step what it is told to say, or falls silent, or hangs up."""

    def __init__(self, **sayings: str) -> None:
        self._sayings = KIND | sayings
        self.heard: list[str] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            step = "connect"
            while await self._say(step, reader, writer):
                if step == "data":
                    await reader.readuntil(b"\r\n.\r\n")
                    step = "content"
                else:
                    step = (await reader.readuntil(b"\r\n")).decode()[:4].lower()
                self.heard.append(step)
        writer.close()

    async def _say(self, step: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        match self._sayings.get(step, "502 what?"):
            case "hang up":
                return False
            case "stall":
                await reader.read()  # until the other side has had enough
                return False
            case "drip":
                while not writer.is_closing():  # one line after the other, and never the last
                    writer.write(b"250-a moment\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.02)
                return False
            case reply:
                writer.write(f"{reply}\r\n".encode())
                await writer.drain()
                return True


@asynccontextmanager
async def hosting(host: Host) -> AsyncIterator[int]:
    server = await asyncio.start_server(host.talk, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def outcome_with(timeout_s: float = PATIENCE_S, **sayings: str) -> tuple[str, list[str]]:
    host = Host(**sayings)
    async with hosting(host) as port:
        return await outcome_of(port, timeout_s=timeout_s), host.heard


@pytest.mark.parametrize(
    ("sayings", "outcome"),
    [
        ({"rcpt": "550 5.1.1 no such user"}, "BOUNCED"),
        ({"rcpt": "553 5.1.3 bad address"}, "BOUNCED"),
        ({"rcpt": "451 4.7.1 greylisted, try later"}, "FAILED_SOFT"),
        ({"rcpt": "452 4.2.2 mailbox full"}, "FAILED_SOFT"),
        ({"content": "554 5.7.1 refused as spam"}, "BOUNCED"),
        ({"content": "451 4.3.0 try later"}, "FAILED_SOFT"),
        ({"content": "421 4.3.2 closing"}, "FAILED_SOFT"),
        ({"mail": "550 5.7.1 sender not allowed"}, "FAILED_SOFT"),
        ({"mail": "530 5.7.0 must log in"}, "FAILED_SOFT"),
        ({"connect": "554 5.3.2 no service"}, "FAILED_SOFT"),
        ({"connect": "421 4.3.2 too busy"}, "FAILED_SOFT"),
        ({"rcpt": "well, hello"}, "FAILED_SOFT"),
        ({}, "ACCEPTED"),
    ],
    ids=str,
)
async def test_the_servers_reply_decides(sayings: dict[str, str], outcome: str) -> None:
    assert (await outcome_with(**sayings))[0] == outcome


@pytest.mark.parametrize("step", ["connect", "ehlo", "mail", "rcpt", "data", "content"])
@pytest.mark.parametrize("manner", [STALL, HANG_UP, DRIP])
async def test_a_server_that_falls_silent_or_goes_away_has_failed_for_now(step: str, manner: str) -> None:
    begun = time.monotonic()
    assert (await outcome_with(timeout_s=BRIEF_S, **{step: manner}))[0] == "FAILED_SOFT"
    assert time.monotonic() - begun < PATIENCE_S


@pytest.mark.parametrize("manner", [STALL, HANG_UP, "500 never heard of it"])
async def test_once_the_mail_is_taken_over_the_goodbye_does_not_matter(
    manner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "GOODBYE_S", BRIEF_S)
    outcome, heard = await outcome_with(quit=manner)
    assert outcome == "ACCEPTED"
    assert heard == ["ehlo", "mail", "rcpt", "data", "content", "quit"]


async def test_after_a_refusal_nothing_more_is_asked_of_the_server() -> None:
    assert await outcome_with(rcpt="550 no", rset=STALL) == ("BOUNCED", ["ehlo", "mail", "rcpt"])


async def test_where_nothing_listens_it_failed_for_now() -> None:
    assert await outcome_of(free_port()) == "FAILED_SOFT"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (UnknownReference("contact-7"), "BOUNCED"),
        (Unavailable("the resolver answers 503"), "FAILED_SOFT"),
        ("ann at example.com", "BOUNCED"),
        ("ann@example.com>\r\nRCPT TO:<bob@example.com", "BOUNCED"),
    ],
)
async def test_without_an_address_the_server_is_not_even_called(answer: str | Exception, outcome: str) -> None:
    host = Host()
    async with hosting(host) as port, Mail(settings(port), Contacts(answer), ZONE) as mail:
        assert await mail.send(requested(), ASKED_AT) == outcome
    assert host.heard == []


@pytest.mark.parametrize(
    "changes", [{"contact_ref": None}, {"template": "order_teleported"}, {"params": {"currency": "CNY"}}]
)
async def test_a_notice_that_cannot_be_written_bounces(changes: dict[str, Any]) -> None:
    host = Host()
    async with hosting(host) as port:
        assert await outcome_of(port, requested(**changes)) == "BOUNCED"
    assert host.heard == []


async def test_contacts_that_are_slow_do_not_outlast_the_time_for_one_mail() -> None:
    class Slow(Contacts):
        async def resolve(self, _ref: str) -> str:
            await asyncio.Event().wait()
            return ""

    contacts = Slow("")
    async with Mail(settings(free_port(), timeout_s=BRIEF_S), contacts, ZONE) as mail:
        assert await mail.send(requested(), ASKED_AT) == "FAILED_SOFT"
    assert contacts.closed


@pytest.mark.parametrize(
    "sayings", [{"rcpt": "550 <ann@example.com> is no user here"}, {"mail": "550 not to ann@example.com"}]
)
async def test_the_log_names_references_and_never_an_address(sayings: dict[str, str]) -> None:
    with structlog.testing.capture_logs() as logged:
        async with hosting(Host(**sayings)) as port, Mail(settings(port), Contacts("ann@example.com"), ZONE) as mail:
            await mail.send(requested(), ASKED_AT)
    [line] = logged
    assert line["contact_ref"] == "contact-7"
    assert "550" in line["reason"]
    assert "ann" not in str(logged)
    assert "example" not in str(logged)


@pytest.mark.parametrize(
    ("now", "occurred_at"),
    [
        (ASKED_AT, ASKED_AT),
        (ASKED_AT + dt.timedelta(hours=23), ASKED_AT),
        (ASKED_AT + dt.timedelta(days=2), ASKED_AT + dt.timedelta(hours=25)),
    ],
)
async def test_the_report_is_dated_by_the_request_unless_that_is_too_long_ago(
    tmp_path: Path, now: dt.datetime, occurred_at: dt.datetime
) -> None:
    """So a repetition says the same to the letter, and after a day off nothing looks invented later."""
    request = requested()
    asked = CloudEvent(
        id=str(uuid4()),
        type=request.TYPE,
        source="/houfu/notify",
        time=ASKED_AT,
        subject=request.notice_id,
        key=request.buyer_id,
        correlation_id="c-1",
    )
    async with serve_mail(tmp_path) as port, Mail(settings(port), SandboxResolver(), ZONE) as mail:
        reports = [one async for one in send_mail(request, mail, asked, now)]
    assert reports == [
        ReportNoticeDelivery(
            buyer_id=request.buyer_id,
            notice_id=request.notice_id,
            delivery_id=request.delivery_id,
            outcome="ACCEPTED",
            occurred_at=occurred_at,
        )
    ]
    assert mails(tmp_path)[0].message["Date"].datetime == ASKED_AT


def test_only_mails_are_its_business() -> None:
    assert smtp.reaction_to(requested(channel="SMS")) is None
    assert smtp.reaction_to(requested()) is not None


# ------------------------------------------------------------------ security


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server on the loopback shows, signed by itself and trusted by this process."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    today = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "mail.pem").write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "trusted.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "mail.pem")
    return context


def admit(_server: SMTP, _session: object, _envelope: object, _mechanism: str, shown: LoginPassword) -> AuthResult:
    return AuthResult(success=shown == LoginPassword(b"houfu", b"s3cret"), handled=False)


@asynccontextmanager
async def guarded(directory: Path, tls: ssl.SSLContext, *, implicit: bool) -> AsyncIterator[int]:
    """A server that talks under TLS with those who log in, and with nobody else."""
    loop = asyncio.get_running_loop()
    mailbox = Mailbox(directory / "mail")

    def session() -> SMTP:
        return SMTP(
            mailbox,
            loop=loop,
            tls_context=None if implicit else tls,
            require_starttls=not implicit,
            authenticator=admit,
            auth_required=True,
            auth_require_tls=not implicit,
        )

    server = await loop.create_server(session, HOST, 0, ssl=tls if implicit else None)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


LOGIN = {"username": "houfu", "password": room.SecretStr("s3cret")}


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # the server does not see that the line is safe from its start
@pytest.mark.parametrize(("security", "implicit"), [("starttls", False), ("tls", True)])
async def test_it_logs_in_under_tls(tmp_path: Path, tls: ssl.SSLContext, security: str, implicit: bool) -> None:
    async with guarded(tmp_path, tls, implicit=implicit) as port:
        assert await outcome_of(port, security=security, **LOGIN) == "ACCEPTED"
        wrong = {**LOGIN, "password": room.SecretStr("guess")}
        assert await outcome_of(port, security=security, **wrong) == "FAILED_SOFT"
    assert len(mails(tmp_path / "mail")) == 1


async def test_a_server_that_shows_a_certificate_nobody_signed_gets_nothing(
    tmp_path: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with guarded(tmp_path, tls, implicit=False) as port:
        assert await outcome_of(port, security="starttls", **LOGIN) == "FAILED_SOFT"
    assert mails(tmp_path / "mail") == []


async def test_where_starttls_is_asked_for_and_not_offered_nothing_is_said_in_the_clear() -> None:
    host = Host()
    async with hosting(host) as port:
        assert await outcome_of(port, security="starttls", **LOGIN) == "FAILED_SOFT"
    assert host.heard == ["ehlo"]


# ------------------------------------------------------------------ settings

ENVIRONMENT = {"HOUFU_SMTP_HOST": HOST, "HOUFU_SMTP_SENDER": SENDER, "HOUFU_SMTP_CONTACTS": "sandbox:"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    for name in [one for one in os.environ if one.startswith("HOUFU_")]:
        monkeypatch.delenv(name)

    def say(**changes: str | None) -> None:
        for name, value in {**ENVIRONMENT, **changes}.items():
            if value is not None:
                monkeypatch.setenv(name, value)

    return say


def process(**changes: Any) -> AdapterSettings:
    return AdapterSettings(kafka_bootstrap="127.0.0.1:9092").model_copy(update=changes)


def test_the_environment_says_enough(environment: Callable[..., None]) -> None:
    environment()
    assert isinstance(mail_of(process()), Mail)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"HOUFU_SMTP_HOST": None}, "HOUFU_SMTP_HOST"),
        ({"HOUFU_SMTP_SENDER": None}, "HOUFU_SMTP_SENDER"),
        ({"HOUFU_SMTP_SENDER": "Houfu"}, "HOUFU_SMTP_SENDER"),
        ({"HOUFU_SMTP_SENDER_NAME": "Houfu\nBcc: x"}, "HOUFU_SMTP_SENDER_NAME"),
        ({"HOUFU_SMTP_CONTACTS": None}, "HOUFU_SMTP_CONTACTS"),
        ({"HOUFU_SMTP_CONTACTS": "phonebook"}, "HOUFU_SMTP_CONTACTS"),
        ({"HOUFU_SMTP_SECURITY": "ssl"}, "HOUFU_SMTP_SECURITY"),
        ({"HOUFU_SMTP_TIMEOUT_S": "30"}, "HOUFU_SMTP_TIMEOUT_S"),
        ({"HOUFU_SMTP_USERNAME": "houfu"}, "HOUFU_SMTP_PASSWORD"),
        (
            {"HOUFU_SMTP_USERNAME": "houfu", "HOUFU_SMTP_PASSWORD": "s3cret", "HOUFU_SMTP_SECURITY": "none"},
            "HOUFU_SMTP_SECURITY",
        ),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_named(
    environment: Callable[..., None], changes: dict[str, str | None], named: str
) -> None:
    environment(**changes)
    with pytest.raises(Misconfigured, match=named) as told:
        mail_of(process())
    assert "s3cret" not in str(told.value)


def test_a_zone_that_does_not_exist_is_named(environment: Callable[..., None]) -> None:
    environment()
    with pytest.raises(Misconfigured, match="HOUFU_ZONE"):
        mail_of(process(zone="Asia/Atlantis"))


def test_as_a_process_it_ends_with_the_names_of_what_is_missing() -> None:
    done = subprocess.run(
        COMMAND, env=surroundings(HOUFU_KAFKA_BOOTSTRAP="127.0.0.1:1"), capture_output=True, text=True, check=False
    )
    assert done.returncode == EXIT_MISCONFIGURED
    [line] = done.stderr.strip().splitlines()
    assert all(name in line for name in ENVIRONMENT)


# ------------------------------------------------------------------ as a process on a real broker

COMMAND = (sys.executable, "-m", "services.notify.adapters.smtp")


def surroundings(**ours: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("HOUFU_")} | ours


class SlowMailbox(Mailbox):
    """Keeps a mail at once, and says so only when it is let."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.let = asyncio.Event()

    async def handle_DATA(self, server: SMTP, session: object, envelope: Envelope) -> str:  # noqa: N802
        reply = await super().handle_DATA(server, session, envelope)
        await self.let.wait()
        return reply


@contextmanager
def running(bootstrap: str, smtp_port: int, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    env = surroundings(
        HOUFU_KAFKA_BOOTSTRAP=bootstrap,
        HOUFU_SMTP_PORT=str(smtp_port),
        HOUFU_SMTP_SECURITY="none",
        **ENVIRONMENT,
    )
    started = subprocess.Popen([*COMMAND, *arguments], env=env)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.1)


async def reports_on(bootstrap: str, buyer_id: str) -> list[tuple[CloudEvent, ReportNoticeDelivery]]:
    async with Observer(bootstrap) as observer:
        found = [one async for one in observer.records(["notify.commands"]) if one.key == buyer_id.encode()]
    return [(CloudEvent.parse(one.headers, one.key), ReportNoticeDelivery.from_json(one.value or b"")) for one in found]


async def reported(bootstrap: str, buyer_id: str, times: int) -> list[tuple[CloudEvent, ReportNoticeDelivery]]:
    async with asyncio.timeout(PATIENCE_S):
        while len(found := await reports_on(bootstrap, buyer_id)) < times:
            await asyncio.sleep(0.1)
    return found


async def rewind(bootstrap: str) -> None:
    """Put the adapter back to where it began, as if it had been killed just before it committed."""
    async with Observer(bootstrap) as observer:
        beginnings = await observer.beginnings(await observer.partitions(smtp.topics))
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=smtp.name, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(*one) for one in beginnings])
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(CommitFailedError):  # the broker has not noticed yet that the killed process is gone
                    return await consumer.commit({TopicPartition(*one): at for one, at in beginnings.items()})
                await asyncio.sleep(0.5)
    finally:
        await consumer.stop()


async def test_killed_at_any_point_it_says_the_same_again_to_the_server_and_to_notify(
    servers: Servers, tmp_path: Path
) -> None:
    await create_topics(servers.bootstrap, ["notify"])
    buyer_id, event_id = f"b-{uuid4().hex[:8]}", str(uuid4())
    request = requested(buyer_id=buyer_id, contact_ref=f"contact-of-{buyer_id}")
    await publish(servers.bootstrap, request, event_id)

    def mine() -> list[EmailMessage]:
        return [one.message for one in mails(tmp_path) if one.recipient == f"contact-of-{buyer_id}@sandbox.invalid"]

    mailbox = SlowMailbox(tmp_path)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, loop=loop), HOST, 0)
    port = server.sockets[0].getsockname()[1]
    with running(servers.bootstrap, port, "--from", "beginning") as before_the_reply:
        await until(mine)
        before_the_reply.send_signal(signal.SIGKILL)
    assert await reports_on(servers.bootstrap, buyer_id) == []
    mailbox.let.set()
    with running(servers.bootstrap, port) as before_the_commit:
        await reported(servers.bootstrap, buyer_id, times=1)
        before_the_commit.send_signal(signal.SIGKILL)
    await rewind(servers.bootstrap)
    with running(servers.bootstrap, port):
        reports = await reported(servers.bootstrap, buyer_id, times=2)
    server.close()

    assert len(mine()) == 3
    assert len({message["Message-ID"] for message in mine()}) == 1
    assert {envelope.id for envelope, _ in reports} == {derived_id(smtp.source, event_id, 0)}
    assert {envelope.causation_id for envelope, _ in reports} == {event_id}
    assert {(report.delivery_id, report.outcome) for _, report in reports} == {(request.delivery_id, "ACCEPTED")}


async def publish(bootstrap: str, request: DeliveryRequested, event_id: str) -> None:
    async with Observer(bootstrap) as observer:
        partitions = len(await observer.partitions(smtp.topics))
    envelope = CloudEvent(
        id=event_id,
        type=request.TYPE,
        source="/houfu/notify",
        time=dt.datetime.now(dt.UTC),
        subject=request.notice_id,
        key=request.buyer_id,
        correlation_id=event_id,
    )
    target = KafkaLog(bootstrap)
    try:
        sent = addressed(request, envelope, partitions)  # type: ignore[arg-type]
        await target.publish([sent])
    finally:
        await target.stop()
