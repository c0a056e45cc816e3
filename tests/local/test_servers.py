"""The embedded servers: they serve, keep their data, stand side by side and never outlive whoever started them."""

from __future__ import annotations

import json
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.local.ports import free_port, is_free
from shared.local.process import StartFailed
from shared.local.progress import Progress, Stage
from shared.local.servers import Servers
from shared.operations.house import service_names


async def publish(servers: Servers, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=servers.bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def create_topic(servers: Servers, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=12, replication_factor=1)])
    finally:
        await admin.close()


async def first_record(servers: Servers, topic: str, group: str | None = None) -> bytes | None:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=servers.bootstrap, group_id=group, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        value: bytes | None = (await consumer.getone()).value
        return value
    finally:
        await consumer.stop()


async def ask(dsn: str, question: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def tell(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_broker_serves_a_group_of_consumers(servers: Servers) -> None:
    await create_topic(servers, "local.serves")
    await publish(servers, "local.serves", b"hello")
    assert await first_record(servers, "local.serves", group="local") == b"hello"


async def test_the_broker_creates_no_topic_by_itself(servers: Servers) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.bootstrap)
    await admin.start()
    try:
        await admin.describe_topics(["local.nobody.made.me"])
        assert "local.nobody.made.me" not in await admin.list_topics()
    finally:
        await admin.close()


@pytest.mark.parametrize("service", service_names())
async def test_a_service_works_in_its_own_schema_only(servers: Servers, service: str) -> None:
    dsn = servers.dsn(service)
    await tell(dsn, "CREATE TABLE IF NOT EXISTS mine (id bigint)")
    assert await ask(dsn, "SELECT schemaname FROM pg_tables WHERE tablename = 'mine' AND tableowner = user") == service
    for stranger in set(servers.services) - {service}:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await tell(dsn, f"CREATE TABLE {stranger}.theirs (id bigint)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await tell(dsn, "CREATE TABLE public.anybodys (id bigint)")


async def test_a_role_waits_for_nothing_for_ever(servers: Servers) -> None:
    dsn = servers.dsn("billing")
    limits = [await ask(dsn, f"SHOW {kind}_timeout") for kind in ("idle_in_transaction_session", "lock", "statement")]
    assert limits == ["5s", "10s", "20s"]


async def test_a_wrong_password_is_refused(servers: Servers) -> None:
    dsn = servers.dsn("billing").replace(":", ":not", 2).replace("postgresql:not", "postgresql:")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await ask(dsn, "SELECT 1")


async def test_a_second_pair_stands_beside_the_first_and_a_restart_keeps_its_data_and_ports_and_furnishes_a_new_service(
    servers: Servers, tmp_path: Path
) -> None:
    data_dir = tmp_path / "后付 data"
    steps: list[Progress] = []
    with Servers(data_dir, services=["checkout"], durable=False, watch=steps.append) as beside:
        assert beside.bootstrap != servers.bootstrap
        await create_topic(beside, "kept")
        await publish(beside, "kept", b"still here")
        await tell(beside.dsn("checkout"), "CREATE TABLE kept AS SELECT 42 AS answer")
        first = (beside.bootstrap, beside.dsn("checkout"))
        with pytest.raises(StartFailed, match="in use by another running system"):
            Servers(data_dir, patience_s=0.2).start()
    assert {(step.part, step.stage) for step in steps} >= {
        (part, stage) for part in ("kafka", "postgres") for stage in (Stage.STARTING, Stage.READY, Stage.STOPPED)
    }

    with Servers(data_dir, services=["checkout", "loyalty"], durable=False) as again:
        assert (again.bootstrap, again.dsn("checkout")) == first
        assert await first_record(again, "kept") == b"still here"
        assert await ask(again.dsn("checkout"), "SELECT answer FROM kept") == 42
        assert await ask(again.dsn("loyalty"), "SELECT current_schema()") == "loyalty"


def test_a_server_that_cannot_start_says_why_and_leaves_nothing_running(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")
    servers = Servers(tmp_path, durable=False)
    with pytest.raises(StartFailed, match="was written by PostgreSQL 9"):
        servers.start()
    assert not servers.running
    ports = json.loads((tmp_path / "servers.json").read_text())
    assert is_free(ports["kafka_port"])
    assert is_free(ports["postgres_port"])


def test_a_taken_port_is_given_up_for_another(servers: Servers) -> None:
    assert free_port(servers.postgres.port) != servers.postgres.port
