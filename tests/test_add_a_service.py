"""The fifth service CONTRIBUTING shows is taken from the page as it stands, added to a copy of the tree, and run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml

import services
from shared.contracts.billing import BillPaid
from shared.contracts.envelope import Envelope
from shared.drivers.kafka import KafkaLog
from shared.drivers.observer import Observer
from shared.drivers.topics import PARTITIONS
from shared.engine.ports import Outgoing
from shared.kernel.ids import derived_id
from shared.kernel.partition import home_partition
from shared.operations.house import ServiceMisnamed, service_names
from shared.operations.remote import Access, RunningSystem
from shared.operations.sightings import Sighting, sighted

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "CONTRIBUTING.md"

LABELLED = re.compile(r"`([\w/]+\.\w+)`:\n\n```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)
"""A file as the page shows it: its name at the end of a sentence, then its text."""

EMPTY = re.compile(r"an\s+empty `([\w/]+\.py)`")

LINES_MAX = 49

REDEEM_POINTS = "houfu.loyalty.redeem_points.v1"

START_TIMEOUT_S = 180


def shown() -> dict[str, str]:
    """The files of the section *Add a service*, by their path."""
    _, _, section = PAGE.read_text("utf-8").partition("\n## Add a service\n")
    section, _, _ = section.partition("\n## ")
    return dict(LABELLED.findall(section)) | dict.fromkeys(EMPTY.findall(section), "")


@dataclass(frozen=True)
class Tree:
    """A copy of the tree, and commands that are run in it and know no other."""

    root: Path

    def run(self, *words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("HOUFU_")}
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.root,
            env={**ours, "PYTHONPATH": str(self.root)},
            input=given,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )

    def houfu(self, *words: str, given: str | None = None) -> str:
        """What a successful ``houfu`` command printed."""
        data_dir = ("--data-dir", str(self.root / "data")) if words[0] != "contracts" else ()
        done = self.run("-m", "shared.cli.main", *words, *data_dir, given=given)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Everything of ours, and the files the page shows."""
    root = tmp_path_factory.mktemp("tree")
    for folder in ("shared", "services"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".importlinter", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    for name, text in shown().items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return Tree(root)


def test_the_page_shows_a_whole_service_in_less_than_fifty_lines() -> None:
    files = shown()
    assert set(files) == {
        "services/loyalty/__init__.py",
        "services/loyalty/app.py",
        "services/loyalty/migrations/loyalty_0001.sql",
        "shared/contracts/loyalty.py",
    }
    assert 0 < sum(bool(line.strip()) for text in files.values() for line in text.splitlines()) <= LINES_MAX


def test_a_folder_whose_name_cannot_be_a_service_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("rooms", "gift-cards"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").touch()
    (tmp_path / "notes").mkdir()
    monkeypatch.setattr(services, "__path__", [str(tmp_path)])
    with pytest.raises(ServiceMisnamed, match="services/gift-cards: a service is named by one word"):
        service_names()
    (tmp_path / "gift-cards" / "app.py").unlink()
    assert service_names() == ("rooms",)


@pytest.mark.parametrize(
    "check",
    [
        ("-m", "ruff", "check", "services/loyalty", "shared/contracts/loyalty.py"),
        ("-m", "ruff", "format", "--check", "services/loyalty", "shared/contracts/loyalty.py"),
        ("-m", "mypy", "--follow-imports=silent", "-p", "services.loyalty", "-p", "shared.contracts.loyalty"),
        ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])"),
    ],
    ids=["style", "format", "types", "imports"],
)
def test_it_keeps_the_rules_of_the_house(tree: Tree, check: Sequence[str]) -> None:
    done = tree.run(*check)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_documents_tell_what_it_says_and_who_reacts(tree: Tree) -> None:
    tree.houfu("contracts", "export", "--to", "documents")
    page = (tree.root / "documents" / "events.md").read_text("utf-8")
    sections = {part.partition("\n")[0]: part for part in page.split("\n### ")}
    assert "| Sent by | `loyalty` |" in sections["PointsGranted"]
    assert "| Sent by | the shop |" in sections["RedeemPoints"]
    assert "`loyalty`: `services.loyalty.app.redeem_points`" in sections["RedeemPoints"]
    assert "`loyalty`: `services.loyalty.app.grant_points`" in sections["BillPaid"]
    assert "loyalty refused a command" in page
    document = yaml.safe_load((tree.root / "documents" / "asyncapi.yaml").read_text("utf-8"))
    assert document["x-applications"]["loyalty"]["operations"] == [
        "loyalty.receive.billing.events",
        "loyalty.receive.loyalty.commands",
        "loyalty.send.loyalty.events",
        "loyalty.send.service.dlq",
    ]
    assert "loyalty" in document["channels"]["service.dlq"]["parameters"]["service"]["enum"]
    assert (tree.root / "documents" / "schemas" / "houfu.loyalty.points_granted.v1.json").exists()


# ------------------------------------------------------------------ running


