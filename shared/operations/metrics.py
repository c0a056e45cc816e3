"""The catalogue of metrics: what an operator can see of a process in numbers, and what to do about it.

One frozen declaration a metric. :class:`~shared.operations.meters.Meters` makes the registry of a process from it, so
nothing can be counted that is not here, and ``docs/metrics.md`` is this file for people, in this order. No label holds
an id, a key or a name of anybody (law 8): what a label can be is an enumeration, a contract or the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shared.engine.monitor import Driver, Undone
from shared.engine.ports import Until

__all__ = ["CATALOGUE", "DEAD_LETTER_REASONS", "OTHER", "SERIES_MAX", "Kind", "Label", "Metric", "Of", "Unit"]

SERIES_MAX = 400
"""Most series of one metric in one process: what grows with what others send must not grow without end. The largest
there is counts messages by type, and a service has some hundred."""

OTHER = "other"
"""Every label of whatever comes after that many."""


class Kind(StrEnum):
    """What a number means."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Unit(StrEnum):
    """What is counted or measured."""

    SECONDS = "seconds"
    RECORDS = "records"
    MESSAGES = "messages"
    TURNS = "turns"
    KEYS = "keys"
    ROWS = "rows"
    LANES = "lanes"
    REQUESTS = "requests"
    TIMES = "times"
    YES = "0 or 1"


class Of(StrEnum):
    """Which processes have a metric."""

    SERVICE = "services"
    ADAPTER = "adapters"
    BOTH = "services, adapters"


@dataclass(frozen=True, slots=True)
class Label:
    """A dimension of a metric. ``values`` are all it can be, where the code knows them: their series begin at 0."""

    name: str
    meaning: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: what it tells, and what to do when it is wrong."""

    name: str
    kind: Kind
    unit: Unit
    of: Of
    meaning: str
    remedy: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()


FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""A turn takes some ten milliseconds, an answer over HTTP a few."""

