"""Step 4 of a turn: run the handlers, in order, over the working set.

Between two messages of a key its deadlines come up, waiting events wake, dead letters park it. A handler's yields are
collected first and applied only when it has ended, so one that raises has done nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from shared.contracts.envelope import Envelope
from shared.contracts.message import Command, Event, message_type
from shared.engine.breaker import explain, fingerprint
from shared.engine.held import (
    ROW_PATIENCE,
    Agenda,
    HeldLedger,
    Work,
    as_dead_letter,
    held_deadline,
    held_record,
    row_name,
    unpack_record,
)
from shared.engine.intake import Arrival, Defect, Intake, content_of
from shared.engine.outbox import Sender, pack
from shared.engine.ports import (
    DETAIL_MAX,
    Changes,
    DataRefused,
    Held,
    Outgoing,
    RowKey,
    Transaction,
    Until,
    Wanted,
    Word,
)
from shared.engine.service import Service, Yielded
from shared.engine.signature import AllLive, ById, Need, Resource
from shared.engine.vocabulary import Cause, Deadline, Disarm, Due, Entry, Rejected, Row
from shared.engine.working_set import WorkingSet, missing_row
from shared.kernel.ids import derived_id

__all__ = ["YIELDS_MAX", "Probe", "ProcessKilled", "Run"]

Probe = Callable[["Run", Work], Awaitable[None]]
"""Called after every message that was handled well; used to find the one whose data the database refuses."""

YIELDS_MAX = 1000
"""A handler that yields more than this ran away."""


class _RowMissing(Exception):
    def __init__(self, need: ById) -> None:
        super().__init__(need.row.__name__)
        self.need = need


class ProcessKilled(Exception):
    """Handling this record ended the process, again and again."""


def _reason(error: BaseException) -> str:
    match error:
        case DataRefused():
            return "DATA_REFUSED"
        case ProcessKilled():
            return "PROCESS_KILLED"
        case _:
            return "HANDLER_FAILED"


class Run:
    """One turn's handling. Afterwards ``changes`` holds everything to save and ``outgoing`` what to publish."""

    def __init__(
        self,
        service: Service,
        intake: Intake,
        sender: Sender,
        transaction: Transaction,
        condemned: Mapping[str, BaseException],
        probe: Probe | None = None,
    ) -> None:
        self._service = service
        self._intake = intake
        self._sender = sender
        self._transaction = transaction
        self._condemned = condemned
        self._probe = probe
        self._rows = WorkingSet()
        self._agendas: dict[str, Agenda] = {}
        self._entries: dict[type[Entry], list[Entry]] = defaultdict(list)
        self._ledger = HeldLedger()
        self.outgoing: dict[int, list[Outgoing]] = defaultdict(list)
        self.failures: list[tuple[str, str]] = []
        self.handled = 0

    # ------------------------------------------------------------------ loading

    async def prepare(self, works: Iterable[Work], keys: Iterable[str], horizon: datetime) -> None:
        """Load what the keys hold and, in one round, every row the fresh messages and the held ones need."""
        names = sorted(set(keys))
        for name in names:
            self._agendas.setdefault(name, Agenda(name))
        for held in await self._transaction.held(names, horizon):
            self._agendas[held.key].admit([held])
        coming = [work for name in names for work in self._coming(self._agendas[name])]
        await self._load([*works, *coming])

    def _coming(self, agenda: Agenda) -> list[Work]:
        held = [*agenda.deadlines.values(), *agenda.waiting, *agenda.spoken()]
        return [work for one in held if isinstance(work := self._work(one), Work)]

    async def _load(self, works: Iterable[Work]) -> None:
        wanted: dict[type[Row], Wanted] = {}
        for work in works:
            for need in work.handler.signature.rows:
                self._rows.want(need, work.message, wanted)
        if wanted:
            self._rows.admit(await self._transaction.load(wanted), wanted)

    def _work(self, held: Held) -> Work | Defect | None:
        """A held message, read again: it may have been held by another build. None where nobody reacts any more."""
        if held.kind:
            kind = self._service.due_kinds.get(held.kind)
            handler = self._service.handler(kind) if kind is not None else None
            return Work.of_deadline(held, handler) if handler is not None else None
        read = self._intake.read_one(unpack_record(held.message))
        if isinstance(read, Arrival):
            return Work.of_arrival(read, held)
        return read if isinstance(read, Defect) else None

    # ------------------------------------------------------------------ what comes up

    async def take(self, work: Work) -> None:
        """Handle one message, its key's due deadlines before it and whatever it armed in the past after it."""
        agenda = self._agendas[work.key]
        await self._drain(agenda, work.horizon)
        if agenda.parked:
            self._hold(work, Until.BEHIND)
            return
        await self._apply(work)
        await self._drain(agenda, work.horizon)

    async def idle(self, key: str, horizon: datetime, patience: datetime | None) -> None:
        """Let come up what a key holds up to ``horizon``; ``patience`` is the time where nothing is unread."""
        agenda = self._agendas[key]
        for dead in agenda.spoken():
            await self._obey(agenda, dead)
        for waiting in agenda.out_of_patience(patience) if patience is not None else ():
            agenda.waiting.remove(waiting)
            self._bury(waiting, "ROW_NEVER_CAME", f"{waiting.waits_for} did not appear within {ROW_PATIENCE.days} days")
        await self._drain(agenda, horizon)

    async def _drain(self, agenda: Agenda, horizon: datetime) -> None:
        while not agenda.parked and (held := agenda.next_due(horizon)) is not None:
            agenda.disarm(held.kind, held.subject)
            await self._come_up(agenda, replace(held, seq=0))

    async def _come_up(self, agenda: Agenda, held: Held) -> None:
        """Handle a held message that is no longer held."""
        match self._work(held):
            case Work() as work:
                await self._apply(work)
            case Defect() as defect:
                self._bury(held, defect.reason, defect.detail)
            case None:
                self._bury(held, "UNKNOWN_TYPE", "nobody reacts to it in this build")

    async def _obey(self, agenda: Agenda, dead: Held) -> None:
        """Do what an operator said about a dead letter, then go on with what stood behind it."""
        agenda.dead.remove(dead)
        self._ledger.release(dead)
        if dead.word is Word.REDRIVE:
            await self._come_up(agenda, dead)
        elif isinstance(work := self._work(dead), Work) and isinstance(work.message, Command):
            self._reject(work, Rejected("DISCARDED", "an operator discarded this command"))
        if dead.parks:
            await self._go_on(agenda)

    async def _go_on(self, agenda: Agenda) -> None:
        """Handle what is parked behind a dead letter that is gone, until another one parks the key."""
        for behind in [] if agenda.parked else await self._transaction.behind(agenda.key):
            work = self._work(behind)
            if isinstance(work, Work):
                await self._drain(agenda, work.horizon)
            if agenda.parked:
                return
            self._ledger.release(behind)
            await self._come_up(agenda, behind)

    # ------------------------------------------------------------------ one message

    async def _apply(self, work: Work) -> None:
        self.handled += 1
        await self._load([work])
        try:
            if work.id in self._condemned:
                raise self._condemned[work.id]
            arguments = [self._argument(need, work) for need in work.handler.signature.needs]
            yields = list(islice(work.handler.react(work.message, *arguments), YIELDS_MAX + 1))
            effects = self._effects(work, yields)
        except Rejected as rejected:
            self._reject(work, rejected)
        except _RowMissing as missing:
            self._without(work, missing.need)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises concerns its key alone
            self._fail(work, error)
        else:
            await self._commit(work, yields, effects)
            if self._probe is not None:
                await self._probe(self, work)

    def _argument(self, need: Need, work: Work) -> Any:
        match need:
            case ById(many=False):
                row = self._rows.one(need, work.message)
                if row is None and need.required:
                    raise _RowMissing(need)
                return row
            case ById() | AllLive():
                return self._rows.many(need, work.message)
            case Resource():
                return self._service.resources[need.type]
            case _:
                return work.now if need.name == "now" else self._cause(work)

    def _cause(self, work: Work) -> Cause:
        if isinstance(work.message, Command) and work.record is not None and work.record.value is not None:
            return Cause(work.id, content_of(work.message, work.record.value))
        return Cause(work.id)

    def _effects(self, work: Work, yields: list[Yielded]) -> list[Outgoing]:
        """The messages among the yields in their final form; raises on whatever a handler must not yield."""
        if len(yields) > YIELDS_MAX:
            raise RuntimeError(f"yields more than {YIELDS_MAX} things")
        outgoing: list[Outgoing] = []
        for one in yields:
            match one:
                case Event():
                    if type(one) not in self._service.emits:
                        raise TypeError(f"{type(one).__name__} is not among the events this service emits")
                    outgoing.append(self._message(work, one, len(outgoing)))
                case Row() | Entry() if getattr(one, one.OWNER) != work.key:
                    raise ValueError(f"yields a {type(one).__name__} of another owner than the message's key")
                case Deadline() if one.message.key != work.key:
                    raise ValueError(f"arms {one.message.KIND} for another owner than the message's key")
                case Row() | Entry() | Deadline() | Disarm():
                    pass
                case _:
                    raise TypeError(f"yields a {type(one).__name__}, which is not in the vocabulary")
        if isinstance(work.message, Command) and not outgoing:
            raise RuntimeError("a command's handler must yield an event or raise Rejected")
        return outgoing

    def _message(self, work: Work, event: Event, index: int, subject: str | None = None) -> Outgoing:
        return self._sender.event(
            event,
            derived_id(work.id, index),
            work.now,
            correlation_id=work.correlation_id,
            causation_id=work.causation_id,
            deadline=work.deadline,
            traceparent=work.traceparent,
            subject=subject,
        )

    async def _commit(self, work: Work, yields: list[Yielded], effects: list[Outgoing]) -> None:
        agenda = self._agendas[work.key]
        saved: set[str] = set()
        for index, one in enumerate(yields):
            match one:
                case Row():
                    self._rows.put(one)
                    saved.add(row_name(RowKey(type(one), *one.identity())))
                case Entry():
                    self._entries[type(one)].append(one)
                case Deadline():
                    agenda.arm(held_deadline(one, work, index))
                case Disarm():
                    agenda.disarm(one.kind.KIND, one.subject)
        self.outgoing[work.lane].extend(effects)
        if agenda.waiting:
            await self._wake(agenda, saved)

    async def _wake(self, agenda: Agenda, saved: set[str]) -> None:
        """Run the events that waited for these rows, in arrival order; one that must wait again keeps its place."""
        while not agenda.parked and (held := agenda.woken_by(saved)) is not None:
            agenda.waiting.remove(held)
            self._ledger.release(held)
            await self._come_up(agenda, held)

    # ------------------------------------------------------------------ other outcomes

    def _reject(self, work: Work, rejected: Rejected) -> None:
        """Answer a command with its refusal; from anything but a command a refusal is a failure."""
        if not isinstance(work.message, Command):
            self._fail(work, rejected)
            return
        rejection = self._service.rejected.of(
            command_id=work.id,
            command_type=work.message.TYPE,
            owner={work.message.KEY: work.key},
            code=rejected.code,
            message=rejected.message,
            details=rejected.details,
        )
        subject = str(getattr(work.message, work.message.SUBJECT))
        self.outgoing[work.lane].append(self._message(work, rejection, 0, subject))

    def _without(self, work: Work, need: ById) -> None:
        """A row a message requires does not exist: a command is refused, an event waits, a deadline has failed."""
        if isinstance(work.message, Command):
            self._reject(work, Rejected(need.row.UNKNOWN))
        elif isinstance(work.message, Due):
            self._fail(work, LookupError(f"the {need.row.__name__} of an armed deadline does not exist"))
        else:
            self._hold(work, Until.ROW, row_name(missing_row(need, work.message)))

    def _hold(self, work: Work, until: Until, waits_for: str = "") -> None:
        held = replace(self._held_form(work), until=until, waits_for=waits_for)
        self._ledger.keep(held)
        if until is Until.ROW:
            self._agendas[work.key].wait(held)

    def _fail(self, work: Work, error: BaseException) -> None:
        """A handler or the database failed on this message: a dead letter that parks its key."""
        mark = fingerprint(error, work.handler.name)
        self.failures.append((mark, work.key))
        self._bury(self._held_form(work), _reason(error), explain(error), mark)

    def _held_form(self, work: Work) -> Held:
        if work.held is not None:
            return work.held
        if work.record is None:
            raise TypeError("a message comes from a record or was held")
        return held_record(work.record, key=work.key, lane=work.lane, message_id=work.id, at=work.horizon)

    def _bury(self, held: Held, reason: str, detail: str, mark: str = "") -> None:
        """Keep a dead letter and give notice of it."""
        dead = as_dead_letter(held, reason, detail[:DETAIL_MAX], mark)
        self._ledger.keep(dead)
        if held.key in self._agendas:
            self._agendas[held.key].dead.append(dead)
        self.outgoing[held.lane].append(self._sender.dead_letter(dead, held.due_at or held.held_at))

    # ------------------------------------------------------------------ records that never reach a handler

    def defective(self, defect: Defect) -> None:
        """An unreadable record: a dead letter that parks nobody; a command with a readable envelope is answered."""
        envelope = defect.envelope
        held = held_record(
            defect.record,
            key=envelope.key if envelope else "",
            lane=defect.lane,
            message_id=envelope.id if envelope else "",
            at=defect.now,
        )
        self._bury(held, defect.reason, defect.detail)
        if envelope is not None and defect.record.topic == f"{self._service.name}.commands":
            self._answer(envelope, defect, "MALFORMED", {"reason": defect.reason})

    def reused(self, arrival: Arrival | Defect) -> None:
        """A command's id came again with other content: its second sender is told (H-3)."""
        if arrival.envelope is not None and arrival.record.topic == f"{self._service.name}.commands":
            self._answer(arrival.envelope, arrival, "ID_REUSED", {"digest": arrival.digest.hex()})

    def _answer(self, envelope: Envelope, of: Arrival | Defect, code: str, details: dict[str, Any]) -> None:
        kind = message_type(envelope.type)
        rejection = self._service.rejected.of(
            command_id=envelope.id,
            command_type=envelope.type,
            owner={kind.KEY if kind else "buyer_id": envelope.key},
            code=code,
            message=of.detail if isinstance(of, Defect) else "this id was used for another command",
            details=details,
        )
        cause = f"{envelope.id}:{of.digest.hex()}" if code == "ID_REUSED" else envelope.id
        self.outgoing[of.lane].append(
            self._sender.event(
                rejection,
                derived_id(cause, 0),
                of.now,
                correlation_id=envelope.correlation_id,
                causation_id=envelope.id,
                traceparent=envelope.traceparent,
                subject=envelope.subject,
            )
        )

    # ------------------------------------------------------------------ the end

    def changes(self) -> Changes:
        """Everything this turn makes true, but for the positions."""
        agendas = self._agendas.values()
        return Changes(
            rows=self._rows.changed(),
            entries=dict(self._entries),
            armed=[held for agenda in agendas for held in agenda.armed()],
            disarmed=[slot for agenda in agendas for slot in agenda.disarmed()],
            held=self._ledger.kept(),
            released=self._ledger.released(),
            outbox={lane: pack(messages) for lane, messages in self.outgoing.items() if messages},
        )
