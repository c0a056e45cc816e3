"""What an adapter's answers ask for: made from the settings, opened before the first answer, closed after the last."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from shared.operations.settings import EXIT_MISCONFIGURED, EXIT_UNREACHABLE

PATIENCE_S = 60

PROGRAM = """
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.contracts.billing import CollectionRequested
from shared.contracts.message import Command
from shared.integration.adapter import Adapter
from shared.integration.process import AdapterSettings, main
from shared.operations.settings import Misconfigured


class Client:
    def __init__(self, bootstrap: str) -> None:
        print("made for", bootstrap)

    async def __aenter__(self) -> "Client":
        print("opened")
        return self

    async def __aexit__(self, *_: object) -> None:
        print("closed")


psp = Adapter("psp", source="/psp")


@psp.on(CollectionRequested)
async def collect(request: CollectionRequested, client: Client) -> AsyncIterator[Command]:
    return
    yield


@asynccontextmanager
async def opened_client(settings: AdapterSettings) -> AsyncIterator[Client]:
    async with Client(settings.kafka_bootstrap) as client:
        yield client


def refuse(settings: AdapterSettings) -> Client:
    raise Misconfigured("PSP_URL: Field required")


sys.exit(main(psp, ["--from", "end"], provide={provide}))
"""


def run(provide: str) -> tuple[int, list[str], str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HOUFU_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("{provide}", provide)],
        env=ours | {"HOUFU_KAFKA_BOOTSTRAP": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("provide", ["lambda settings: Client(settings.kafka_bootstrap)", "opened_client"])
def test_a_resource_that_can_be_opened_is_and_is_closed_whatever_happens(provide: str) -> None:
    code, said, _ = run(provide)
    assert code == EXIT_UNREACHABLE
    assert said == ["made for 127.0.0.1:1", "opened", "closed"]


def test_settings_of_its_own_end_the_process_by_name() -> None:
    code, said, complaint = run("refuse")
    assert (code, said) == (EXIT_MISCONFIGURED, [])
    assert complaint == "psp: PSP_URL: Field required\n"
