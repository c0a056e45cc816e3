"""Step 4 of a turn: run the handlers, in order, over the working set.

Between two messages of a key its deadlines come up, waiting events wake, dead letters park it. Whatever happens to one
message, its neighbours of other keys go on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.contracts.message import Command
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
from shared.engine.monitor import Driver, Tracer, TurnReport
from shared.engine.outbox import pack
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
from shared.engine.reaction import Reaction, react
from shared.engine.sender import Sender
from shared.engine.service import Service
from shared.engine.signature import AllLive, ById, Resource, Special
from shared.engine.vocabulary import Cause, Deadline, Due, Entry, Rejected, Row
from shared.engine.working_set import WorkingSet, missing_row

__all__ = ["Probe", "ProcessKilled", "Run"]

Probe = Callable[["Run", Work], Awaitable[None]]
"""Called after every message that was handled well; used to find the one whose data the database refuses."""


class ProcessKilled(Exception):
    """Handling this record, or what came up of its key, ended the process again and again."""


class _RowMissing(Exception):
    def __init__(self, need: ById) -> None:
        super().__init__(need.row.__name__)
        self.need = need


class Run:
    """One turn's handling. Afterwards :meth:`changes` is what to save and ``outgoing`` what to publish, by lane.

    ``report`` says how much it was. Messages whose id is ``condemned`` fail with the given error instead of being
    handled, and so does whatever comes up of a condemned key: its deadlines, letters that are redriven.
    """

    def __init__(
        self,
        service: Service,
        intake: Intake,
        sender: Sender,
        transaction: Transaction,
        condemned: Mapping[str, BaseException],
        driver: Driver,
        *,
        probe: Probe | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._service = service
        self._intake = intake
        self._sender = sender
        self._transaction = transaction
        self._condemned = condemned
        self._probe = probe
        self._tracer = tracer
        self._rows = WorkingSet()
        self._agendas: dict[str, Agenda] = {}
        self._ledger = HeldLedger()
        self._entries: dict[type[Entry], list[Entry]] = defaultdict(list)
        self.outgoing: dict[int, list[Outgoing]] = defaultdict(list)
        self.failures: list[tuple[str, str]] = []
        """(fingerprint, key) of every message a handler or the database failed on."""
        self.report = TurnReport(driver)

    # ------------------------------------------------------------------ loading

    async def prepare(self, works: Iterable[Work], keys: Iterable[str], horizon: datetime) -> None:
        """Load what the keys hold and, in one round, every row the fresh messages and the held ones need."""
        names = sorted(set(keys))
        self._agendas = {name: Agenda(name) for name in names}
        for held in await self._transaction.held(names, horizon):
            self._agendas[held.key].admit(held)
        coming = [work for agenda in self._agendas.values() for work in self._coming(agenda)]
        await self._load([*works, *coming])

    def _coming(self, agenda: Agenda) -> list[Work]:
        return [work for held in agenda.coming() if isinstance(work := self._work(held), Work)]

    async def _load(self, works: Iterable[Work]) -> None:
        wanted: dict[type[Row], Wanted] = {}
        for work in works:
            work.prepared = True
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
            await self._come_up(replace(held, seq=0))

    async def _come_up(self, held: Held) -> None:
        """Handle a held message that is no longer held."""
        match self._work(held):
            case Work() as work:
                await self._apply(work)
            case Defect() as defect:
                self._bury(held, defect.reason, defect.detail)
            case None:
                self._bury(held, "UNKNOWN_TYPE", "nobody reacts to it in this build")

    async def _wake(self, agenda: Agenda, saved: set[str]) -> None:
        """Handle the events that waited for these rows, in arrival order; one that must wait again keeps its place."""
        while not agenda.parked and (held := agenda.woken_by(saved)) is not None:
            agenda.waiting.remove(held)
            self._ledger.release(held)
            await self._come_up(held)

    async def _obey(self, agenda: Agenda, dead: Held) -> None:
        """Do what an operator said about a dead letter, then go on with what stood behind it."""
        agenda.dead.remove(dead)
        self._ledger.release(dead)
        if dead.word is Word.REDRIVE:
            await self._come_up(dead)
        elif isinstance(work := self._work(dead), Work) and isinstance(work.message, Command):
            self._refuse(work, Rejected("DISCARDED", "an operator discarded this command"))
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
            await self._come_up(behind)
            if isinstance(work, Work):
                await self._drain(agenda, work.horizon)

    # ------------------------------------------------------------------ one message

    async def _apply(self, work: Work) -> None:
        """Run the handler and apply what it yielded; a handler that raises has done nothing."""
        if not work.prepared:
            await self._load([work])
        if self._tracer is not None:
            work.span = self._tracer.begin(work.type, work.id, work.correlation_id, work.traceparent)
        try:
            if (condemned := self._condemnation(work)) is not None:
                raise condemned
            arguments = [_GIVERS[type(need)](self, need, work) for need in work.handler.signature.needs]
            reaction = react(work, arguments, self._service.emits)
            messages = [self._sender.event(event, work, index) for index, event in enumerate(reaction.events)]
        except Rejected as rejected:
            self._refuse(work, rejected)
        except _RowMissing as missing:
            self._do_without(work, missing.need)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises concerns its key alone
            self._fail(work, error)
        else:
            self._handled(work, "DONE")
            self.outgoing[work.lane].extend(messages)
            await self._commit(work, reaction)
            if self._probe is not None:
                await self._probe(self, work)

    def _condemnation(self, work: Work) -> BaseException | None:
        return self._condemned.get(work.id) or (self._condemned.get(work.key) if work.held is not None else None)

    def _named_row(self, need: ById, work: Work) -> Any:
        if need.many:
            return self._rows.many(need, work.message)
        row = self._rows.one(need, work.message)
        if row is None and need.misses(work.message):
            raise _RowMissing(need)
        return row

    def _live_rows(self, need: AllLive, work: Work) -> Any:
        return self._rows.many(need, work.message)

    def _resource(self, need: Resource, work: Work) -> Any:
        return self._service.resources[need.type]

    def _special(self, need: Special, work: Work) -> Any:
        return work.now if need.name == "now" else _cause(work)

    async def _commit(self, work: Work, reaction: Reaction) -> None:
        agenda = self._agendas[work.key]
        for row in reaction.rows:
            self._rows.put(row)
        for entry in reaction.entries:
            self._entries[type(entry)].append(entry)
        for index, one in enumerate(reaction.timing):
            if isinstance(one, Deadline):
                agenda.arm(held_deadline(one, work, index))
            else:
                agenda.disarm(one.kind.KIND, one.subject)
        if agenda.waiting:
            await self._wake(agenda, {row_name(RowKey(type(row), *row.identity())) for row in reaction.rows})

    def _handled(self, work: Work, outcome: str, *, failed: bool = False) -> None:
        self.report.handled[work.type] += 1
        if work.span is not None:
            work.span.stop(outcome, failed=failed)
            self.report.spans.append(work.span)

    # ------------------------------------------------------------------ other outcomes

    def _refuse(self, work: Work, rejected: Rejected) -> None:
        """Answer a command with its refusal; from anything but a command a refusal is a failure."""
        if isinstance(work.message, Command):
            self._handled(work, rejected.code)
            self._answer(work.lane, rejected.code, self._sender.refusal(rejected, work))
        else:
            self._fail(work, rejected)

    def _answer(self, lane: int, code: str, rejection: Outgoing) -> None:
        self.report.rejected[code] += 1
        self.outgoing[lane].append(rejection)

    def _do_without(self, work: Work, need: ById) -> None:
        """A row a message requires does not exist: a command is refused, an event waits, a deadline has failed."""
        if isinstance(work.message, Command):
            self._refuse(work, Rejected(need.row.UNKNOWN))
        elif isinstance(work.message, Due):
            self._fail(work, LookupError(f"the {need.row.__name__} of an armed deadline does not exist"))
        else:
            self.report.waiting += 1
            self._hold(work, Until.ROW, row_name(missing_row(need, work.message)))

    def _hold(self, work: Work, until: Until, waits_for: str = "") -> None:
        work.span = None  # it has not been handled yet
        held = replace(_held_form(work), until=until, waits_for=waits_for)
        self._ledger.keep(held)
        if until is Until.ROW:
            self._agendas[work.key].wait(held)

    def _fail(self, work: Work, error: BaseException) -> None:
        """A handler or the database failed on this message: a dead letter that parks its key."""
        mark, reason = fingerprint(error, work.handler.name), _reason(error)
        self.failures.append((mark, work.key))
        self._handled(work, reason, failed=True)
        self._bury(replace(_held_form(work), id=work.id, traceparent=work.trace), reason, explain(error), mark)

    def _bury(self, held: Held, reason: str, detail: str, mark: str = "") -> None:
        """Keep a dead letter and give notice of it."""
        dead = as_dead_letter(held, reason, detail[:DETAIL_MAX], mark)
        self.report.dead.append(dead)
        self._ledger.keep(dead)
        if held.key in self._agendas:
            self._agendas[held.key].dead.append(dead)
        self.outgoing[held.lane].append(self._sender.dead_letter(dead))

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
            correlation_id=envelope.correlation_id if envelope else "",
            traceparent=envelope.traceparent if envelope else None,
        )
        self._bury(held, defect.reason, defect.detail)
        if envelope is not None and self._intake.is_command(defect.record):
            self._answer(defect.lane, "MALFORMED", self._sender.malformed(defect, envelope))

    def reused(self, second: Arrival | Defect) -> None:
        """An id came again with other content: if it is a command's, its second sender is told (H-3)."""
        if second.envelope is not None and self._intake.is_command(second.record):
            self._answer(second.lane, "ID_REUSED", self._sender.reused(second, second.envelope))

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


_GIVERS: dict[type, Callable[[Run, Any, Work], Any]] = {
    ById: Run._named_row,
    AllLive: Run._live_rows,
    Resource: Run._resource,
    Special: Run._special,
}
"""What gives a handler what it needs, by the kind of need."""


def _cause(work: Work) -> Cause:
    if isinstance(work.message, Command) and work.record is not None and work.record.value is not None:
        return Cause(work.id, content_of(work.message, work.record.value))
    return Cause(work.id)


def _held_form(work: Work) -> Held:
    if work.held is not None:
        return work.held
    if work.record is None:
        raise TypeError("a message comes from a record or was held")
    return held_record(
        work.record,
        key=work.key,
        lane=work.lane,
        message_id=work.id,
        at=work.horizon,
        correlation_id=work.correlation_id,
        traceparent=work.trace,
    )


def _reason(error: BaseException) -> str:
    match error:
        case DataRefused():
            return "DATA_REFUSED"
        case ProcessKilled():
            return "PROCESS_KILLED"
        case _:
            return "HANDLER_FAILED"
