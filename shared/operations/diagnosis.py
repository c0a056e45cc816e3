"""What the facts about a running system mean, and what to do about them: pure judgements, one sentence each.

``shared.operations.doctor`` finds the facts. A finding is *well*, a *note* that nobody has to act on now, or *ill*,
which needs a person; it then says what that person does, in words that can be typed.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from shared.contracts.clock import CLOCK_TOPIC
from shared.drivers.topics import APPEND_TIME, Topic, TopicSeen
from shared.engine.inspection import Standing
from shared.engine.ports import Held, Line
from shared.local.state import Replica

__all__ = [
    "CommandLine",
    "Finding",
    "Grade",
    "Look",
    "ill",
    "judge_adapter_group",
    "judge_clock",
    "judge_dead_letters",
    "judge_dsns",
    "judge_group",
    "judge_line",
    "judge_names",
    "judge_progress",
    "judge_replica",
    "judge_schema",
    "judge_topics",
    "judge_waiting",
    "note",
    "stands_still",
    "well",
]

NAMED_MAX = 3
"""Dead letters a finding names; the list has the others."""

SKEW_MAX = timedelta(minutes=1)
"""A command may be dated this much after the broker's time before it is put back (T-1); so may this machine's clock."""

ALIKE = 0.88
"""How alike a name must be to one that means something to be taken for it misspelt."""


class Grade(StrEnum):
    """How much a finding matters."""

    WELL = "well"
    NOTE = "note"
    ILL = "ill"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do where something is to be done."""

    check: str
    grade: Grade
    cause: str
    remedy: str = ""


def well(check: str, cause: str) -> Finding:
    """Nothing to do."""
    return Finding(check, Grade.WELL, cause)


def note(check: str, cause: str, remedy: str = "") -> Finding:
    """Worth knowing; whoever wants may act."""
    return Finding(check, Grade.NOTE, cause, remedy)


def ill(check: str, cause: str, remedy: str) -> Finding:
    """A person is needed, for what the remedy says."""
    return Finding(check, Grade.ILL, cause, remedy)


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Words after ``houfu``, as they reach this system: what a remedy names can be typed as it stands."""

    data_dir: Path | None = None

    def __call__(self, words: str) -> str:
        option = f" --data-dir {shlex.quote(str(self.data_dir))}" if self.data_dir else ""
        return f"houfu {words}{option}"


# ------------------------------------------------------------------ settings


def judge_names(environ: Mapping[str, str], services: Sequence[str], meaningful: Collection[str]) -> Iterator[Finding]:
    """What is set and cannot be meant: the DSN of no service, an impossible zone, a name that is nearly another."""
    for name in sorted(one for one in environ if one.startswith("HOUFU_")):
        dsn = re.fullmatch(r"HOUFU_([A-Z0-9]+)_DSN", name)
        if dsn and dsn[1].lower() not in services:
            there = ", ".join(services)
            yield ill("settings", f"{name} names no service", f"correct or unset it; there are {there}")
        elif name not in meaningful and (meant := difflib.get_close_matches(name, meaningful, 1, ALIKE)):
            yield note("settings", f"{name} means nothing", f"is {meant[0]} meant?")
    if (zone := environ.get("HOUFU_ZONE")) and not _is_zone(zone):
        yield ill("settings", f"HOUFU_ZONE: there is no time zone {zone!r}", "name one such as Asia/Shanghai")


def judge_dsns(dsns: Mapping[str, str]) -> Iterator[Finding]:
    """The addresses of a cluster's databases, one a service: each given, readable, and its own."""
    users: dict[str, str] = {}
    for service, dsn in dsns.items():
        name = f"HOUFU_{service.upper()}_DSN"
        if not dsn:
            yield ill("settings", f"{name} is not set", f"set it to the DSN of {service}'s own role")
        elif not re.match(r"postgres(ql)?://", dsn):
            yield ill("settings", f"{name} is no DSN", "write it as postgresql://role:password@host:5432/database")
        elif (other := users.setdefault(dsn, service)) != service:
            yield ill(
                "settings", f"{name} is the same as that of {other}", "give each service a role and a schema of its own"
            )


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


# ------------------------------------------------------------------ broker


def judge_topics(plan: Iterable[Topic], seen: Mapping[str, TopicSeen], houfu: CommandLine) -> Iterator[Finding]:
    """Every topic there, all of one size, in the order of append, and kept as long as replay needs."""
    plan = list(plan)
    there = [topic for topic in plan if topic.name in seen]
    found = [*_judge_counts({one.name: seen[one.name].partitions for one in there if one.name != CLOCK_TOPIC})]
    found += [finding for topic in there for finding in _judge_configuration(topic, seen[topic.name].configuration)]
    if missing := [topic.name for topic in plan if topic.name not in seen]:
        found.append(ill("topics", f"missing: {', '.join(missing)}", houfu("migrate")))
    yield from found or [well("topics", f"all {len(there)} are there and as they must be")]


