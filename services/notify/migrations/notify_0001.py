"""Mailboxes, subjects, notices and the platform's contact rules."""

from alembic import op

revision = "notify_0001"
down_revision = None
branch_labels = ("notify",)


def upgrade() -> None:
    op.execute("""
        -- How a buyer wants to be reached, and on which days of the last week there were debt notices.
        CREATE TABLE mailbox (
            buyer_id  text  PRIMARY KEY,
            locale    text  NOT NULL CHECK (locale ~ '^[a-z]{2}(-[A-Z]{2})?$'),
            contacts  jsonb NOT NULL CHECK (jsonb_typeof(contacts) = 'object'),
            "order"   jsonb NOT NULL CHECK (jsonb_typeof("order") = 'object'),
            muted     jsonb NOT NULL CHECK (jsonb_typeof(muted) = 'array'),
            debt_days jsonb NOT NULL CHECK (jsonb_array_length(debt_days) <= 7)
        ) WITH (fillfactor = 70);

        -- What was heard of one account, order, repayment, bill, case or refund.
        CREATE TABLE subject (
            buyer_id   text    NOT NULL,
            subject_id text    NOT NULL,
            heard      jsonb   NOT NULL CHECK (jsonb_array_length(heard) BETWEEN 1 AND 200),
            seen       jsonb   NOT NULL CHECK (jsonb_array_length(seen) <= 200),
            resolved   boolean NOT NULL,
            PRIMARY KEY (buyer_id, subject_id)
        ) WITH (fillfactor = 70);

        -- One thing a buyer is told.
        CREATE TABLE notice (
            buyer_id     text        NOT NULL,
            notice_id    text        NOT NULL,
            cause        text        NOT NULL,
            kind         text        NOT NULL CHECK (kind ~ '^[A-Z][A-Z0-9_]*$'),
            class_       text        NOT NULL CHECK (class_ IN ('TRANSACTIONAL', 'DEBT', 'LEGAL')),
            subject_id   text        NOT NULL,
            template     text        NOT NULL CHECK (template ~ '^[a-z][a-z0-9_]*$'),
            params       jsonb       NOT NULL CHECK (jsonb_typeof(params) = 'object'),
            locale       text        NOT NULL CHECK (locale ~ '^[a-z]{2}(-[A-Z]{2})?$'),
            created_at   timestamptz NOT NULL,
            due_version  bigint               CHECK (due_version >= 1),
            status       text        NOT NULL CHECK (status IN ('SUPPRESSED', 'DEFERRED', 'QUEUED', 'SENT',
                                              'DELIVERED', 'CANCELLED', 'UNDELIVERABLE')),
            folder       text        NOT NULL CHECK (folder IN ('OPEN', 'FILED')),
            reason       text                 CHECK (reason IN ('MUTED', 'DUPLICATE', 'CAP', 'OBSOLETE', 'NO_CONTACT')),
            channel      text                 CHECK (channel IN ('PUSH', 'SMS', 'EMAIL', 'IN_APP', 'PHONE')),
            tried        jsonb       NOT NULL CHECK (jsonb_typeof(tried) = 'array'),
            attempt      bigint      NOT NULL CHECK (attempt BETWEEN 0 AND jsonb_array_length(tried)),
            until        timestamptz,
            deferred_at  timestamptz,
            evidence     jsonb       NOT NULL CHECK (jsonb_typeof(evidence) = 'array'),
            sent_at      timestamptz,
            delivered_at timestamptz,
            read         boolean     NOT NULL,
            PRIMARY KEY (buyer_id, notice_id),
            CONSTRAINT notice_reminds_of_a_due_date CHECK ((kind = 'BILL_DUE_SOON') = (due_version IS NOT NULL)),
            CONSTRAINT notice_is_filed_when_it_ends CHECK (CASE
                WHEN status IN ('DEFERRED', 'QUEUED') THEN folder = 'OPEN'
                ELSE folder = 'FILED' OR status = 'SENT' END),
            CONSTRAINT notice_unsent_says_why CHECK ((status IN ('SUPPRESSED', 'CANCELLED')) = (reason IS NOT NULL)),
            CONSTRAINT notice_waits_until CHECK (CASE
                WHEN status = 'DEFERRED' THEN until IS NOT NULL AND deferred_at IS NOT NULL
                ELSE until IS NULL OR status = 'QUEUED' END),
            CONSTRAINT notice_was_tried CHECK (CASE
                WHEN status IN ('QUEUED', 'SENT', 'DELIVERED', 'UNDELIVERABLE') THEN attempt >= 1
                ELSE status <> 'SUPPRESSED' OR attempt = 0 END),
            CONSTRAINT notice_has_its_channel
                CHECK (status NOT IN ('QUEUED', 'SENT', 'DELIVERED') OR channel IS NOT NULL),
            CONSTRAINT notice_sent_is_proven CHECK ((sent_at IS NULL) = (evidence = '[]')
                AND (sent_at IS NOT NULL OR status NOT IN ('SENT', 'DELIVERED'))),
            CONSTRAINT notice_delivered_at CHECK ((status = 'DELIVERED') = (delivered_at IS NOT NULL)),
            CONSTRAINT notice_read_was_delivered CHECK (NOT read OR status = 'DELIVERED')
        ) WITH (fillfactor = 70);
        CREATE INDEX notice_live ON notice (buyer_id) WHERE folder IN ('OPEN');
        CREATE INDEX notice_inbox ON notice (buyer_id, created_at DESC, notice_id);

        -- When and how often buyers may be told of debts; only the platform says so.
        CREATE TABLE contact_policy (
            merchant_id text  PRIMARY KEY CHECK (merchant_id = 'platform'),
            versions    jsonb NOT NULL CHECK (jsonb_array_length(versions) BETWEEN 1 AND 20)
        );
    """)
