"""Whatever happens and whatever channels say: contact law holds, proof is given once, nothing is forgotten."""

from collections import Counter
from datetime import date, datetime, time, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from notify_story import (
    BUYER,
    OUTCOMES,
    SMS_AND_EMAIL,
    authorized,
    cause,
    cured,
    due_soon,
    example,
    extended,
    fee,
    local,
    overdue,
    report,
)

from services.notify.deadlines import Age, NoReport, Release, Retry
from services.notify.service import notify
from services.notify.state import NOTICE_MACHINE, Mailbox, Notice, NoticeStatus, Subject
from shared.contracts.billing import BillChargedOff, BillPaid, BillPaused, BillResumed, FeeReversed
from shared.contracts.message import Command, Event
from shared.contracts.notify import (
    DeliveryRequested,
    NoticeDelivered,
    NoticeFailed,
    NoticeSent,
    NoticeSuppressed,
    SetPreferences,
)
from shared.testing.given import Given, Then

PER_DAY, PER_WEEK = 3, 7
OPENS_AT, CLOSES_AT = time(8), time(22)
CHINA = timedelta(hours=8)

bills = st.sampled_from([f"b:o-{number}" for number in range(1, 7)])
versions = st.integers(1, 2)
dunnings = st.builds(
    lambda bill, version, dpd: overdue(bill, dpd, due_version=version), bills, versions, st.integers(1, 20)
)
events = st.one_of(
    dunnings,
    st.builds(authorized, st.sampled_from(["o-1", "o-2"])),
    st.builds(lambda bill, version: due_soon(bill, due_version=version), bills, versions),
    st.builds(cured, bills),
    st.builds(lambda bill: example(BillPaid, bill_id=bill), st.sampled_from(["b:o-1", "b:o-2"])),
    st.builds(lambda bill, due: example(BillPaused, bill_id=bill, amount_due=due), bills, st.sampled_from([0, 5])),
    st.builds(lambda bill: example(BillResumed, bill_id=bill), bills),
    st.builds(fee, bills),
    st.builds(lambda bill: example(FeeReversed, bill_id=bill), bills),
    st.builds(extended, bills, st.sampled_from(["GRANTED", "DECLINED"])),
    st.builds(lambda bill: example(BillChargedOff, bill_id=bill), bills),
)
preferences = st.builds(
    SetPreferences,
    buyer_id=st.just(BUYER),
    contacts=st.sampled_from([None, {}, {"SMS": "contact-sms"}, SMS_AND_EMAIL]),
    order=st.sampled_from([None, {"DEBT": ("EMAIL", "SMS")}, {"TRANSACTIONAL": ("SMS",), "DEBT": ("SMS", "IN_APP")}]),
    muted=st.sampled_from([None, (), ("ORDER_STATUS",)]),
)
hours_behind = st.sampled_from([0, 0, 0, 0, 30])
happening = st.tuples(st.just("event"), events, hours_behind)
dunned = st.tuples(st.just("event"), dunnings, hours_behind)
answer = st.tuples(st.just("report"), st.integers(0, 5), st.sampled_from(OUTCOMES))
moves = st.one_of(
    happening,
    dunned,
    dunned,
    answer,
    answer,
    st.tuples(st.just("prefer"), preferences, st.just(0)),
    st.tuples(st.just("again"), st.integers(0, 20), st.just(0)),
    st.tuples(st.just("wait"), st.integers(1, 20), st.just(1)),
    st.tuples(st.just("wait"), st.integers(1, 26), st.just(60)),
)
lives = st.lists(moves, min_size=20, max_size=80)


class Played:
    """A life as it was lived: everything told and when, every row as it stands."""

    def __init__(self) -> None:
        self.given = Given(notify, Mailbox(BUYER, contacts=SMS_AND_EMAIL))
        self.now = local("03-16 09:00")
        self.told: list[tuple[datetime, Event]] = []
        self.acted: list[tuple[Event, datetime, int]] = []
        self.messages = 0

    def live(self, life: list[tuple[str, Any, Any]]) -> "Played":
        for move, what, value in life:
            self.wait(what * value if move == "wait" else 1)
            match move:
                case "event":
                    at = self.now - timedelta(hours=value)  # published by a service that was behind
                    self.acted.append((what, at, self.messages))
                    self.handle(what, at)
                case "report":
                    self.report(what, value)
                case "prefer":
                    self.handle(what, self.now)
                case "again" if self.acted:
                    self.hear_again(*self.acted[what % len(self.acted)])
        return self

    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.pass_time()

    def pass_time(self) -> None:
        while self.given.armed and (due := self.given.armed[0]).at <= self.now:
            self.keep(self.given.when(due.message, now=due.at), due.at)

    def handle(self, message: Event | Command, at: datetime) -> None:
        self.messages += 1
        self.keep(self.given.when(message, now=at, cause=cause(self.messages - 1)), at)
        self.pass_time()  # what was armed in the past runs right after

    def report(self, back: int, outcome: str) -> None:
        asked = [event for _, event in self.told if isinstance(event, DeliveryRequested)]
        if asked:
            request = asked[max(len(asked) - 1 - back, 0)]
            attempt = int(request.delivery_id.rpartition(":")[2])
            self.handle(report(request.notice_id, outcome, self.now, attempt), self.now)

    def hear_again(self, event: Event, at: datetime, number: int) -> None:
        assert self.given.when(event, now=at, cause=cause(number)).yields == []

    def keep(self, done: Then, at: datetime) -> None:
        before = {one.notice_id: one for one in self.rows(Notice)}
        self.given = done.given
        self.told += [(at, event) for event in done.events]
        for after in self.rows(Notice):
            follows_the_machine(before.get(after.notice_id), after)

    def rows(self, kind: type) -> list[Any]:
        return [row for row in self.given.rows if isinstance(row, kind)]

    def events(self, *kinds: type[Event]) -> list[Any]:
        return [event for _, event in self.told if isinstance(event, kinds)]

    def contacts(self) -> list[tuple[datetime, DeliveryRequested | NoticeSent]]:
        """Every time a debt notice went to a channel, the inbox among them."""
        return [
            (at, event)
            for at, event in self.told
            if isinstance(event, DeliveryRequested) or (isinstance(event, NoticeSent) and event.channel == "IN_APP")
            if event.class_ == "DEBT"
        ]