@dataclass(frozen=True)
class Loyalty:
    """The running service, and what its neighbours say to it and hear of it."""

    tree: Tree
    system: RunningSystem
    log: KafkaLog
    port: int

    async def write(self, topic: str, wire_type: str, buyer: str, body: str, message_id: str = "") -> str:
        """Write a message as its sender would and let everything come of it; returns its id."""
        message_id = message_id or str(uuid4())
        envelope = Envelope(message_id, wire_type, "/elsewhere", datetime.now(UTC), buyer, buyer, message_id)
        lane = home_partition(buyer, PARTITIONS)
        await self.log.publish([Outgoing(topic, lane, buyer, envelope.headers(), body)])
        await self.system.settled()
        return message_id

    async def paid(self, buyer: str, bill: str, *, max_dpd: int = 0, message_id: str = "") -> str:
        """Billing says that a bill is paid."""
        day = date(2027, 3, 19)
        paid = BillPaid(buyer_id=buyer, bill_id=bill, paid_on=day, due_on=day, max_dpd=max_dpd)
        return await self.write(BillPaid.topic(), BillPaid.TYPE, buyer, paid.to_json(), message_id)

    async def redeem(self, buyer: str, ref: str, points: int) -> tuple[str, str | None]:
        """The shop takes points; the one answer to that, by name and code."""
        body = json.dumps({"buyer_id": buyer, "ref": ref, "points": points})
        return await self.answer(buyer, await self.write("loyalty.commands", REDEEM_POINTS, buyer, body))

    async def answer(self, buyer: str, command_id: str) -> tuple[str, str | None]:
        """The one answer to a command, by name and code."""
        await self.system.settled()
        (found,) = [one for one in await self.said(buyer) if one.envelope and one.envelope.causation_id == command_id]
        return found.name, found.body.get("code")

    async def said(self, buyer: str, topic: str = "loyalty.events") -> list[Sighting]:
        """Everything of one buyer on a topic, republications too."""
        async with Observer(self.system.access.bootstrap) as observer:
            found = [sighted(record) async for record in observer.records([topic])]
        return [one for one in found if one.key == buyer]

    async def ask(self, question: str, *values: Any) -> Any:
        """One value out of the service's schema."""
        async with self.system.databases["loyalty"].connection("auditing") as connection:
            return await connection.fetchval(question, *values)

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(f"http://127.0.0.1:{self.port}{path}")


@pytest.fixture(scope="module")
async def loyalty(tree: Tree) -> AsyncIterator[Loyalty]:
    """The copy's system as ``houfu up`` starts it: nobody named the fifth service to it."""
    tree.houfu("up", "--detach", "--without-adapters")
    try:
        status = json.loads(tree.houfu("status", "--json"))
        (port,) = [one["port"] for one in status["replicas"] if one["name"] == "loyalty"]
        access = Access(
            status["bootstrap"],
            dsns={"loyalty": status["dsns"]["loyalty"]},
            readers={"loyalty": ("billing.events", "loyalty.commands")},
        )
        log = KafkaLog(access.bootstrap)
        async with RunningSystem(access) as system:
            yield Loyalty(tree, system, log, port)
        await log.stop()
    finally:
        tree.houfu("down")


async def test_a_bill_earns_points_once_however_often_it_is_told(loyalty: Loyalty) -> None:
    told = await loyalty.paid("b-once", "b:o-1")
    await loyalty.paid("b-once", "b:o-1", message_id=told)  # the inbox knows the id
    await loyalty.ask("WITH gone AS (DELETE FROM inbox RETURNING id) SELECT count(*) FROM gone")
    await loyalty.paid("b-once", "b:o-1", message_id=told)  # and the row the bill
    await loyalty.paid("b-once", "b:o-2", max_dpd=1)
    (granted,) = await loyalty.said("b-once")
    assert granted.body == {"buyer_id": "b-once", "ref": "b:o-1", "points": 10}
    assert (granted.id, granted.name) == (derived_id("/houfu/loyalty", told, 0), "PointsGranted")
    assert await loyalty.ask("SELECT points FROM account WHERE buyer_id = $1", "b-once") == 10
    assert await loyalty.ask("SELECT count(*) FROM outbox") == 0


async def test_points_are_spent_once_and_only_those_that_are_there(loyalty: Loyalty) -> None:
    await loyalty.paid("b-spends", "b:o-1")
    assert await loyalty.redeem("b-spends", "r-1", 11) == ("CommandRejected", "INSUFFICIENT_POINTS")
    assert await loyalty.redeem("b-spends", "r-1", 4) == ("PointsRedeemed", None)
    assert await loyalty.redeem("b-spends", "r-1", 4) == ("CommandRejected", "ALREADY_DONE")
    assert await loyalty.redeem("b-spends", "r-1", 5) == ("CommandRejected", "ALREADY_EXISTS")
    assert await loyalty.redeem("b-nobody", "r-1", 1) == ("CommandRejected", "INSUFFICIENT_POINTS")
    assert await loyalty.ask("SELECT points FROM account WHERE buyer_id = $1", "b-spends") == 6


async def test_the_command_line_knows_its_messages(loyalty: Loyalty) -> None:
    body = json.dumps({"buyer_id": "b-typed", "ref": "r-1", "points": 1})
    written = loyalty.tree.houfu("publish", "redeem_points", "--data", "-", given=body).strip()
    assert await loyalty.answer("b-typed", written) == ("CommandRejected", "INSUFFICIENT_POINTS")


async def test_a_malformed_command_is_a_dead_letter_and_is_answered(loyalty: Loyalty) -> None:
    written = await loyalty.write("loyalty.commands", REDEEM_POINTS, "b-careless", "{}")
    (notice,) = await loyalty.said("b-careless", "loyalty.dlq")
    assert (notice.body["reason"], notice.body["message_id"]) == ("SCHEMA_VIOLATION", written)
    assert await loyalty.answer("b-careless", written) == ("CommandRejected", "MALFORMED")
    assert "b-careless" in loyalty.tree.houfu("dead-letters", "list", "--service", "loyalty")


async def test_it_tells_its_health_and_its_figures(loyalty: Loyalty) -> None:
    assert (await loyalty.get("/health/live")).json()["service"] == "loyalty"
    ready = (await loyalty.get("/health/ready")).json()
    assert (ready["ready"], ready["lanes"]) == (True, list(range(PARTITIONS)))
    figures = await loyalty.get("/metrics")
    assert figures.status_code == httpx.codes.OK
    assert "# TYPE houfu_" in figures.text
