"""What a reference stands for, from a real HTTP endpoint, a file, or nowhere; and who says so when nobody answers."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from shared.engine.ports import Unavailable
from shared.integration import resolver as room
from shared.integration.resolver import FileResolver, HttpResolver, SandboxResolver, UnknownReference, resolver_of
from shared.local.ports import free_port
from shared.operations.settings import Misconfigured

SETTING = "HOUFU_SMTP_CONTACTS"


class Directory(ThreadingHTTPServer):
    """An endpoint that knows some references, counts what it is asked, and can be told how to behave."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.known = {"contact-7": "ann@example.com", "a/b?c%d#e": "odd@example.com"}
        self.asked: list[tuple[str, str | None]] = []
        self.status = 200
        self.body: bytes | None = None
        self.silent = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/contacts"


class _Page(BaseHTTPRequestHandler):
    server: Directory

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("authorization")))
        if self.server.silent.is_set():
            self.close_connection = True
            return
        ref = unquote(self.path.removeprefix("/contacts/"))
        known = self.server.known.get(ref)
        body = self.server.body if self.server.body is not None else json.dumps({"value": known}).encode()
        self.send_response(404 if known is None and self.server.status == 200 else self.server.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Directory]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Directory()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def ask(resolver: HttpResolver, ref: str = "contact-7") -> str:
    try:
        return await resolver.resolve(ref)
    finally:
        await resolver.close()


async def test_the_endpoint_is_asked_for_the_reference_with_its_token(directory: Directory) -> None:
    assert await ask(HttpResolver(directory.url, token="s3cret")) == "ann@example.com"
    assert directory.asked == [("/contacts/contact-7", "Bearer s3cret")]


async def test_without_a_token_none_is_sent(directory: Directory) -> None:
    assert await ask(HttpResolver(directory.url + "/")) == "ann@example.com"
    assert directory.asked == [("/contacts/contact-7", None)]


async def test_a_reference_is_one_segment_of_the_path_whatever_it_holds(directory: Directory) -> None:
    assert await ask(HttpResolver(directory.url), "a/b?c%d#e") == "odd@example.com"
    assert directory.asked == [("/contacts/a%2Fb%3Fc%25d%23e", None)]


@pytest.mark.parametrize("ref", [".", ".."])
async def test_a_reference_does_not_climb_out_of_the_path(directory: Directory, ref: str) -> None:
    with pytest.raises(UnknownReference):
        await ask(HttpResolver(directory.url), ref)
    assert directory.asked == []


async def test_a_404_says_that_there_is_none(directory: Directory) -> None:
    with pytest.raises(UnknownReference):
        await ask(HttpResolver(directory.url), "contact-8")


@pytest.mark.parametrize("status", [302, 401, 429, 500, 503])
async def test_any_other_answer_is_none(directory: Directory, status: int) -> None:
    directory.status = status
    with pytest.raises(Unavailable, match=str(status)):
        await ask(HttpResolver(directory.url))


@pytest.mark.parametrize("body", [b"", b"ann@example.com", b"[]", b"{}", b'{"value": 7}', b'{"value": null}', b"\xff"])
async def test_an_answer_that_holds_no_value_is_none(directory: Directory, body: bytes) -> None:
    directory.body = body
    with pytest.raises(Unavailable, match="no value"):
        await ask(HttpResolver(directory.url))


async def test_an_answer_without_an_end_is_not_read_to_it(directory: Directory) -> None:
    directory.body = b" " * (room.ANSWER_MAX_BYTES + 1)
    with pytest.raises(Unavailable, match="above"):
        await ask(HttpResolver(directory.url))


async def test_a_connection_that_ends_without_an_answer_is_silence(directory: Directory) -> None:
    directory.silent.set()
    with pytest.raises(Unavailable, match="does not answer"):
        await ask(HttpResolver(directory.url))


async def test_where_nothing_listens_nobody_answers() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        await ask(HttpResolver(f"http://127.0.0.1:{free_port()}"))


async def test_an_answer_is_used_again_for_a_short_while(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = HttpResolver(directory.url)
    first = [await resolver.resolve("contact-7") for _ in range(3)]
    directory.known["contact-7"] = "bob@example.com"
    kept = await resolver.resolve("contact-7")
    monkeypatch.setattr(room, "KEPT_S", 0.0)
    assert (first, kept) == (["ann@example.com"] * 3, "ann@example.com")
    assert await ask(resolver) == "bob@example.com"
    assert len(directory.asked) == 2


async def test_only_so_many_answers_are_kept_the_oldest_goes(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "KEPT_MAX", 2)
    directory.known |= {ref: f"{ref}@example.com" for ref in "abc"}
    resolver = HttpResolver(directory.url)
    for ref in "abcca":
        await resolver.resolve(ref)
    await resolver.close()
    assert [path.rpartition("/")[2] for path, _ in directory.asked] == ["a", "b", "c", "a"]


async def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "contacts.json"
    file.write_text('{"contact-7": "ann@example.com", "odd": 7}')
    resolver = FileResolver(file)
    assert await resolver.resolve("contact-7") == "ann@example.com"
    for unknown in ("contact-8", "odd"):
        with pytest.raises(UnknownReference):
            await resolver.resolve(unknown)
    file.write_text('{"contact-8": "bob@example.com"}')
    assert await resolver.resolve("contact-8") == "bob@example.com"


async def test_a_file_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    file = tmp_path / "contacts.json"
    file.write_text('{"contact-7": "ann@example.com"}')
    resolver = FileResolver(file)
    await resolver.resolve("contact-7")
    before = file.stat()
    with file.open("r+b") as same:  # the same file, size and time, another content: it must not be looked at
        same.write(b'{"contact-9"')
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert await resolver.resolve("contact-7") == "ann@example.com"


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
async def test_a_file_half_written_is_silence_not_absence(tmp_path: Path, content: str) -> None:
    file = tmp_path / "contacts.json"
    file.write_text(content)
    with pytest.raises(Unavailable, match="cannot be read"):
        await FileResolver(file).resolve("contact-7")
    file.unlink()
    with pytest.raises(Unavailable, match="FileNotFoundError"):
        await FileResolver(file).resolve("contact-7")


async def test_in_a_sandbox_every_reference_is_an_address_that_reaches_nobody() -> None:
    refs = ("contact-7", "contact/7", "contact.7", "..", "!<a@b>,c", "x" * 200)
    found = [await SandboxResolver().resolve(ref) for ref in refs]
    assert found[0] == "contact-7@sandbox.invalid"
    assert found == [await SandboxResolver().resolve(ref) for ref in refs]
    assert len(set(found)) == len(refs)
    for address in found:
        local, _, domain = address.partition("@")
        assert domain == "sandbox.invalid"
        assert local.replace("-", "").isalnum()
        assert len(local) <= 64


def test_one_setting_says_where(tmp_path: Path) -> None:
    file = tmp_path / "contacts.json"
    file.write_text("{}")
    kinds = [
        type(resolver_of(spec, setting=SETTING)) for spec in ("sandbox:", f"file:{file}", "https://people.example/c")
    ]
    assert kinds == [SandboxResolver, FileResolver, HttpResolver]


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "sandbox",
        "sandbox:here",
        "file:",
        "file:contacts.json",
        "file:/no/such/file",
        "https:",
        "ftp://a/b",
        "ann@x",
    ],
)
def test_a_wrong_setting_is_named(spec: str) -> None:
    with pytest.raises(Misconfigured, match=f"^{SETTING}: "):
        resolver_of(spec, setting=SETTING)
