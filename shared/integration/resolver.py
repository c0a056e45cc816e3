"""What opaque references stand for. Personal data and secrets stay outside Houfu; an adapter looks them up at last.

Where, one setting says:

====================================  ================================================================================
``sandbox:``                          nowhere: ``contact-7`` is ``contact-7@sandbox.invalid``
``file:/srv/contacts.json``           in a JSON object, reference to value; read again whenever it has changed
``https://people.example/contacts``   ``GET /contacts/<reference>`` answers ``{"value": "…"}``, or 404 where there is
                                      none; with a token it goes along as ``Authorization: Bearer …``
====================================  ================================================================================
"""

from __future__ import annotations

import json
import re
import time
from collections import OrderedDict
from hashlib import blake2b
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import httpx

from shared.engine.ports import Unavailable
from shared.operations.settings import Misconfigured

__all__ = ["FileResolver", "HttpResolver", "Resolver", "SandboxResolver", "UnknownReference", "resolver_of"]

TIMEOUT_S = 5.0
ANSWER_MAX_BYTES = 64 * 1024
FILE_MAX_BYTES = 16 * 1024 * 1024

KEPT_S = 60.0
"""How long an answer is used again: long enough for a burst of notices, short enough for people who move."""

KEPT_MAX = 1_000


class UnknownReference(Exception):
    """There is no such reference, says whoever should know it; asking again will not help."""


class Resolver(Protocol):
    """Knows what a reference stands for."""

    async def resolve(self, ref: str) -> str:
        """The value of ``ref``; raises :class:`UnknownReference`, or :class:`Unavailable` where nobody answers now."""

    async def close(self) -> None:
        """Let go of what is open; the resolver is not asked again."""


def resolver_of(spec: str, *, setting: str, token: str | None = None) -> Resolver:
    """The resolver that ``spec`` asks for; raises :class:`Misconfigured` naming ``setting``, where it came from."""
    scheme, _, rest = spec.partition(":")
    match scheme:
        case "sandbox" if spec == "sandbox:":
            return SandboxResolver()
        case "file" if Path(rest).is_absolute():
            if not Path(rest).is_file():
                raise Misconfigured(f"{setting}: there is no file {rest}")
            return FileResolver(Path(rest))
        case "http" | "https" if _is_endpoint(spec):
            return HttpResolver(spec, token=token)
        case _:
            raise Misconfigured(f"{setting}: must be sandbox:, file:/an/absolute/path.json or https://host/path")


def _is_endpoint(spec: str) -> bool:
    try:
        url = httpx.URL(spec)
    except httpx.InvalidURL:
        return False
    return bool(url.host) and not url.query and not url.fragment


class SandboxResolver:
    """Makes every reference an address in a domain that does not exist, so that no test ever reaches a person."""

    async def resolve(self, ref: str) -> str:
        """``<ref>@sandbox.invalid``; what an address may not hold is replaced, and a digest keeps two refs apart."""
        safe = re.sub(r"[^A-Za-z0-9-]+", "-", ref).strip("-")[:40]
        if safe != ref:
            safe = f"{safe or 'ref'}-{blake2b(ref.encode(), digest_size=4).hexdigest()}"
        return f"{safe}@sandbox.invalid"

    async def close(self) -> None:
        """Nothing is open."""


class FileResolver:
    """Looks references up in a JSON object on disk."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_as: tuple[int, int, int] | None = None
        self._values: dict[str, object] = {}

    async def resolve(self, ref: str) -> str:
        """The value of ``ref`` as the file has it now; a file that cannot be read, half written maybe, is silence."""
        try:
            self._refresh()
        except (OSError, ValueError) as unread:
            raise Unavailable(f"{self._file} cannot be read ({type(unread).__name__})") from unread
        value = self._values.get(ref)
        if not isinstance(value, str):
            raise UnknownReference(ref)
        return value

    async def close(self) -> None:
        """Nothing is open."""

    def _refresh(self) -> None:
        seen = self._file.stat()
        state = (seen.st_mtime_ns, seen.st_size, seen.st_ino)
        if state == self._read_as:
            return
        if seen.st_size > FILE_MAX_BYTES:
            raise ValueError(f"above {FILE_MAX_BYTES} bytes")
        values = json.loads(self._file.read_bytes())
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        self._values, self._read_as = values, state


class HttpResolver:
    """Asks an HTTP endpoint, and remembers its answers for a minute."""

    def __init__(self, base: str, *, token: str | None = None) -> None:
        self._base = base.rstrip("/")
        headers = {"accept": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, headers=headers)
        self._kept: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def resolve(self, ref: str) -> str:
        """The value of ``ref`` as the endpoint has it now, or had it a minute ago."""
        asked_at, value = self._kept.get(ref, (-KEPT_S, ""))
        if time.monotonic() - asked_at < KEPT_S:
            return value
        value = await self._ask(ref)
        self._kept[ref] = time.monotonic(), value
        self._kept.move_to_end(ref)
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return value

    async def close(self) -> None:
        """Close the connections to the endpoint."""
        await self._client.aclose()

    async def _ask(self, ref: str) -> str:
        if ref in {".", ".."}:  # quoting leaves these as they are, and they name another place
            raise UnknownReference(ref)
        try:
            async with self._client.stream("GET", f"{self._base}/{quote(ref, safe='')}") as answer:
                if answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
                    raise UnknownReference(ref)
                if answer.status_code != httpx.codes.OK:
                    raise Unavailable(f"the resolver answers {answer.status_code}")
                body = b""
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > ANSWER_MAX_BYTES:
                        raise Unavailable(f"the resolver's answer is above {ANSWER_MAX_BYTES} bytes")
        except httpx.HTTPError as silence:
            raise Unavailable(f"the resolver does not answer ({type(silence).__name__})") from silence
        return _value_of(body)


def _value_of(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    value = answer.get("value") if isinstance(answer, dict) else None
    if not isinstance(value, str):
        raise Unavailable("the resolver's answer holds no value")
    return value