def _judge_counts(counts: Mapping[str, int]) -> Iterator[Finding]:
    if len(set(counts.values())) > 1:
        usual = max(counts.values(), key=list(counts.values()).count)
        odd = ", ".join(f"{name} has {count}" for name, count in counts.items() if count != usual)
        yield ill(
            "topics",
            f"every topic must have the same number of partitions, most have {usual}, but {odd}",
            f"make the odd one anew with {usual}: once something is written, partitions cannot be added or taken away",
        )


def _judge_configuration(topic: Topic, found: Mapping[str, str]) -> Iterator[Finding]:
    wanted = topic.configuration()
    for key in (APPEND_TIME, "cleanup.policy"):
        if found.get(key) != wanted[key]:
            yield _unfit(topic, key, found, wanted)
    for key in ("retention.ms", "retention.bytes"):
        if _kept(found.get(key)) < _kept(wanted[key]):
            yield _unfit(topic, key, found, wanted)
    if int(found.get("max.message.bytes") or 0) < int(wanted["max.message.bytes"]):
        yield _unfit(topic, "max.message.bytes", found, wanted)


def _unfit(topic: Topic, key: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> Finding:
    return ill(
        "topics",
        f"{topic.name} has {key}={found.get(key)}",
        f"kafka-configs.sh --alter --entity-type topics --entity-name {topic.name} --add-config {key}={wanted[key]}",
    )


def _kept(limit: str | None) -> float:
    """How much is kept; -1 is everything, and so is more than anybody has."""
    return float("inf") if limit == "-1" else float(limit or 0)


def judge_clock(kind: str, now: datetime, wall: datetime, *, advances: int, reached: datetime | None) -> Finding:
    """Whose time it is, and whether the machines agree about it."""
    if kind == "movable":
        return well("clock", f"movable, business time {now:%Y-%m-%d %H:%M} UTC, {_apart(now - wall)} the wall clock")
    if advances:
        return note(
            "clock",
            f"the system's, but {CLOCK_TOPIC} holds {advances} advances of a sandbox",
            "if the services run with HOUFU_CLOCK=movable, set it here too",
        )
    if reached and reached - wall > SKEW_MAX:
        skew = (reached - wall).total_seconds()
        return note("clock", f"the broker's is {skew:.0f} s ahead of this machine's", "let both keep time (NTP)")
    return well("clock", f"the system's, {now:%Y-%m-%d %H:%M} UTC")


def _apart(ahead: timedelta) -> str:
    hours, way = round(abs(ahead) / timedelta(hours=1)), "ahead of" if ahead > timedelta() else "behind"
    return f"{hours // 24} d {hours % 24} h {way}" if hours else "within the hour of"


# ------------------------------------------------------------------ services


def judge_schema(service: str, pending: Sequence[str], defects: Sequence[str], houfu: CommandLine) -> Finding:
    """Whether the schema is the one this build works on."""
    check = f"schema of {service}"
    if pending:
        return ill(check, f"behind: {', '.join(pending)}", houfu("migrate"))
    if defects:
        return ill(check, f"does not fit this build: {'; '.join(defects)}", "run the build the schema belongs to")
    return well(check, "up to date")


def judge_line(service: str, line: Line, houfu: CommandLine) -> Finding:
    """Whether the service handles messages at all."""
    check = f"line of {service}"
    if not line.stopped:
        return well(check, "running")
    since = f" since {line.since:%Y-%m-%d %H:%M} UTC" if line.since else ""
    return ill(
        check,
        f"stopped{since}: {line.reason}",
        f"deploy a build that mends it, which resumes the line; or, if the cause was outside: "
        f"{houfu(f'line resume {service}')}",
    )


def judge_dead_letters(service: str, letters: Sequence[Held], houfu: CommandLine) -> Finding:
    """What waits for an operator: those that park their key first, for somebody's debts stand still."""
    check = f"dead letters of {service}"
    open_ = [one for one in letters if one.word is None]
    parking = [one for one in open_ if one.parks]
    if not open_:
        return well(check, "none")
    oldest = min(open_, key=lambda one: one.held_at)
    counted = f"{len(open_)}, the oldest of {oldest.held_at:%Y-%m-%d %H:%M} UTC ({oldest.reason})"
    if not parking:
        return note(check, f"{counted}; nobody is parked", houfu(f"dead-letters show {service} {oldest.seq}"))
    keys = sorted({one.key for one in parking})
    named = ", ".join(keys[:NAMED_MAX]) + (" and others" if len(keys) > NAMED_MAX else "")
    first = min(parking, key=lambda one: one.held_at)
    return ill(
        check,
        f"{counted}; {len(keys)} parked {'key' if len(keys) == 1 else 'keys'}: {named}",
        f"{houfu(f'dead-letters show {service} {first.seq}')}; after a fix "
        f"{houfu(f'dead-letters redrive {service} {first.seq}')}, or give it up with "
        f"{houfu(f'dead-letters discard {service} {first.seq}')}",
    )


# ------------------------------------------------------------------ progress


@dataclass(frozen=True, slots=True)
class Look:
    """How far a service or an adapter was at one instant; ``handled`` grows with every record it has dealt with."""

    unread: int
    handled: int
    standing: Standing | None = None

    def overdue(self, now: datetime | None) -> datetime | None:
        """Since when a deadline has been due, if one is."""
        due = self.standing.earliest_due if self.standing else None
        return due if due and now and due <= now else None

    def pending(self, now: datetime | None) -> bool:
        """Whether there is something to do."""
        return bool(self.unread or self._unpublished or self.overdue(now))

    @property
    def reached(self) -> tuple[object, ...]:
        """Differs whenever something has been done."""
        return self.handled, self._unpublished, self.standing.earliest_due if self.standing else None

    @property
    def _unpublished(self) -> int:
        return self.standing.outbox_rows if self.standing else 0


def stands_still(before: Look, after: Look, now: datetime | None) -> bool:
    """Whether there was and is something to do, and nothing has been done in between."""
    return before.pending(now) and after.pending(now) and after.reached == before.reached


def judge_progress(
    reader: str, before: Look, after: Look, now: datetime | None, *, waited_s: float, remedy: str
) -> Finding:
    """Whether a reader gets on with what there is to do, from two looks; ``remedy`` is what helps one that does not."""
    check = f"progress of {reader}"
    if stands_still(before, after, now):
        stopped = after.standing is not None and after.standing.line.stopped
        return ill(check, _undone(after, now, waited_s), "its line is stopped, see there" if stopped else remedy)
    if after.unread > before.unread:
        return note(check, f"{after.unread} unread, more than {waited_s:.0f} s ago", f"run more replicas of {reader}")
    if after.unread:
        return note(check, f"{after.unread} unread, going down")
    return well(check, "nothing unread")


def _undone(look: Look, now: datetime | None, waited_s: float) -> str:
    """What a reader that stands still leaves undone."""
    if look.unread:
        return f"stuck: {look.unread} unread, none handled for {waited_s:.0f} s"
    if since := look.overdue(now):
        return f"a deadline has been due since {since:%Y-%m-%d %H:%M} UTC and does not fire"
    return "what its last turns said may not be published, and nobody sees to it"


def judge_waiting(service: str, standing: Standing) -> Iterator[Finding]:
    """Events that came before their cause; without it they become dead letters after a week."""
    if standing.waiting:
        yield note(
            f"events of {service}",
            f"{standing.waiting} wait for a row that is not there yet",
            "see whether the service that writes their cause runs; after seven days they are dead letters",
        )


def judge_group(service: str, members: int, lanes: int, start: str) -> Finding:
    """Who shares the work of a service."""
    return _judge_sharing(service, members, lanes) or ill(f"processes of {service}", "none", start)


def judge_adapter_group(adapter: str, members: int, lanes: int, start: str, *, committed: bool) -> Finding:
    """Who shares the work of an adapter, which a system may well do without."""
    never = "" if committed else ", and none has ever committed an offset"
    absent = note(f"processes of {adapter}", f"none{never}", f"if it is wanted: {start}")
    return _judge_sharing(adapter, members, lanes) or absent


def _judge_sharing(reader: str, members: int, lanes: int) -> Finding | None:
    check = f"processes of {reader}"
    if members > lanes:
        return note(check, f"{members}, of which {members - lanes} idle", f"run {lanes} at most: one a partition")
    return well(check, str(members)) if members else None


def judge_replica(replica: Replica, trouble: str | None) -> Finding:
    """A process under the embedded system's supervisor; ``trouble`` is what it says of itself, None if nothing."""
    check = f"replica {replica.name}-{replica.number}"
    restarts = f"started again {replica.restarts} times" if replica.restarts else ""
    if replica.pid is None:
        return ill(check, f"is down, {restarts or 'waiting to be started again'}", f"read {replica.log}")
    if trouble is not None:
        return ill(check, f"not ready: {trouble}", f"read {replica.log}")
    return note(check, f"ready, {restarts}", f"read {replica.log}") if restarts else well(check, "ready")