SLOW_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""The world outside takes its time."""

LONG_S = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0)
"""From at once to a service that was off for a day."""

TURN_SIZES = (1.0, 5.0, 25.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0)
"""Up to the largest ``HOUFU_TURN_RECORDS``."""

DEAD_LETTER_REASONS = (
    *("SPEC_VERSION", "HEADER_MISSING", "HEADER_INVALID", "HEADER_ENCODING", "ID_INVALID", "TIME_INVALID"),
    *("KEY_MISSING", "KEY_INVALID", "KEY_ENCODING", "KEY_MISMATCH", "UNKNOWN_TYPE", "WRONG_TENANT"),
    *("BODY_MISSING", "BODY_TOO_LARGE", "SCHEMA_VIOLATION", "UNREADABLE"),
    *("ROW_NEVER_CAME", "HANDLER_FAILED", "DATA_REFUSED", "PROCESS_KILLED"),
)
"""All there are: an alert on the first one needs to have seen the 0 before it."""

TYPE = Label("type", "wire type of the message, or kind of the deadline")
TOPIC = Label("topic", "a topic the process reads")
ROUTE = Label("route", "path of the view, with its parameters' names")

# --- does it work -----------------------------------------------------------------------------------------------------

READY = Metric(
    "houfu_ready",
    Kind.GAUGE,
    Unit.YES,
    Of.BOTH,
    "Whether the process does its share of the work, as `/health/ready` says.",
    "0 for more than a minute: `/health/ready` has the reason in `trouble`; see the table in *Health*.",
)
LAG = Metric(
    "houfu_lag_records",
    Kind.GAUGE,
    Unit.RECORDS,
    Of.BOTH,
    "Records unread on the lanes of this process, looked at every 5 s; sum over replicas for the whole.",
    "Growing while `houfu_ready` is 1: more is written than handled. Start replicas, up to one a lane; look at "
    "`houfu_turn_seconds` for what takes the time. Growing while it is 0: see there.",
    (TOPIC,),
)
STALLED = Metric(
    "houfu_stalled_seconds",
    Kind.GAUGE,
    Unit.SECONDS,
    Of.BOTH,
    "For how long something has been unread without a turn (of an adapter: an attempt) having ended; 0 if all is well.",
    "Above 10 the process is not ready; above `HOUFU_STALL_S` it ends itself and must be started again. If it happens "
    "again and again, keep the dump on standard error and report it.",
)
WATCHDOG_BLIND = Metric(
    "houfu_watchdog_blind",
    Kind.GAUGE,
    Unit.YES,
    Of.BOTH,
    "Whether the watchdog's last look saw nothing because the broker did not answer its client.",
    "1: bring the broker back, or look at the network between. Lag and stall are those of the last look that saw.",
)
LANES = Metric(
    "houfu_lanes",
    Kind.GAUGE,
    Unit.LANES,
    Of.BOTH,
    "Lanes (partition numbers across all topics) this process owns; the sum over replicas is the partition count.",
    "The sum is short for more than a minute: the group is rebalancing, or a member holds lanes and does not answer. 0 "
    "on one replica: there are more replicas than partitions.",
)
BUILD = Metric(
    "houfu_build_info",
    Kind.GAUGE,
    Unit.YES,
    Of.BOTH,
    "Always 1; the label says which build runs.",
    "More than one build of a service for longer than a roll-out takes: finish it.",
    (Label("build", "`HOUFU_BUILD`, or a digest of the code"),),
)

# --- turns ------------------------------------------------------------------------------------------------------------

TURN_SECONDS = Metric(
    "houfu_turn_seconds",
    Kind.HISTOGRAM,
    Unit.SECONDS,
    Of.SERVICE,
    "How long a turn took from its beginning until it was committed; what it publishes afterwards is not in it.",
    "Slow with few records: the database is; look for locks, for vacuum, at its disk. Slow with many: lower "
    "`HOUFU_TURN_RECORDS` if the latency matters, otherwise leave it.",
    (Label("driver", "what drove the turn", tuple(Driver)),),
    FAST_S,
)
TURN_RECORDS = Metric(
    "houfu_turn_records",
    Kind.HISTOGRAM,
    Unit.RECORDS,
    Of.SERVICE,
    "Records a turn handled, of turns driven by records.",
    "Always at `HOUFU_TURN_RECORDS`: the service is behind, see `houfu_lag_records`. Always 1 under load: the consumer "
    "fetches too little at a time.",
    (),
    TURN_SIZES,
)
RECORD_AGE = Metric(
    "houfu_record_age_seconds",
    Kind.HISTOGRAM,
    Unit.SECONDS,
    Of.SERVICE,
    "Age of a turn's oldest record when the turn was committed, since the broker took it.",
    "This is how late the service is. Treat as lag; if there is no lag, compare the clocks of broker and process.",
    (),
    LONG_S,
)
TURNS_UNDONE = Metric(
    "houfu_turns_undone_total",
    Kind.COUNTER,
    Unit.TURNS,
    Of.SERVICE,
    "Turns that were rolled back: nothing of them has happened, and they are taken again.",
    "`unavailable`: broker or database did not answer, see the log. `refused`: a dead letter will tell which message. "
    "`stopped`: see *The line*. `defect`: the log has the place; report it.",
    (Label("reason", "why", tuple(Undone)),),
)
LINE_STOPPED = Metric(
    "houfu_line_stopped",
    Kind.GAUGE,
    Unit.YES,
    Of.SERVICE,
    "Whether the line of the service is stopped, in all replicas.",
    "1: page somebody. `houfu line status` says why; see *The line*.",
)

# --- messages ---------------------------------------------------------------------------------------------------------

HANDLED = Metric(
    "houfu_messages_handled_total",
    Kind.COUNTER,
    Unit.MESSAGES,
    Of.SERVICE,
    "Messages and deadlines whose handler ran, however it ended, in turns that were committed.",
    "A type that stands still while its topic grows is skipped or parked; see the next ones.",
    (TYPE,),
)
REJECTED = Metric(
    "houfu_commands_rejected_total",
    Kind.COUNTER,
    Unit.MESSAGES,
    Of.SERVICE,
    "Commands answered with `CommandRejected`.",
    "Refusals are business. A jump of one code after a release, of ours or of an integrator's, is not: `MALFORMED` and "
    "`ID_REUSED` are a sender's mistake.",
    (Label("code", "the rejection's code"),),
)
DEAD_LETTERS = Metric(
    "houfu_dead_letters_total",
    Kind.COUNTER,
    Unit.MESSAGES,
    Of.SERVICE,
    "Messages put aside as dead letters, those included that were redriven in vain.",
    "Any: `houfu dead-letters list`; see *Dead letters*. `HANDLER_FAILED` and `DATA_REFUSED` park a buyer: look soon.",
    (Label("reason", "why, as the dead letter says", DEAD_LETTER_REASONS),),
)
WAITED = Metric(
    "houfu_events_waited_total",
    Kind.COUNTER,
    Unit.MESSAGES,
    Of.SERVICE,
    "Events that came before the row they need and had to wait for it.",
    "Some are normal where two topics meet. Many: another service is behind; compare `houfu_lag_records` of all.",
)
REPEATED = Metric(
    "houfu_messages_repeated_total",
    Kind.COUNTER,
    Unit.MESSAGES,
    Of.SERVICE,
    "Messages whose id had been handled: republished after a crash, or sent again by a client. They have no effect.",
    "Nothing. A steady stream is a client that repeats although it was answered.",
)
SKIPPED = Metric(
    "houfu_events_skipped_total",
    Kind.COUNTER,
    Unit.MESSAGES,
    Of.SERVICE,
    "Events passed over because no handler reacts to their type.",
    '`known="no"`: another service speaks of something this build has never heard of. If this service should react to '
    "it, its release came too late: deploy it and replay; otherwise nothing.",
    (Label("known", "whether this build knows the type", ("yes", "no")),),
)

# --- publishing -------------------------------------------------------------------------------------------------------

PUBLISHED = Metric(
    "houfu_messages_published_total",
    Kind.COUNTER,
    Unit.MESSAGES,
    Of.SERVICE,
    "Messages the broker has acknowledged, repetitions included.",
    "Stands still while messages are handled: see `houfu_publish_failures_total`.",
)
PUBLISH_SECONDS = Metric(
    "houfu_publish_seconds",
    Kind.HISTOGRAM,
    Unit.SECONDS,
    Of.SERVICE,
    "How long the broker took to acknowledge what a turn had to publish.",
    "Slow: the broker's disks or its replicas; `acks=all` waits for the slowest in sync.",
    (),
    FAST_S,
)
PUBLISH_FAILURES = Metric(
    "houfu_publish_failures_total",
    Kind.COUNTER,
    Unit.TIMES,
    Of.BOTH,
    "Times the broker did not acknowledge within 10 s. The producer was thrown away and made anew; nothing is lost.",
    "More than a few: bring the broker back, or look for what keeps replicas out of sync.",
)
COMMIT_FAILURES = Metric(
    "houfu_offset_commit_failures_total",
    Kind.COUNTER,
    Unit.TIMES,
    Of.BOTH,
    "Times the broker did not take offsets. A service goes by its own positions; an adapter says the same again, under "
    "the same ids.",
    "A few belong to every rebalance. Many: the group does not hold together; look at `houfu_lanes` and at the broker.",
)
OUTBOX = Metric(
    "houfu_outbox_rows",
    Kind.GAUGE,
    Unit.ROWS,
    Of.SERVICE,
    "Outbox rows whose messages may not have reached the log, in the whole service; 0 at rest.",
    "Not falling while there is no traffic: a lane has no owner, or the broker does not acknowledge.",
)

# --- held messages ----------------------------------------------------------------------------------------------------

HELD = Metric(
    "houfu_held_messages",
    Kind.GAUGE,
    Unit.MESSAGES,
    Of.SERVICE,
    "Messages held in the whole service, by what they wait for: a deadline's time, the row an event needs, an "
    "operator's word about a dead letter, or the dead letter in front of them. Counted to a million.",
    "`OPERATOR` above 0: see *Dead letters*. `ROW` growing: another service is behind. `BEHIND`: see the next metric.",
    (Label("until", "what they wait for", tuple(Until)),),
)
PARKED = Metric(
    "houfu_parked_keys",
    Kind.GAUGE,
    Unit.KEYS,
    Of.SERVICE,
    "Keys (buyers, merchants) whose messages and deadlines stand still behind a dead letter, in the whole service.",
    "Any: page somebody within the hour; redrive or discard what stands in front.",
)
DEADLINES_LATE = Metric(
    "houfu_deadlines_late_seconds",
    Kind.GAUGE,
    Unit.SECONDS,
    Of.SERVICE,
    "How far back the earliest deadline that is due lies, in business time; 0 if none is. Parked keys do not count.",
    "Above a minute: the service is behind (deadlines wait for what is unread, by design) or its lanes have no owner.",
)
LOOK_AGE = Metric(
    "houfu_database_look_age_seconds",
    Kind.GAUGE,
    Unit.SECONDS,
    Of.SERVICE,
    "Age of the look at the database that the gauges of the whole service come from; it is taken every 15 s.",
    "Above a minute: the database did not answer a question within 2 s, and those gauges are old.",
)

# --- views ------------------------------------------------------------------------------------------------------------

VIEW_REQUESTS = Metric(
    "houfu_view_requests_total",
    Kind.COUNTER,
    Unit.REQUESTS,
    Of.SERVICE,
    "HTTP requests by view and status; `none` is a path that is no view. Health and metrics do not count.",
    "5xx: the log has the reason. 503: the views' connections are all in use, or the database is slow. Many 401 or "
    "403: tokens have expired, or somebody tries.",
    (ROUTE, Label("status", "HTTP status")),
)
VIEW_SECONDS = Metric(
    "houfu_view_seconds",
    Kind.HISTOGRAM,
    Unit.SECONDS,
    Of.SERVICE,
    "How long a view took to answer.",
    "Slow: whoever asks comes too often, or the database is slow; a question is cut off after 2 s. Turns have "
    "connections of their own.",
    (ROUTE,),
    FAST_S,
)

# --- adapters ---------------------------------------------------------------------------------------------------------

ATTEMPT_OUTCOME = Label("outcome", "how it ended", ("answered", "failed", "retried"))

ADAPTER_EVENTS = Metric(
    "houfu_adapter_events_total",
    Kind.COUNTER,
    Unit.TIMES,
    Of.ADAPTER,
    "Outcomes of an adapter's work: an event was answered (perhaps with nothing to say), could not be read, made the "
    "answer raise, or must be tried again because the world outside does not answer.",
    "`failed`: the log has kind and place; the asking service will ask again, so mend it soon. `retried`: the provider "
    "is away. `skipped`: this build is older than the service it listens to.",
    (Label("outcome", "how it ended", ("answered", "skipped", "failed", "retried")),),
)
ATTEMPT_SECONDS = Metric(
    "houfu_adapter_attempt_seconds",
    Kind.HISTOGRAM,
    Unit.SECONDS,
    Of.ADAPTER,
    "How long one attempt to answer an event took, pauses between attempts not included.",
    "Slow: the provider is. An adapter makes `HOUFU_AT_ONCE` attempts at a time; raise it, or start replicas.",
    (ATTEMPT_OUTCOME,),
    SLOW_S,
)
IN_FLIGHT = Metric(
    "houfu_adapter_in_flight",
    Kind.GAUGE,
    Unit.MESSAGES,
    Of.ADAPTER,
    "Events read and not yet answered and acknowledged; at 128 a partition is not read on.",
    "High for long: the provider is slow or away, or one event is tried again and again in front of others of its key.",
)

CATALOGUE: tuple[Metric, ...] = tuple(one for one in list(globals().values()) if isinstance(one, Metric))
"""Every metric, in the order above."""
