"""The views as their processes serve them, over real schemas: rows are saved as turns do, who asks is told by tokens.

Only the rest of a process (broker, lifespan) is left out; ``tests/views/test_process.py`` has the whole.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import httpx
from fastapi import FastAPI

from shared.drivers.postgres import PostgresDatabase
from shared.drivers.queries import PostgresQueries
from shared.engine.ports import Changes
from shared.engine.vocabulary import Entry, Row
from shared.operations.tokens import TokenSettings, TokenVerifier, key_set_of, sign_token
from shared.operations.views import Asking, serve_views

ISSUER = "https://issuer.test"
AUDIENCE = "houfu"
WORDS = "a secret of the tests, long enough for HS256"
HOUR = timedelta(hours=1)
ZONE = "Asia/Shanghai"


def secret_of(words: str) -> str:
    """A secret as a key set has it: base64url."""
    return base64.urlsafe_b64encode(words.encode()).decode()


SECRET = secret_of(WORDS)


def token(*scopes: str, secret: str = SECRET, **other: Any) -> str:
    """A token as the issuer would write it, valid for an hour from now."""
    claims: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "now": datetime.now(UTC), "valid_for": HOUR}
    return sign_token(secret, scopes, **{**claims, **other})


def verifier() -> TokenVerifier:
    return TokenVerifier.of(TokenSettings(issuer=ISSUER, audience=AUDIENCE, keys=key_set_of(SECRET)))


@dataclass
class Bench:
    """One service's views over its schema."""

    database: PostgresDatabase
    app: FastAPI
    client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        transport = httpx.ASGITransport(self.app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://views.test")

    @classmethod
    async def open(cls, service: str, dsn: str, schema: str) -> Bench:
        app = FastAPI()
        serve_views(app, [import_module(f"services.{service}.views").views])
        app.state.asking = Asking(await PostgresQueries.open(dsn, service, schema=schema), verifier(), ZONE)
        return cls(await PostgresDatabase.open(dsn, service, schema=schema), app)

    async def close(self) -> None:
        await self.client.aclose()
        await self.app.state.asking.questions.close()
        await self.database.close()

    async def save(self, *rows: Row | Entry) -> None:
        """Save rows and entries as a turn would."""
        changes = Changes()
        for row in rows:
            if isinstance(row, Row):
                changes.rows.setdefault(type(row), []).append(row)
            else:
                changes.entries.setdefault(type(row), []).append(row)
        async with self.database.turn() as turn:
            await turn.save(changes)

    async def empty(self, kinds: Iterable[type[Row] | type[Entry]]) -> None:
        async with self.database.connection("emptying") as connection:
            await connection.execute(f"TRUNCATE {', '.join(kind.TABLE for kind in kinds)}")

    async def get(self, path: str, *scopes: str, bearer: str | None = None, **params: Any) -> httpx.Response:
        """What somebody with these scopes (or this token) is answered; with neither, nobody in particular."""
        credentials = bearer or (token(*scopes) if scopes else None)
        headers: Mapping[str, str] = {"Authorization": f"Bearer {credentials}"} if credentials else {}
        return await self.client.get(path, headers=headers, params=params or None)

    async def read(self, path: str, *scopes: str, **params: Any) -> Any:
        """The body of an answer that must be one."""
        response = await self.get(path, *scopes, **params)
        assert response.status_code == 200, response.text
        return response.json()
