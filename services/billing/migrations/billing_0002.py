"""Pauses, refunds and the evidence of reminders."""

from alembic import op

revision = "billing_0002"
down_revision = "billing_0001"
branch_labels = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE plan
            ADD COLUMN refunded_total bigint NOT NULL DEFAULT 0 CHECK (refunded_total BETWEEN 0 AND principal),
            ADD COLUMN pauses         jsonb  NOT NULL DEFAULT '[]' CHECK (jsonb_array_length(pauses) <= 100),
            ADD CONSTRAINT plan_pauses_what_is_unpaid CHECK (NOT jsonb_path_exists(
                instalments, '$[*] ? (@.paused > @.principal - @.paid - @.refunded - @.charged_off)'));

        -- How refunds fell, overpayments among them: the mark that they did, and what payouts are posted about.
        CREATE TABLE refund (
            buyer_id    text   NOT NULL,
            refund_id   text   NOT NULL,
            cause       text   NOT NULL
                        CHECK (cause IN ('RETURN', 'CLAIM', 'GOODWILL', 'APPEAL', 'DISPUTE', 'OVERPAYMENT')),
            order_id    text,
            bill_id     text,
            merchant_id text,
            currency    text   NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            amount      bigint NOT NULL CHECK (amount >= 0),
            debt        bigint NOT NULL CHECK (debt >= 0),
            cash        bigint NOT NULL CHECK (cash >= 0),
            external    bigint NOT NULL CHECK (external >= 0),
            unallocated bigint NOT NULL CHECK (unallocated >= 0),
            posted      jsonb  NOT NULL CHECK (jsonb_typeof(posted) = 'array'),
            PRIMARY KEY (buyer_id, refund_id),
            CONSTRAINT refund_falls_somewhere CHECK (debt + cash + external + unallocated = amount),
            CONSTRAINT refund_is_about_a_debt CHECK (num_nonnulls(order_id, bill_id) >= 1)
        ) WITH (fillfactor = 70);

        -- What came in too much before there were refunds: its payouts are still to be posted.
        INSERT INTO refund (buyer_id, refund_id, cause, order_id, bill_id, currency, amount, debt, cash, external,
                            unallocated, posted)
        SELECT buyer_id, 'op:' || repayment_id || ':' || 'o1', 'OVERPAYMENT', order_id, bill_id, currency, overpaid, 0,
               overpaid, 0, 0, '[]'
        FROM repayment
        WHERE overpaid > 0;

        -- When the buyer was first reminded of each due date of a bill.
        CREATE TABLE evidence (
            buyer_id  text  NOT NULL,
            bill_id   text  NOT NULL,
            reminders jsonb NOT NULL CHECK (jsonb_array_length(reminders) >= 1),
            PRIMARY KEY (buyer_id, bill_id)
        ) WITH (fillfactor = 70);
    """)
