"""Every SQL statement the engine sends, by name. Set-based: array literals go in, ``unnest`` makes rows of them.

Table names are unqualified: the connection's ``search_path`` is the service's schema. Columns named after a class's
fields are quoted. Statements about rows and entries are built once per class and kept.

A plan is made once and kept, often while a table is still empty, where every plan looks equally good. ``LATERAL`` with
``OFFSET 0`` (or ``FOR UPDATE``) leaves only one: for each key, one look into the index on keys. Where there can be no
``LATERAL``, the sessions' ``enable_seqscan = off`` decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from shared.drivers.arrays import element, elements
from shared.drivers.rows import Codec, Column, codec, once_per_class
from shared.engine.ports import Attempt, Held, Line
from shared.engine.vocabulary import Entry, Live, Row

__all__ = [
    "ADMIT",
    "ARM",
    "ATTEMPT",
    "ATTEMPTS",
    "BEGIN_ATTEMPTS",
    "BEHIND",
    "DEAD_LETTER",
    "DEAD_LETTERS",
    "DUE",
    "END_ATTEMPTS",
    "FAILING",
    "FENCE",
    "HELD",
    "HELD_OF",
    "HOLD",
    "KNOWN",
    "LET_GO",
    "LINE",
    "MOVE_AND_LEAVE",
    "NEXT_DUE",
    "OUTBOX",
    "POSITIONS",
    "PRUNE",
    "REHOLD",
    "SPEAK",
    "STANDING",
    "STOP_LINE",
    "append",
    "load",
    "upsert",
]


def _without(made: Codec[Any], *names: str) -> list[Column]:
    return [column for column in made.columns if column.name not in names]


def _names(of: Sequence[Column]) -> str:
    return ", ".join(column.quoted for column in of)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _excluded(of: Sequence[Column]) -> str:
    return ", ".join(f"{column.quoted} = EXCLUDED.{column.quoted}" for column in of)


def _given(made: Codec[Any]) -> str:
    """A relation of the instances, made of one array literal a column."""
    functions = (elements(column.type, place) for place, column in enumerate(made.columns, start=1))
    return f"ROWS FROM ({', '.join(functions)})"


def _values(of: Sequence[Column]) -> str:
    return ", ".join(element(column.type, f"given.{column.quoted}") for column in of)


def _assigned(of: Sequence[Column]) -> str:
    names = (f"{column.quoted} = {element(column.type, f'given.{column.quoted}')}" for column in of)
    return ", ".join(names)


# --- the turn ---------------------------------------------------------------------------------------------------------

FENCE = """
SELECT pg_advisory_xact_lock($1::int, lane)
FROM (SELECT lane FROM unnest($2::int[]) AS lane ORDER BY lane) AS sorted
"""
"""Alone in its statement, so that what is read next is read after the wait."""

POSITIONS = """
SELECT line.stopped, line.reason, line.build, line.since, line.resumed_at,
       position.topic, position.partition, position.next_offset, position.reached
