"""Every command on a running sandbox: what it prints for people, writes for programs, and says when it cannot."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from shared.cli.access import access_of
from shared.cli.console import Complaint
from shared.contracts.checkout import ApplyForAccount, PlaceOrder
from shared.contracts.envelope import Envelope, parse_instant
from shared.drivers.kafka import KafkaLog
from shared.engine.ports import Outgoing
from shared.operations.house import service_names
from shared.operations.stories import STATEMENT_STORIES, STORIES
from tests.cli.conftest import Houfu

DEMO_TIMEOUT_S = 300

SERVICES = {"checkout", "billing", "refunds", "notify"}

TOLD = {
    "a": {"order_accepted", "plan_opened", "collection_requested", "report_collection", "plan_settled", "notice_sent"},
    "d2": {"return_opened", "refund_allocated", "payout_requested", "report_payout", "refund_completed", "notice_sent"},
}
"""What an order's story must at least tell, by the story's name."""

DEADLINES = {"a": "COLLECT", "d2": "REVIEW"}


def application(buyer: str) -> str:
    body = {"buyer_id": buyer, "currency": "CNY", "platform_account_ref": "acc", "agreement_version": "2027-01"}
    return json.dumps(body)


def refused(houfu: Houfu, *words: str, given: str | None = None) -> str:
    """The one line a command that cannot be carried out says."""
    done = houfu(*words, given=given)
    assert done.returncode != 0
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_status_tells_programs_where_everything_is(houfu: Houfu) -> None:
    status = houfu.json("status")
    assert status["phase"] == "ready"
    assert status["clock"]["kind"] == "movable"
    assert {one["name"] for one in status["replicas"]} == {*SERVICES, "sandbox-provider", "smtp", "mail"}
    assert len([one for one in status["replicas"] if one["name"] == "billing"]) == 2
    assert all(one["pid"] and one["port"] for one in status["replicas"])
    assert set(status["dsns"]) == SERVICES
    assert set(status["lag"]) >= SERVICES
    assert "business time" in houfu("status").stdout


def test_a_published_command_is_seen_with_its_answer(houfu: Houfu) -> None:
    buyer = f"cli-{uuid4().hex[:8]}"
    written = houfu("publish", "apply_for_account", "--data", "-", given=application(buyer)).stdout.strip()
    assert str(UUID(written)) == written
    assert houfu("settled").returncode == 0
    seen = houfu("tail", "--buyer", buyer, "--from-beginning", "--limit", "2", "--json").stdout.splitlines()
    command, event = map(json.loads, seen)
    assert (command["id"], command["type"]) == (written, "houfu.checkout.apply_for_account.v1")
    assert (event["type"], event["causation_id"]) == ("houfu.checkout.account_applied.v1", written)


def test_a_repeated_id_has_no_second_effect(houfu: Houfu, tmp_path: Path) -> None:
    buyer, message_id = f"cli-{uuid4().hex[:8]}", str(uuid4())
    payload = tmp_path / "application.json"
    payload.write_text(application(buyer))
    for _ in range(2):
        told = houfu.json("publish", "checkout.apply_for_account", "--data", str(payload), "--id", message_id)
        assert told["id"] == message_id
    houfu("settled")
    seen = houfu("tail", "--buyer", buyer, "--from-beginning", "--limit", "3").stdout
    assert (seen.count("→ ApplyForAccount"), seen.count("● AccountApplied")) == (2, 1)


@pytest.fixture(scope="module")
def demo(houfu: Houfu) -> str:
    """What the demo showed on this sandbox."""
    done = houfu("demo", timeout_s=DEMO_TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def buyer_of(demo: str, narrator: str) -> str:
    """The buyer of one of the demo's stories."""
    [buyer] = {word for word in demo.split() if re.fullmatch(f"demo-{narrator}-[0-9a-f]+", word)}
    return buyer


def test_the_demo_tells_its_stories_and_every_outcome_is_the_expected_one(demo: str) -> None:
    assert demo.count("as expected") == len((*STORIES, *STATEMENT_STORIES))
    assert "✗" not in demo


def test_the_demo_closes_with_the_inbox_and_a_mail_as_it_arrived(demo: str) -> None:
    closing = demo.partition("What the buyer was told")[2]
    assert "Your refund of CN¥129.00 is complete" in closing
    assert "退款已全部完成" in closing


@pytest.mark.parametrize("narrator", ["a", "d2"])
def test_an_orders_story_is_told_over_the_services_and_both_adapters(houfu: Houfu, demo: str, narrator: str) -> None:
    order = f"{buyer_of(demo, narrator)}-order"
    story = houfu.json("trace", order)
    assert story[0]["type"] == PlaceOrder.TYPE
    assert {one["type"].split(".")[1] for one in story} == (SERVICES if narrator == "d2" else SERVICES - {"refunds"})
    assert {one["source"] for one in story} >= {"https://provider.sandbox.invalid", "/houfu/adapters/smtp"}
    assert {one["type"].split(".")[2] for one in story} >= TOLD[narrator]
    assert any(one.get("deadline") == DEADLINES[narrator] for one in story)
    assert f"⏰ {DEADLINES[narrator]}" in houfu("trace", order).stdout


def test_the_mail_of_a_sandbox_is_shown_to_people_and_programs(houfu: Houfu, demo: str) -> None:
    buyer = buyer_of(demo, "d2")
    (youngest,) = houfu.json("sandbox", "mail", "--to", buyer)
    assert youngest["recipient"] == f"{buyer}@sandbox.invalid"
    assert youngest["subject"] in houfu("sandbox", "mail", "--to", buyer).stdout
    assert houfu("sandbox", "mail", "--to", "nobody").stdout.strip() == "no mail"