def follows_the_machine(before: Notice | None, after: Notice) -> None:
    if before is not None and before.status is not after.status:
        leads_to = {state for states in NOTICE_MACHINE[before.status].values() for state in states}
        assert after.status in leads_to


affordable = settings(max_examples=80, deadline=None)


@affordable
@given(lives)
def test_n_r_3_nobody_is_told_of_a_debt_at_night(life: list[Any]) -> None:
    for at, _ in Played().live(life).contacts():
        assert OPENS_AT <= (at + CHINA).time() < CLOSES_AT


@affordable
@given(lives)
def test_n_r_4_no_more_debt_notices_a_day_and_a_week_than_the_caps(life: list[Any]) -> None:
    days: list[date] = []
    known: set[str] = set()
    for at, event in Played().live(life).contacts():
        if event.notice_id not in known:
            known.add(event.notice_id)
            days.append(max([(at + CHINA).date(), *days[-1:]]))  # one that comes late is told late
    assert all(count <= PER_DAY for count in Counter(days).values())
    for last in days:
        assert sum(0 <= (last - day).days < 7 for day in days) <= PER_WEEK


@affordable
@given(lives)
def test_n_r_6_a_channel_proves_a_notice_once_and_nothing_arrives_unproven(life: list[Any]) -> None:
    played = Played().live(life)
    sent = [(event.notice_id, event.channel) for event in played.events(NoticeSent)]
    assert len(sent) == len(set(sent))
    proven: set[tuple[str, str]] = set()
    for event in played.events(NoticeSent, NoticeDelivered):
        if isinstance(event, NoticeSent):
            proven.add((event.notice_id, event.channel))
        assert (event.notice_id, event.channel) in proven
    for notice in played.rows(Notice):
        assert {(notice.notice_id, one.channel) for one in notice.evidence} <= proven


@affordable
@given(lives)
def test_what_grows_has_its_limit(life: list[Any]) -> None:
    played = Played().live(life)
    for mailbox in played.rows(Mailbox):
        days = [one.day for one in mailbox.debt_days]
        assert days == sorted(set(days))
        assert len(days) <= 7
        assert not days or (days[-1] - days[0]).days < 7
    for subject in played.rows(Subject):
        assert len(set(subject.heard)) == len(subject.heard) <= 200
        assert len(set(subject.seen)) == len(subject.seen) <= 200
    for notice in played.rows(Notice):
        assert max(Counter(notice.tried).values(), default=0) <= 3


@affordable
@given(lives)
def test_law_4_every_notice_is_remembered_by_its_subject(life: list[Any]) -> None:
    played = Played().live(life)
    heard = {subject.subject_id: subject.heard for subject in played.rows(Subject)}
    for notice in played.rows(Notice):
        assert notice.cause in heard[notice.subject_id]
        assert notice.notice_id == f"{notice.cause}:{notice.kind}"


@affordable
@given(lives)
def test_whatever_waits_is_waited_for(life: list[Any]) -> None:
    played = Played().live(life)
    armed = {(type(one.message), one.message.subject): one.at for one in played.given.armed}
    for notice in played.rows(Notice):
        no_report, retry, age = (armed.get((kind, notice.notice_id)) for kind in (NoReport, Retry, Age))
        waits = notice.status is NoticeStatus.QUEUED
        assert (no_report is not None) is (waits and notice.until is None)
        assert retry == (notice.until if waits else None)
        assert (age is not None) is (notice.status is NoticeStatus.SENT and notice.folder == "OPEN")
        if notice.status is NoticeStatus.DEFERRED:
            assert armed[Release, BUYER] <= notice.until


@affordable
@given(lives)
def test_in_the_end_every_notice_was_told_or_its_last_word_says_that_it_was_not(life: list[Any]) -> None:
    """A failed one that a channel took over after all, and then bounced, has failed twice; it ends as it last stood."""
    played = Played().live(life)
    played.wait(10 * 24 * 60)
    assert played.given.armed == []
    assert all(notice.folder == "FILED" for notice in played.rows(Notice))
    words = played.events(NoticeSent, NoticeDelivered, NoticeSuppressed, NoticeFailed)
    last = {event.notice_id: type(event) for event in words}
    for notice in played.rows(Notice):
        told = notice.status in (NoticeStatus.SENT, NoticeStatus.DELIVERED)
        assert last[notice.notice_id] in ((NoticeSent, NoticeDelivered) if told else (NoticeSuppressed, NoticeFailed))