FROM line LEFT JOIN position ON position.partition = ANY($1::int[])
"""
"""The line comes with the positions: both are asked for at the start of every turn."""

OUTBOX = """
WITH removed AS (DELETE FROM outbox WHERE seq = ANY($2::bigint[]))
SELECT seq, lane, body FROM outbox WHERE lane = ANY($1::int[]) AND seq <> ALL($2::bigint[]) ORDER BY seq
"""

ADMIT = """
INSERT INTO inbox (id, digest, at)
SELECT id::uuid, decode(digest, 'hex'), $3::timestamptz
FROM unnest($1::text::text[], $2::text::text[]) AS appeared (id, digest) ORDER BY id
ON CONFLICT (id) DO NOTHING
RETURNING id::text
"""

KNOWN = """
SELECT known.id::text, known.digest FROM unnest($1::text::uuid[]) AS appeared (of_id) CROSS JOIN LATERAL (
    SELECT id, digest FROM inbox WHERE id = of_id OFFSET 0
) AS known
"""
"""A statement of its own: it must see what another turn committed while ``ADMIT`` waited for it."""

MOVE_AND_LEAVE = """
WITH moved AS (
    INSERT INTO position (topic, partition, next_offset, reached)
    SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::timestamptz[])
    ON CONFLICT (topic, partition) DO UPDATE SET next_offset = EXCLUDED.next_offset, reached = EXCLUDED.reached
)
INSERT INTO outbox (lane, body)
SELECT lane, body FROM unnest($5::int[], $6::text[]) AS packed (lane, body) ORDER BY lane
RETURNING lane, seq
"""

# --- held messages ----------------------------------------------------------------------------------------------------

HELD = codec(Held)
"""Order of the columns of every statement that reads or writes whole held messages."""

_HELD_COLUMNS = ", ".join(column.quoted for column in HELD.columns)

HELD_OF = f"""
SELECT {_HELD_COLUMNS} FROM unnest($1::text::text[]) AS wanted (of_key) CROSS JOIN LATERAL (
    SELECT * FROM held WHERE key = of_key AND until = 'TIME' OFFSET 0
) AS deadline WHERE due_at <= $2
UNION ALL
SELECT {_HELD_COLUMNS} FROM unnest($1::text::text[]) AS wanted (of_key) CROSS JOIN LATERAL (
    SELECT * FROM held WHERE key = of_key AND until IN ('ROW', 'OPERATOR') OFFSET 0
) AS other
ORDER BY seq
"""  # noqa: S608 - names of columns, no values

BEHIND = f"SELECT {_HELD_COLUMNS} FROM held WHERE key = $1 AND until = 'BEHIND' ORDER BY seq"  # noqa: S608

_NOT_PARKED = """NOT EXISTS (
    SELECT FROM held AS parking
    WHERE parking.key = held.key AND parking.until = 'OPERATOR' AND parking.fingerprint <> '' OFFSET 0)"""

DUE = f"""
SELECT key FROM (
    SELECT ripe.key, ripe.since
    FROM unnest($1::int[], $2::timestamptz[]) AS horizon (lane, at) CROSS JOIN LATERAL (
        SELECT key, due_at AS since FROM held
        WHERE until = 'TIME' AND held.lane = horizon.lane AND due_at <= horizon.at AND {_NOT_PARKED}
        ORDER BY due_at LIMIT $5
    ) AS ripe
    UNION ALL
    SELECT waiting.key, waiting.held_at
    FROM unnest($3::int[], $4::timestamptz[]) AS patience (lane, since) CROSS JOIN LATERAL (
        SELECT key, held_at FROM held
        WHERE until = 'ROW' AND held.lane = patience.lane AND held_at < patience.since AND {_NOT_PARKED} OFFSET 0
    ) AS waiting
    UNION ALL
    SELECT spoken.key, spoken.held_at FROM unnest($1::int[]) AS visited (of_lane) CROSS JOIN LATERAL (
        SELECT key, held_at FROM held WHERE word IS NOT NULL AND lane = of_lane OFFSET 0
    ) AS spoken
) AS come_up
GROUP BY key ORDER BY min(since), key LIMIT $5
"""  # noqa: S608

FAILING = """
SELECT count(DISTINCT key) FROM held
WHERE until = 'OPERATOR' AND fingerprint = $1 AND fingerprint <> '' AND ($2::timestamptz IS NULL OR held_at > $2)
"""

LET_GO = """
DELETE FROM held WHERE seq = ANY($1::bigint[] || ARRAY(
    SELECT armed.seq
    FROM unnest($2::text::text[], $3::text::text[], $4::text::text[]) AS gone (of_key, of_kind, of_subject)
    CROSS JOIN LATERAL (
        SELECT seq FROM held WHERE key = of_key AND kind = of_kind AND subject = of_subject AND until = 'TIME' OFFSET 0
    ) AS armed
))
"""
"""Released ones by ``seq``, disarmed deadlines by (key, kind, subject)."""

HOLD = f"""
INSERT INTO held ({_names(_without(HELD, "seq"))}) SELECT {_values(_without(HELD, "seq"))}
FROM {_given(HELD)} WITH ORDINALITY AS given ({_names(HELD.columns)}, place) ORDER BY place
"""  # noqa: S608
"""New ones get their ``seq`` in the order given."""

ARM = f"""{HOLD}
ON CONFLICT (key, kind, subject) WHERE until = 'TIME'
DO UPDATE SET {_excluded(_without(HELD, "seq", "key", "kind", "subject", "until"))}
"""
"""An armed deadline of the same (key, kind, subject) is replaced and keeps its ``seq``."""

REHOLD = f"""
UPDATE held SET {_assigned(_without(HELD, "seq"))}
FROM {_given(HELD)} AS given ({_names(HELD.columns)}) WHERE held.seq = given.seq
"""  # noqa: S608
"""Known ones wait for something else now, in their old place."""

# --- rows and entries -------------------------------------------------------------------------------------------------


@once_per_class
def upsert(cls: type[Row]) -> str:
    """Save the new versions of rows, each at most once."""
    keys = dict.fromkeys((cls.OWNER, cls.ID))
    changed = _without(codec(cls), *keys)
    action = f"UPDATE SET {_excluded(changed)}" if changed else "NOTHING"
    return f"{append(cls)} ON CONFLICT ({_quoted(keys)}) DO {action}"


@once_per_class
def append(cls: type[Row] | type[Entry]) -> str:
    """Insert instances as they are."""
    made = codec(cls)
    return (
        f'INSERT INTO "{cls.TABLE}" ({_names(made.columns)}) SELECT {_values(made.columns)} '  # noqa: S608
        f"FROM {_given(made)} AS given ({_names(made.columns)})"
    )


@once_per_class
def load(cls: type[Row], *, by_id: bool, live: bool, lock: bool) -> str:
    """Rows by (owner, id) from the first two parameters and all live ones of the owners in the last.

    With ``lock`` they stay locked until the transaction ends, in the order of the ids given.
    """
    table = ", ".join(f"stored.{column.quoted}" for column in codec(cls).columns)
    once = "FOR UPDATE" if lock else "OFFSET 0"
    if not by_id:
        keys, condition = "unnest($1::text::text[]) AS wanted (of_owner)", _is_live(cls)
    else:
        named = "unnest($1::text::text[], $2::text::text[]) AS wanted (of_owner, of_id)"
        keys, condition = (_named_or_live(cls, named) if live else named), _is(cls)
    return f"""
        SELECT {table} FROM {keys} CROSS JOIN LATERAL (SELECT * FROM "{cls.TABLE}" WHERE {condition} {once}) AS stored
    """  # noqa: S608


def _named_or_live(cls: type[Row], named: str) -> str:
    return f"""(
        SELECT of_owner, of_id FROM {named}
        UNION
        SELECT of_owner, found.id FROM unnest($3::text::text[]) AS owners (of_owner) CROSS JOIN LATERAL (
            SELECT "{cls.ID}" AS id FROM "{cls.TABLE}" WHERE {_is_live(cls)} OFFSET 0
        ) AS found
        ORDER BY of_owner, of_id
    ) AS wanted"""  # noqa: S608


def _is(cls: type[Row]) -> str:
    return f'"{cls.OWNER}" = of_owner AND "{cls.ID}" = of_id'


def _is_live(cls: type[Row]) -> str:
    """The condition of the table's partial index, as a literal so that the planner sees that it is the same."""
    live = cls.LIVE or Live("", frozenset())
    values = ", ".join("'" + value.replace("'", "''") + "'" for value in sorted(live.values))
    return f'"{cls.OWNER}" = of_owner AND "{live.column}" IN ({values})'