def test_a_token_opens_its_own_views_and_no_other(houfu: Houfu, demo: str) -> None:
    buyer = buyer_of(demo, "d2")
    [port] = {one["port"] for one in houfu.json("status")["replicas"] if one["name"] == "refunds"}
    headers = {"Authorization": f"Bearer {houfu.json('sandbox', 'token', '--scope', f'buyer:{buyer}')['token']}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as refunds:
        (case,) = refunds.get(f"/buyers/{buyer}/returns").json()["items"]
        assert case["outcome"] == "REFUNDED"
        assert refunds.get("/buyers/somebody-else/returns").status_code == 403
    assert "is no scope" in refused(houfu, "sandbox", "token", "--scope", "everything")


def test_time_goes_on_and_never_back(houfu: Houfu) -> None:
    before = houfu.json("clock", "show")["now"]
    after = houfu.json("clock", "advance", "2h")["now"]
    assert after > before
    assert houfu.json("clock", "advance", "--to", after)["now"] == after
    assert "does not go back" in refused(houfu, "clock", "advance", "--to", "2027-01-01")
    assert "no length of time" in refused(houfu, "clock", "advance", "soon")
    assert "say how far" in refused(houfu, "clock", "advance")


def test_a_payment_proof_is_signed_for_the_sandbox(houfu: Houfu) -> None:
    words = ("sandbox", "proof", "--buyer", "b-1", "--order", "o-1", "--amount", "12900", "--device", "dev-1")
    assert houfu.json(*words)["payment_proof"].count(".") == 2


def test_migrating_again_changes_nothing(houfu: Houfu) -> None:
    assert houfu.json("migrate") == {name: [] for name in (*SERVICES, "topics")}


def test_lines_run_and_can_be_told_to(houfu: Houfu) -> None:
    stopped = {name: one["stopped"] for name, one in houfu.json("line", "status").items()}
    assert stopped == dict.fromkeys(SERVICES, False)
    assert houfu("line", "resume", "billing").returncode == 0
    assert "there is no service loans" in refused(houfu, "line", "resume", "loans")


async def write_under_another_key(bootstrap: str, now: datetime, buyer: str) -> None:
    """A command whose key is not the buyer it speaks of, as a careless integrator would write it."""
    identity = str(uuid4())
    envelope = Envelope(identity, ApplyForAccount.TYPE, "/careless", now, buyer, buyer, identity)
    log = KafkaLog(bootstrap)
    await log.publish([Outgoing("checkout.commands", 0, buyer, envelope.headers(), application(f"{buyer}-other"))])
    await log.stop()


async def test_a_dead_letter_is_listed_shown_and_discarded(houfu: Houfu) -> None:
    buyer, status = f"cli-{uuid4().hex[:8]}", houfu.json("status")
    await write_under_another_key(status["bootstrap"], parse_instant(status["clock"]["now"]), buyer)
    houfu("settled")
    [letter] = [one for one in houfu.json("dead-letters", "list") if one["key"] == buyer]
    number = str(letter["seq"])
    assert houfu.json("dead-letters", "show", "checkout", number)["reason"] == "KEY_MISMATCH"
    assert houfu("dead-letters", "discard", "checkout", number).returncode == 0
    houfu("settled")
    assert buyer not in houfu("dead-letters", "list").stdout
    assert "no dead letter" in refused(houfu, "dead-letters", "redrive", "checkout", number)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("publish", "apply_for_account", "--data", "/nowhere"), "cannot be read"),
        (("publish", "apply_for_account", "--data", "-"), "buyer_id: Field required"),
        (("trace", "no-such-order"), "no message speaks of an order no-such-order"),
        (("up", "--detach"), "a system is running"),
        (("up", "--scale", "loans=2"), "there is no loans to scale"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(houfu: Houfu, words: tuple[str, ...], said: str) -> None:
    assert said in refused(houfu, *words, given="{}")


def test_without_a_system_a_command_says_how_to_start_one(tmp_path: Path) -> None:
    nothing = Houfu(tmp_path)
    assert "start one with 'houfu up'" in refused(nothing, "status")
    assert nothing("down").stdout.startswith("no system runs in")


def test_a_cluster_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("HOUFU_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOUFU_KAFKA_BOOTSTRAP", "kafka:9092")
    with pytest.raises(Complaint, match="HOUFU_BILLING_DSN, HOUFU_CHECKOUT_DSN"):
        access_of(None)
    for name in service_names():
        monkeypatch.setenv(f"HOUFU_{name.upper()}_DSN", f"postgresql://{name}")
    access = access_of(None)
    assert (access.bootstrap, access.clock) == ("kafka:9092", "system")
    assert access.dsns["billing"] == "postgresql://billing"
    monkeypatch.setenv("HOUFU_CLOCK", "sundial")
    with pytest.raises(Complaint, match="HOUFU_CLOCK"):
        access_of(None)


def test_the_reference_that_is_written_is_fresh(houfu: Houfu, tmp_path: Path) -> None:
    assert "files below" in houfu("contracts", "export", "--to", str(tmp_path)).stdout
    (tmp_path / "events.md").write_text("stale")
    assert "events.md is out of date" in refused(houfu, "contracts", "export", "--to", str(tmp_path), "--check")
