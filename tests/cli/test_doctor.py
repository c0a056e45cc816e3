"""``houfu doctor``: what it says of facts, of a running sandbox in which things are broken, and where nothing runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from shared.contracts.envelope import parse_instant
from shared.drivers.postgres import PostgresDatabase
from shared.drivers.topics import Topic, TopicSeen, topic_plan
from shared.engine.held import pack_record
from shared.engine.inspection import Standing
from shared.engine.ports import Changes, Held, Line, Record, Until, Word
from shared.engine.service import Service
from shared.kernel.partition import home_partition
from shared.local.state import Replica
from shared.operations import deployment
from shared.operations.diagnosis import (
    CommandLine,
    Finding,
    Grade,
    Look,
    judge_adapter_group,
    judge_clock,
    judge_dead_letters,
    judge_dsns,
    judge_group,
    judge_line,
    judge_names,
    judge_progress,
    judge_replica,
    judge_schema,
    judge_topics,
    judge_waiting,
    stands_still,
)
from shared.operations.doctor import Doctor, Patient
from shared.operations.house import service_names
from tests.cli.conftest import Houfu

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUFU = CommandLine()
MINUTE = timedelta(minutes=1)
WELL, NOTE, ILL = Grade.WELL, Grade.NOTE, Grade.ILL


# ------------------------------------------------------------------ facts and what they mean


PLAN = topic_plan(["billing"], 12)


def as_planned(*, but: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, TopicSeen]:
    """The topics as they are planned, with some settings of some of them changed."""
    changed = but or {}
    return {one.name: TopicSeen(one.partitions, {**one.configuration(), **changed.get(one.name, {})}) for one in PLAN}


def told(findings: Sequence[Finding]) -> str:
    return "\n".join(f"{one.grade}: {one.cause} → {one.remedy}" for one in findings)


def test_topics_as_planned_are_well_and_longer_retention_harms_nobody() -> None:
    longer = {"billing.commands": {"retention.ms": "-1"}, "billing.dlq": {"retention.bytes": "-1"}}
    (finding,) = judge_topics(PLAN, as_planned(but=longer), HOUFU)
    assert finding.grade is WELL


def test_a_missing_topic_and_one_of_another_size_are_named() -> None:
    seen = as_planned()
    del seen["billing.dlq"]
    seen["billing.commands"] = replace(seen["billing.commands"], partitions=6)
    plan = [*PLAN, Topic("notify.events", 12, -1)]
    seen["notify.events"] = TopicSeen(12, plan[-1].configuration())
    said = told([*judge_topics(plan, seen, HOUFU)])
    assert "ill: missing: billing.dlq → houfu migrate" in said
    assert "most have 12, but billing.commands has 6" in said


@pytest.mark.parametrize(
    ("topic", "key", "value"),
    [
        ("billing.events", "message.timestamp.type", "CreateTime"),
        ("billing.events", "cleanup.policy", "compact"),
        ("billing.events", "retention.ms", "604800000"),
        ("billing.commands", "retention.ms", "3600000"),
        ("billing.events", "retention.bytes", "1000000"),
        ("billing.commands", "max.message.bytes", "1000"),
    ],
)
def test_a_topic_that_loses_or_reorders_messages_is_told_with_the_command_that_mends_it(
    topic: str, key: str, value: str
) -> None:
    (finding,) = judge_topics(PLAN, as_planned(but={topic: {key: value}}), HOUFU)
    assert (finding.grade, finding.cause) == (ILL, f"{topic} has {key}={value}")
    assert f"--entity-name {topic} --add-config {key}=" in finding.remedy


def test_names_that_cannot_be_meant_are_told() -> None:
    environ = {
        "HOUFU_LOANS_DSN": "postgresql://x",
        "HOUFU_BILLING_DSN": "postgresql://y",
        "HOUFU_KAFKA_BOOTSTRP": "h:1",
        "HOUFU_ZONE": "Mars/Olympus",
        "HOUFU_POSTGRES_PASSWORD": "of the containers",
    }
    meaningful = {"HOUFU_KAFKA_BOOTSTRAP", "HOUFU_BILLING_DSN", "HOUFU_ZONE"}
    said = told([*judge_names(environ, ["billing"], meaningful)])
    assert said.splitlines() == [
        "note: HOUFU_KAFKA_BOOTSTRP means nothing → is HOUFU_KAFKA_BOOTSTRAP meant?",
        "ill: HOUFU_LOANS_DSN names no service → correct or unset it; there are billing",
        "ill: HOUFU_ZONE: there is no time zone 'Mars/Olympus' → name one such as Asia/Shanghai",
    ]


def test_every_service_has_a_database_of_its_own() -> None:
    same = "postgresql://one:secret@db/houfu"
    said = told([*judge_dsns({"billing": same, "checkout": same, "notify": "", "refunds": "db:5432"})])
    assert "HOUFU_CHECKOUT_DSN is the same as that of billing" in said
    assert "HOUFU_NOTIFY_DSN is not set" in said
    assert "HOUFU_REFUNDS_DSN is no DSN" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("kind", "advances", "reached", "grade", "said"),
    [
        ("system", 0, None, WELL, "the system's"),
        ("system", 7, None, NOTE, "7 advances of a sandbox"),
        ("system", 0, NOON + timedelta(minutes=5), NOTE, "300 s ahead"),
        ("movable", 7, NOON + timedelta(minutes=5), WELL, "62 d 3 h ahead of the wall clock"),
    ],
)
def test_whose_time_it_is(kind: str, advances: int, reached: datetime | None, grade: Grade, said: str) -> None:
    now = NOON + timedelta(days=62, hours=3) if kind == "movable" else NOON
    finding = judge_clock(kind, now, NOON, advances=advances, reached=reached)
    assert finding.grade is grade
    assert said in finding.cause


def test_a_schema_is_behind_or_of_another_build_or_well() -> None:
    behind = judge_schema("billing", ["billing_0002: Refunds."], [], HOUFU)
    assert (behind.grade, behind.remedy) == (ILL, "houfu migrate")
    assert judge_schema("billing", [], ["bill.stage: there is no such column"], HOUFU).grade is ILL
    assert judge_schema("billing", [], [], HOUFU).grade is WELL


IDLE = Look(0, 100, Standing())


@pytest.mark.parametrize(
    ("before", "after", "grade", "said"),
    [
        (IDLE, IDLE, WELL, "nothing unread"),
        (replace(IDLE, unread=9), replace(IDLE, unread=9), ILL, "stuck: 9 unread, none handled for 10 s"),
        (replace(IDLE, unread=9), replace(IDLE, unread=30, handled=105), NOTE, "30 unread, more than"),
        (replace(IDLE, unread=9), replace(IDLE, unread=4, handled=105), NOTE, "going down"),
        (replace(IDLE, unread=9), replace(IDLE, handled=109), WELL, "nothing unread"),
        (Look(5, 1), Look(5, 1), ILL, "stuck"),
        (Look(0, 1, Standing(outbox_rows=2)), Look(0, 1, Standing(outbox_rows=2)), ILL, "may not be published"),
        (Look(0, 1, Standing(earliest_due=NOON)), Look(0, 1, Standing(earliest_due=NOON)), ILL, "due since 2027-03-01"),
        (Look(0, 1, Standing(earliest_due=NOON)), Look(0, 1, Standing()), WELL, "nothing unread"),
        (Look(0, 1, Standing(earliest_due=NOON - MINUTE)), Look(0, 1, Standing(earliest_due=NOON)), WELL, "nothing"),
    ],
)
def test_two_looks_tell_whether_a_reader_gets_on(before: Look, after: Look, grade: Grade, said: str) -> None:
    now = NOON + timedelta(seconds=1)
    finding = judge_progress("billing", before, after, now, waited_s=10, remedy="read its log")
    assert finding.grade is grade
    assert said in finding.cause
    assert (finding.remedy == "read its log") is (grade is ILL)
    assert stands_still(before, after, now) is (grade is ILL)


def test_a_reader_that_is_stuck_because_its_line_is_stopped_says_so() -> None:
    stuck = Look(9, 1, Standing(line=Line(True, "HANDLER_FAILED", "b1", NOON)))
    finding = judge_progress("billing", stuck, stuck, NOON, waited_s=10, remedy="read its log")
    assert "its line is stopped" in finding.remedy


def letter(seq: int, key: str, fingerprint: str = "", word: Word | None = None) -> Held:
    return Held(
        3, key, Until.OPERATOR, "", "id", NOON + timedelta(minutes=seq), seq, reason="HANDLER_FAILED",
        fingerprint=fingerprint, word=word,
    )  # fmt: skip


def test_dead_letters_that_park_come_first_and_those_spoken_about_are_done_with() -> None:
    said = judge_dead_letters("billing", [letter(1, "b-1"), letter(2, "b-2", "f"), letter(3, "b-2", "f")], HOUFU)
    assert said.grade is ILL
    assert "3, the oldest of 2027-03-01 12:01 UTC (HANDLER_FAILED); 1 parked key: b-2" in said.cause
    assert "houfu dead-letters show billing 2; after a fix houfu dead-letters redrive billing 2" in said.remedy
    unread = judge_dead_letters("billing", [letter(1, "b-1")], HOUFU)
    assert (unread.grade, unread.remedy) == (NOTE, "houfu dead-letters show billing 1")
    assert judge_dead_letters("billing", [letter(2, "b-2", "f", Word.REDRIVE)], HOUFU).grade is WELL
    many = judge_dead_letters("billing", [letter(n, f"b-{n}", "f") for n in range(5)], HOUFU)
    assert "5 parked keys: b-0, b-1, b-2 and others" in many.cause


def test_a_stopped_line_tells_since_when_why_and_how_to_resume_it() -> None:
    stopped = judge_line("billing", Line(True, "20 keys failed alike", "b1", NOON), CommandLine(Path("/some where")))
    assert "stopped since 2027-03-01 12:00 UTC: 20 keys failed alike" in stopped.cause
    assert "houfu line resume billing --data-dir '/some where'" in stopped.remedy
    assert judge_line("billing", Line(), HOUFU).grade is WELL


def test_a_service_needs_a_process_an_adapter_may_be_left_out_and_too_many_idle() -> None:
    assert judge_group("billing", 0, 12, "uvicorn …").grade is ILL
    assert judge_group("billing", 3, 12, "uvicorn …").grade is WELL
    assert "13, of which 1 idle" in judge_group("billing", 13, 12, "uvicorn …").cause
    never = judge_adapter_group("smtp", 0, 12, "python -m …", committed=False)
    assert (never.grade, "none has ever committed" in never.cause) == (NOTE, True)


def test_a_replica_is_down_in_trouble_restarted_or_ready() -> None:
    one = Replica(name="billing", number=2, pid=7, port=8000, ready=True, log=Path("/logs/billing-2.log"))
    assert judge_replica(one, None).grade is WELL
    assert judge_replica(one.model_copy(update={"restarts": 3}), None).cause == "ready, started again 3 times"
    down = judge_replica(one.model_copy(update={"pid": None, "restarts": 3}), None)
    assert (down.grade, down.remedy) == (ILL, "read /logs/billing-2.log")
    assert judge_replica(one, "no partition is assigned").grade is ILL


def test_events_that_wait_for_a_row_are_told() -> None:
    assert [*judge_waiting("billing", Standing())] == []
    (finding,) = judge_waiting("billing", Standing(waiting=2))
    assert (finding.grade, "2 wait for a row" in finding.cause) == (NOTE, True)


# ------------------------------------------------------------------ nothing runs, or half of it


def alone(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command with nothing in its environment but what is given."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HOUFU_")}
    return subprocess.run(
        [sys.executable, "-m", "shared.cli.main", "doctor", *words],
        env={**ours, **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_where_nothing_runs_it_says_how_to_start_and_whether_that_can_work(tmp_path: Path) -> None:
    done = alone("--data-dir", str(tmp_path / "none"))
    assert done.returncode == 1, done.stderr
    (system,) = [line for line in done.stdout.splitlines() if line.startswith("✗ system ")]
    assert f"none runs in {tmp_path}/none  → houfu up --detach --data-dir {tmp_path}/none" in system
    assert "java runs: openjdk" in done.stdout
    assert "postgres runs: postgres (PostgreSQL)" in done.stdout
    assert " jars " in done.stdout


def test_where_nothing_answers_every_part_is_named_and_no_password_shown() -> None:
    nowhere = "postgresql://{}:secret@127.0.0.1:1/houfu"
    dsns = {f"HOUFU_{name.upper()}_DSN": nowhere.format(name) for name in service_names()}
    done = alone("--json", HOUFU_KAFKA_BOOTSTRAP="127.0.0.1:1", HOUFU_TURN_RECORDS="many", **dsns)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["healthy"] is False
    ill = [one["check"] for one in found["findings"] if one["grade"] == "ill"]
    assert ill == ["settings", "broker", *(f"schema of {name}" for name in service_names())]
    assert all(one["remedy"] for one in found["findings"] if one["grade"] == "ill")
    assert "secret" not in done.stdout


async def test_a_service_that_does_not_load_and_one_that_is_new_since_the_start_hide_nothing_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = deployment.service_of

    def service_of(name: str) -> Service:
        if name == "notify":
            raise ImportError("no module named 'nothing'")
        return load(name)

    monkeypatch.setattr(deployment, "service_of", service_of)
    patient = Patient(CommandLine(tmp_path), tmp_path, bootstrap="127.0.0.1:1")
    found = {one.check: one async for one in Doctor(patient).examine()}
    assert found["build of notify"].cause == "cannot be checked: ImportError: no module named 'nothing'"
    assert found["build of billing"].grade is WELL
    assert found["schema of billing"].cause == "the service is new since this system was started"
    assert f"houfu down --data-dir {tmp_path}, then houfu up" in found["schema of billing"].remedy


# ------------------------------------------------------------------ a running system


def examined(houfu: Houfu) -> dict[str, dict[str, Any]]:
    """Every finding by what was looked at; of several the worst."""
    done = houfu("doctor", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == (0 if said["healthy"] else 1)
    ranks = [Grade.WELL, Grade.NOTE, Grade.ILL]
    return {one["check"]: one for one in sorted(said["findings"], key=lambda one: ranks.index(one["grade"]))}


def obeyed(houfu: Houfu, remedy: str) -> None:
    """Type the last command of a remedy as it stands."""
    _, _, words = remedy.rpartition("houfu ")
    assert houfu(*words.split()).returncode == 0


def ill(found: Mapping[str, Mapping[str, Any]]) -> set[str]:
    return {check for check, one in found.items() if one["grade"] == "ill"}


async def database(houfu: Houfu, service: str) -> PostgresDatabase:
    return await PostgresDatabase.open(houfu.json("status")["dsns"][service], service, pool_size=1)


def test_a_system_at_rest_is_well(houfu: Houfu) -> None:
    houfu("settled")
    found = examined(houfu)
    assert ill(found) == set()
    for service in service_names():
        for check in ("schema", "line", "dead letters", "processes", "progress"):
            assert f"{check} of {service}" in found
    assert found["processes of billing"]["cause"] == "2"
    assert "✓ broker" in houfu("doctor").stdout


async def test_a_stopped_line_is_told_with_the_command_that_resumes_it(houfu: Houfu) -> None:
    notify = await database(houfu, "notify")
    await notify.stop_line(Line(True, "20 keys failed alike", "another build", NOON))
    try:
        found = examined(houfu)
        assert "line of notify" in ill(found)
        assert "20 keys failed alike" in found["line of notify"]["cause"]
        obeyed(houfu, found["line of notify"]["remedy"])
    finally:
        await notify.stop_line(Line())
        await notify.close()
    assert "line of notify" not in ill(examined(houfu))


async def test_a_parked_key_is_told_with_the_commands_that_free_it(houfu: Houfu) -> None:
    buyer, status = f"cli-{uuid4().hex[:8]}", houfu.json("status")
    now = parse_instant(status["clock"]["now"])
    lane = home_partition(buyer, 12)
    record = Record("billing.events", lane, 0, now, buyer.encode(), b"{}", [])
    parked = Held(
        lane, buyer, Until.OPERATOR, pack_record(record), "", now, reason="HANDLER_FAILED", fingerprint="KeyError"
    )
    refunds = await database(houfu, "refunds")
    async with refunds.turn() as turn:
        await turn.save(Changes(held=[parked]))
    await refunds.close()
    found = examined(houfu)
    assert "dead letters of refunds" in ill(found)
    assert f"1 parked key: {buyer}" in found["dead letters of refunds"]["cause"]
    obeyed(houfu, found["dead letters of refunds"]["remedy"])
    houfu("settled")
    assert "dead letters of refunds" not in ill(examined(houfu))


def test_a_process_that_hangs_is_told_and_so_is_what_it_leaves_undone(houfu: Houfu) -> None:
    replicas = houfu.json("status")["replicas"]
    (frozen,) = [one for one in replicas if one["name"] == "checkout"]
    body = {"currency": "CNY", "platform_account_ref": "acc", "agreement_version": "2027-01"}
    os.kill(frozen["pid"], signal.SIGSTOP)
    try:
        buyer = f"cli-{uuid4().hex[:8]}"
        houfu("publish", "apply_for_account", "--data", "-", given=json.dumps({"buyer_id": buyer, **body}))
        found = examined(houfu)
        late = {"processes of checkout"}  # the broker needs some seconds to miss it
        assert ill(found) - late == {"progress of checkout", "replica checkout-1"}
        assert "stuck: 1 unread" in found["progress of checkout"]["cause"]
        assert "does not answer" in found["replica checkout-1"]["cause"]
        assert "checkout-1.log" in found["replica checkout-1"]["remedy"]
    finally:
        os.kill(frozen["pid"], signal.SIGCONT)
    houfu("settled")
    assert "progress of checkout" not in ill(examined(houfu))


def test_a_cluster_without_its_broker_still_tells_of_its_databases(houfu: Houfu) -> None:
    dsns = {f"HOUFU_{name.upper()}_DSN": dsn for name, dsn in houfu.json("status")["dsns"].items()}
    done = alone("--json", HOUFU_KAFKA_BOOTSTRAP="127.0.0.1:1", **dsns)
    grades = {one["check"]: one["grade"] for one in json.loads(done.stdout)["findings"]}
    assert (done.returncode, grades["broker"], grades["schema of billing"]) == (1, "ill", "well")
    assert grades["line of billing"] == "well"
    assert "topics" not in grades