# --- the line, attempts, housekeeping ---------------------------------------------------------------------------------

_LINE_COLUMNS = ", ".join(column.quoted for column in codec(Line).columns)

LINE = f"SELECT {_LINE_COLUMNS} FROM line"  # noqa: S608

STOP_LINE = f"UPDATE line SET ({_LINE_COLUMNS}) = ($1, $2, $3, $4, $5)"  # noqa: S608

ATTEMPT = codec(Attempt)

_WITHOUT_WAITING = "WITH lazily AS (SELECT set_config('synchronous_commit', 'off', true))"
"""A mark must outlive our process, not the database server: it need not wait for the disk."""

BEGIN_ATTEMPTS = f"""
{_WITHOUT_WAITING}
INSERT INTO attempt ({_names(ATTEMPT.columns)}) SELECT {_values(ATTEMPT.columns)}
FROM lazily CROSS JOIN {_given(ATTEMPT)} AS given ({_names(ATTEMPT.columns)})
ON CONFLICT (lane) DO UPDATE SET reach = EXCLUDED.reach, tries = EXCLUDED.tries
"""  # noqa: S608

ATTEMPTS = f"SELECT {_names(ATTEMPT.columns)} FROM attempt WHERE lane = ANY($1::int[]) ORDER BY lane"  # noqa: S608

END_ATTEMPTS = f"{_WITHOUT_WAITING} DELETE FROM attempt USING lazily WHERE lane = ANY($1::int[])"  # noqa: S608

PRUNE = """
DELETE FROM inbox WHERE id = ANY(ARRAY(SELECT id FROM inbox WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))
"""

SPEAK = "UPDATE held SET word = $2 WHERE seq = $1 AND until = 'OPERATOR'"

# --- for operators ----------------------------------------------------------------------------------------------------

DEAD_LETTERS = f"""
SELECT {_HELD_COLUMNS} FROM held WHERE until = 'OPERATOR' AND seq > $2 ORDER BY seq LIMIT $1
"""  # noqa: S608

DEAD_LETTER = f"SELECT {_HELD_COLUMNS} FROM held WHERE until = 'OPERATOR' AND seq = $1"  # noqa: S608

NEXT_DUE = f"""
WITH RECURSIVE lanes (lane) AS (
    SELECT min(lane) FROM held WHERE until = 'TIME' AND due_at IS NOT NULL
    UNION ALL
    SELECT (SELECT min(lane) FROM held WHERE until = 'TIME' AND due_at IS NOT NULL AND held.lane > lanes.lane)
    FROM lanes WHERE lanes.lane IS NOT NULL
)
SELECT min(earliest.due_at) FROM lanes CROSS JOIN LATERAL (
    SELECT due_at FROM held
    WHERE until = 'TIME' AND due_at IS NOT NULL AND held.lane = lanes.lane AND {_NOT_PARKED} ORDER BY due_at LIMIT 1
) AS earliest
"""  # noqa: S608
"""One look into the index of each lane, however many deadlines are armed."""

STANDING = f"""
WITH facts AS (
    SELECT (SELECT count(*) FROM outbox) AS outbox_rows,
           ({NEXT_DUE}) AS earliest_due,
           (SELECT count(*) FROM held WHERE until = 'ROW') AS waiting,
           (SELECT count(*) FROM held WHERE until = 'OPERATOR') AS dead_letters,
           (SELECT count(DISTINCT key) FROM held WHERE until = 'OPERATOR' AND fingerprint <> '') AS parked_keys
)
SELECT facts.*, line.stopped, line.reason, line.build, line.since, line.resumed_at,
       position.topic, position.partition, position.next_offset, position.reached
FROM facts CROSS JOIN line LEFT JOIN position ON true
"""  # noqa: S608
