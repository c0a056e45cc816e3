"""Books, plans, bills, repayments and the journal."""

from alembic import op

revision = "billing_0001"
down_revision = None
branch_labels = ("billing",)


def upgrade() -> None:
    op.execute("""
        -- The header of a buyer's debts. Updated by nearly every message of the buyer: room within the page.
        CREATE TABLE book (
            buyer_id              text   PRIMARY KEY,
            currency              text   NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            version               bigint NOT NULL CHECK (version >= 0),
            outstanding_principal bigint NOT NULL CHECK (outstanding_principal >= 0),
            autopay               jsonb  NOT NULL CHECK (jsonb_typeof(autopay) = 'object'),
            overdue               jsonb  NOT NULL CHECK (jsonb_typeof(overdue) = 'array')
        ) WITH (fillfactor = 70);

        -- The debt of one order.
        CREATE TABLE plan (
            buyer_id      text   NOT NULL,
            order_id      text   NOT NULL,
            merchant_id   text   NOT NULL,
            status        text   NOT NULL CHECK (status IN ('OPEN', 'SETTLED', 'CHARGED_OFF')),
            product       text   NOT NULL CHECK (product IN ('PAY_AFTER_USE', 'MONTHLY')),
            currency      text   NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            accepted_on   date   NOT NULL,
            principal     bigint NOT NULL CHECK (principal >= 0),
            instalments   jsonb  NOT NULL CHECK (jsonb_array_length(instalments) BETWEEN 1 AND 12),
            refund_policy text   NOT NULL CHECK (refund_policy IN ('REVERSE_DUE', 'PAST_DUE_FIRST', 'PRO_RATA')),
            payments      jsonb  NOT NULL CHECK (jsonb_typeof(payments) = 'array'),
            settled_on    date,
            PRIMARY KEY (buyer_id, order_id),
            CONSTRAINT plan_settled_has_its_day CHECK ((status = 'SETTLED') = (settled_on IS NOT NULL))
        ) WITH (fillfactor = 70);
        CREATE INDEX plan_live ON plan (buyer_id) WHERE status IN ('OPEN', 'CHARGED_OFF');

        -- Its instalments, one a row, for people.
        CREATE VIEW instalment AS
        SELECT plan.buyer_id, plan.order_id, part.*, plan.currency,
               part.principal - part.paid - part.refunded - part.charged_off AS outstanding
        FROM plan, jsonb_to_recordset(plan.instalments) AS part (
            seq int, bill_id text, principal bigint, fee bigint,
            paid bigint, fee_paid bigint, refunded bigint, charged_off bigint, paused bigint
        );

        -- What falls due together.
        CREATE TABLE bill (
            buyer_id    text   NOT NULL,
            bill_id     text   NOT NULL,
            kind        text   NOT NULL CHECK (kind IN ('PAY_AFTER_USE', 'MONTHLY', 'REVERSAL')),
            status      text   NOT NULL
                        CHECK (status IN ('SCHEDULED', 'ISSUED', 'OVERDUE', 'PAID', 'VOIDED', 'CHARGED_OFF')),
            currency    text   NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            due_on      date   NOT NULL,
            due_version bigint NOT NULL CHECK (due_version >= 1),
            lines       jsonb  NOT NULL CHECK (jsonb_array_length(lines) >= 1),
            terms       jsonb  NOT NULL CHECK (jsonb_typeof(terms) = 'object'),
            in_flight   jsonb,
            tried       jsonb  NOT NULL CHECK (jsonb_typeof(tried) = 'array'),
            last_step   bigint NOT NULL CHECK (last_step >= 0),
            max_dpd     bigint NOT NULL CHECK (max_dpd >= 0),
            stage       text   NOT NULL
                        CHECK (stage IN ('NONE', 'REMINDER', 'RESTRICTED', 'SUSPENDED', 'COLLECTIONS', 'CHARGED_OFF')),
            paid_on     date,
            PRIMARY KEY (buyer_id, bill_id),
            CONSTRAINT bill_paid_has_its_day CHECK ((status = 'PAID') = (paid_on IS NOT NULL)),
            CONSTRAINT bill_closed_waits_for_nothing CHECK (status NOT IN ('PAID', 'VOIDED') OR in_flight IS NULL)
        ) WITH (fillfactor = 70);
        CREATE INDEX bill_live ON bill (buyer_id) WHERE status IN ('SCHEDULED', 'ISSUED', 'OVERDUE', 'CHARGED_OFF');

        -- Money asked from a buyer, for one bill or one order.
        CREATE TABLE repayment (
            buyer_id     text        NOT NULL,
            repayment_id text        NOT NULL,
            status       text        NOT NULL
                         CHECK (status IN ('REQUESTED', 'PENDING', 'UNKNOWN', 'FAILED', 'SUCCEEDED', 'REVERSED')),
            mode         text        NOT NULL CHECK (mode IN ('MANUAL', 'AUTO')),
            bill_id      text,
            order_id     text,
            amount       bigint      NOT NULL CHECK (amount > 0),
            currency     text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            instrument   jsonb       NOT NULL CHECK (jsonb_typeof(instrument) = 'object'),
            requested_at timestamptz NOT NULL,
            content      text        NOT NULL,
            asks         bigint      NOT NULL CHECK (asks BETWEEN 0 AND 7),
            allocations  jsonb       NOT NULL CHECK (jsonb_typeof(allocations) = 'array'),
            overpaid     bigint      NOT NULL CHECK (overpaid BETWEEN 0 AND amount),
            provider_ref text,
            PRIMARY KEY (buyer_id, repayment_id),
            CONSTRAINT repayment_has_one_target CHECK (num_nonnulls(bill_id, order_id) = 1),
            CONSTRAINT repayment_allocated_only_when_money_came CHECK (
                status IN ('SUCCEEDED', 'REVERSED') OR (allocations = '[]' AND overpaid = 0)
            )
        ) WITH (fillfactor = 70);
        CREATE INDEX repayment_live ON repayment (buyer_id) WHERE status IN ('REQUESTED', 'PENDING', 'UNKNOWN');

        -- Double entry. Appended, never changed; (cause_id, n) names a posting.
        CREATE TABLE journal (
            id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            buyer_id    text        NOT NULL,
            cause_id    text        NOT NULL,
            n           bigint      NOT NULL CHECK (n >= 0),
            posted_at   timestamptz NOT NULL,
            account     text        NOT NULL CHECK (account IN (
                            '1000', '1100', '1110', '1120', '2000', '2100', '2200', '4000', '4100', '4200', '4900',
                            '5000')),
            debit       bigint      NOT NULL CHECK (debit >= 0),
            credit      bigint      NOT NULL CHECK (credit >= 0),
            currency    text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            order_id    text,
            bill_id     text,
            merchant_id text,
            CONSTRAINT journal_debit_or_credit CHECK ((debit = 0) <> (credit = 0)),
            CONSTRAINT journal_is_about_a_debt CHECK (num_nonnulls(order_id, bill_id) >= 1)
        );

        CREATE FUNCTION journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the journal is never changed: post a correction';
        END $$;
        CREATE TRIGGER journal_is_append_only BEFORE UPDATE OR DELETE ON journal
            FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only();
    """)
