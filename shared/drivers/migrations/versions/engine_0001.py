"""Positions, inbox, outbox, held messages, attempts and the line."""

from alembic import op

revision = "engine_0001"
down_revision = None
branch_labels = ("engine",)


def upgrade() -> None:
    op.execute("""
        -- How far each partition has been handled. Updated every turn: room for updates within the page.
        CREATE TABLE position (
            topic       text        NOT NULL,
            partition   int         NOT NULL CHECK (partition >= 0),
            next_offset bigint      NOT NULL CHECK (next_offset >= 0),
            reached     timestamptz,
            PRIMARY KEY (topic, partition)
        ) WITH (fillfactor = 50);

        -- Every message id seen, with the digest of what came under it.
        CREATE TABLE inbox (
            id     uuid        PRIMARY KEY,
            digest bytea       NOT NULL,
            at     timestamptz NOT NULL
        );
        CREATE INDEX inbox_by_age ON inbox (at);

        -- One row a turn and lane: its messages, until the log has acknowledged them. Short-lived and large, so its
        -- bodies are not compressed here.
        CREATE TABLE outbox (
            seq  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            lane int    NOT NULL CHECK (lane >= 0),
            body text   NOT NULL
        );
        ALTER TABLE outbox ALTER COLUMN body SET STORAGE EXTERNAL;
        CREATE INDEX outbox_of_lane ON outbox (lane);

        -- Messages that could not be handled when they came up, in the order they came.
        CREATE TABLE held (
            seq            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            lane           bigint      NOT NULL CHECK (lane >= 0),
            key            text        NOT NULL,
            until          text        NOT NULL CHECK (until IN ('TIME', 'ROW', 'OPERATOR', 'BEHIND')),
            message        text        NOT NULL,
            id             text        NOT NULL,
            held_at        timestamptz NOT NULL,
            kind           text        NOT NULL,
            subject        text        NOT NULL,
            due_at         timestamptz,
            cause_id       text        NOT NULL,
            correlation_id text        NOT NULL,
            traceparent    text,
            waits_for      text        NOT NULL,
            reason         text        NOT NULL,
            detail         text        NOT NULL CHECK (length(detail) <= 4000),
            fingerprint    text        NOT NULL,
            word           text        CHECK (word IN ('REDRIVE', 'DISCARD')),
            CONSTRAINT held_deadline_is_due CHECK (until <> 'TIME' OR (due_at IS NOT NULL AND kind <> '')),
            CONSTRAINT held_waits_for_a_row CHECK (until <> 'ROW' OR waits_for <> ''),
            CONSTRAINT held_dead_letter_has_a_reason CHECK (until <> 'OPERATOR' OR reason <> ''),
            CONSTRAINT held_word_is_about_a_dead_letter CHECK (until = 'OPERATOR' OR word IS NULL)
        );
        CREATE UNIQUE INDEX held_deadline ON held (key, kind, subject) WHERE until = 'TIME';
        CREATE INDEX held_deadline_by_time ON held (lane, due_at) WHERE until = 'TIME';
        -- By hash: an unreadable record may have a key too long for a B-tree.
        CREATE INDEX held_of_key ON held USING hash (key) WHERE until IN ('ROW', 'OPERATOR');
        CREATE INDEX held_behind ON held (key, seq) WHERE until = 'BEHIND';
        CREATE INDEX held_waiting_by_age ON held (lane, held_at) WHERE until = 'ROW';
        CREATE INDEX held_dead_letter ON held (seq) WHERE until = 'OPERATOR';
        CREATE INDEX held_parking ON held (key, fingerprint, held_at) WHERE until = 'OPERATOR' AND fingerprint <> '';
        CREATE INDEX held_spoken ON held (lane) WHERE word IS NOT NULL;

        -- A turn that began and has not ended: what a process killer leaves behind.
        CREATE TABLE attempt (
            lane  bigint PRIMARY KEY CHECK (lane >= 0),
            reach jsonb  NOT NULL,
            tries bigint NOT NULL CHECK (tries >= 0)
        ) WITH (fillfactor = 50);

        -- Whether the service handles messages at all: exactly one row.
        CREATE TABLE line (
            single     boolean PRIMARY KEY DEFAULT true CHECK (single),
            stopped    boolean NOT NULL,
            reason     text    NOT NULL,
            build      text    NOT NULL,
            since      timestamptz,
            resumed_at timestamptz
        );
        INSERT INTO line (stopped, reason, build) VALUES (false, '', '');
    """)
