"""Plans, wallets and the journal."""

from alembic import op

revision = "example_0001"
down_revision = None
branch_labels = ("example",)


def upgrade() -> None:
    op.execute("""
        CREATE TABLE plan (
            buyer_id    text        NOT NULL,
            order_id    text        NOT NULL,
            merchant_id text        NOT NULL,
            currency    text        NOT NULL,
            status      text        NOT NULL CHECK (status IN ('OPEN', 'CHARGED_OFF', 'SETTLED')),
            principal   bigint      NOT NULL CHECK (principal >= 0),
            outstanding bigint      NOT NULL,
            refunded    bigint      NOT NULL,
            disputed    boolean     NOT NULL,
            opened_at   timestamptz NOT NULL,
            due_on      date,
            instalments jsonb       NOT NULL,
            PRIMARY KEY (buyer_id, order_id)
        ) WITH (fillfactor = 70);
        CREATE INDEX plan_live ON plan (buyer_id) WHERE status IN ('OPEN', 'CHARGED_OFF');

        CREATE TABLE wallet (
            buyer_id   text NOT NULL PRIMARY KEY,
            instrument jsonb,
            "limit"    bigint NOT NULL
        );

        CREATE TABLE journal_line (
            seq      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            buyer_id text   NOT NULL,
            entry_id text   NOT NULL,
            account  text   NOT NULL,
            amount   bigint NOT NULL,
            UNIQUE (buyer_id, entry_id, account)
        );
    """)
