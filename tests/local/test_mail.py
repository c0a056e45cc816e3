"""The sandbox's mail server: what a mail program hands to it is kept whole, in order, within limits."""

from __future__ import annotations

import smtplib
import sys
import time
from email.message import EmailMessage
from pathlib import Path
from urllib.request import urlopen

import aiosmtplib
import pytest

from shared.local import mail as room
from shared.local.mail import Mailbox, mails, serve_mail
from shared.local.ports import HOST, free_port
from shared.local.process import Process

PATIENCE_S = 30


def a_mail(subject: str = "账单", text: str = "您好！\n.\n..two dots\n") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Houfu 后付 <notices@houfu.example>"
    message["To"] = "contact-7@sandbox.invalid"
    message["Subject"] = subject
    message.set_content(text)
    message.add_alternative("<p>您好！</p>", subtype="html")
    return message


async def test_a_mail_is_kept_as_it_was_handed_over(tmp_path: Path) -> None:
    async with serve_mail(tmp_path) as port:
        await aiosmtplib.send(a_mail(), hostname=HOST, port=port)
    [found] = mails(tmp_path)
    assert (found.sender, found.recipient) == ("notices@houfu.example", "contact-7@sandbox.invalid")
    assert (found.subject, found.text, found.html) == ("账单", "您好！\n.\n..two dots\n", "<p>您好！</p>\n")
    assert found.message["From"].addresses[0].display_name == "Houfu 后付"


async def test_each_recipient_has_a_copy(tmp_path: Path) -> None:
    async with serve_mail(tmp_path) as port:
        recipients = ["a@sandbox.invalid", "b@sandbox.invalid"]
        await aiosmtplib.send(a_mail(), hostname=HOST, port=port, recipients=recipients)
    assert [one.recipient for one in mails(tmp_path)] == recipients


async def test_mails_stand_in_the_order_of_arrival_over_restarts_and_clocks_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for turn, clock in enumerate((3_000, 2_000, 1_000)):
        monkeypatch.setattr(time, "time_ns", lambda clock=clock: clock)
        async with serve_mail(tmp_path) as port:
            for number in range(2):
                await aiosmtplib.send(a_mail(subject=f"{turn}.{number}"), hostname=HOST, port=port)
    assert [one.subject for one in mails(tmp_path)] == ["0.0", "0.1", "1.0", "1.1", "2.0", "2.1"]


async def test_only_so_many_are_kept_the_oldest_go(tmp_path: Path) -> None:
    async with serve_mail(tmp_path, keep=3) as port:
        for number in range(5):
            await aiosmtplib.send(a_mail(subject=str(number)), hostname=HOST, port=port)
    assert [one.subject for one in mails(tmp_path)] == ["2", "3", "4"]


async def test_a_mail_above_the_limit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async with serve_mail(tmp_path) as port, aiosmtplib.SMTP(hostname=HOST, port=port) as client:
        await client.mail("a@sandbox.invalid")
        await client.rcpt("b@sandbox.invalid")
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await client.data(b"line of text\r\n" * (room.MAIL_MAX_BYTES // 14 + 1))
    assert refused.value.code == 552
    assert list(tmp_path.iterdir()) == []


async def test_more_recipients_than_the_limit_are_refused(tmp_path: Path) -> None:
    async with serve_mail(tmp_path) as port, aiosmtplib.SMTP(hostname=HOST, port=port) as client:
        await client.mail("a@sandbox.invalid")
        for number in range(room.RECIPIENTS_MAX):
            await client.rcpt(f"r{number}@sandbox.invalid")
        with pytest.raises(aiosmtplib.SMTPRecipientRefused) as refused:
            await client.rcpt("one-more@sandbox.invalid")
    assert refused.value.code == 452


async def test_a_mail_that_cannot_be_kept_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async with serve_mail(tmp_path) as port:
        monkeypatch.setattr(Mailbox, "put", full)
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await aiosmtplib.send(a_mail(), hostname=HOST, port=port)
    assert refused.value.code == 452


def test_what_is_still_being_written_is_no_mail_yet(tmp_path: Path) -> None:
    Mailbox(tmp_path).put("a@sandbox.invalid", "b@sandbox.invalid", b"Subject: whole\r\n\r\n")
    (tmp_path / "00000000000000000001.part").write_bytes(b"Return-Path: <a@sand")
    assert [one.subject for one in mails(tmp_path)] == ["whole"]


def test_a_mail_without_a_subject_or_a_text_is_read_all_the_same(tmp_path: Path) -> None:
    Mailbox(tmp_path).put("", "b@sandbox.invalid", b"Content-Type: image/png\r\n\r\n\x89PNG")
    [found] = mails(tmp_path)
    assert (found.sender, found.subject, found.text, found.html) == ("", "", "", "")


def test_as_a_process_it_tells_its_health_takes_mail_and_stops_when_told(tmp_path: Path) -> None:
    port, health = free_port(), free_port()
    arguments = ("--port", port, "--directory", tmp_path / "mail", "--health-port", health)
    command = [sys.executable, "-m", "shared.local.mail", *map(str, arguments)]
    process = Process("mail", command, log=tmp_path / "mail.log")
    try:
        until = time.monotonic() + PATIENCE_S
        while not answers(health) and time.monotonic() < until:
            time.sleep(0.05)
        with smtplib.SMTP(HOST, port, timeout=PATIENCE_S) as client:
            client.send_message(a_mail())
    finally:
        process.stop()
    assert process.exit_code == 0, process.tail()
    assert [one.subject for one in mails(tmp_path / "mail")] == ["账单"]


def answers(health: int) -> bool:
    try:
        with urlopen(f"http://{HOST}:{health}/health/ready", timeout=5) as page:
            return bool(page.status == 200)
    except OSError:
        return False


def test_a_port_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ("--port", port, "--directory", tmp_path, "--health-port", free_port())
        assert room.main(list(map(str, arguments))) == 1
    assert str(port) in capsys.readouterr().err
