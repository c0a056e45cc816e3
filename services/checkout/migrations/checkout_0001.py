"""Accounts, merchant pairs, policies, orders and the scores of bills."""

from alembic import op

revision = "checkout_0001"
down_revision = None
branch_labels = ("checkout",)


def upgrade() -> None:
    op.execute("""
        -- A buyer's credit line; available = limit - held - used, which a cut of the limit may make negative (I-5).
        CREATE TABLE account (
            buyer_id             text    NOT NULL PRIMARY KEY,
            status               text    NOT NULL CHECK (status IN ('APPLIED', 'UNDER_REVIEW', 'ACTIVE', 'RESTRICTED',
                                             'SUSPENDED', 'CLOSING', 'CLOSED', 'REJECTED', 'EXPIRED')),
            currency             text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            platform_account_ref text    NOT NULL,
            agreement_version    text    NOT NULL,
            steps                jsonb   NOT NULL,
            reported_score       bigint           CHECK (reported_score BETWEEN 0 AND 1000),
            instrument           jsonb,
            score                bigint  NOT NULL CHECK (score BETWEEN 0 AND 1000),
            "limit"              bigint  NOT NULL CHECK ("limit" >= 0),
            held                 bigint  NOT NULL CHECK (held >= 0),
            used                 bigint  NOT NULL CHECK (used >= 0),
            book_version         bigint  NOT NULL CHECK (book_version >= 0),
            open_orders          bigint  NOT NULL CHECK (open_orders >= 0),
            stage                text    NOT NULL,
            desk_hold            boolean NOT NULL,
            risk_hold            boolean NOT NULL,
            good_bills           bigint  NOT NULL CHECK (good_bills >= 0),
            month_points         jsonb   NOT NULL,
            activated_at         timestamptz,
            rejected_at          timestamptz,
            CONSTRAINT account_in_use_has_a_card
                CHECK (status NOT IN ('ACTIVE', 'RESTRICTED', 'SUSPENDED', 'CLOSING')
                       OR (instrument IS NOT NULL AND activated_at IS NOT NULL)),
            CONSTRAINT account_ended_is_empty
                CHECK (status IN ('ACTIVE', 'RESTRICTED', 'SUSPENDED', 'CLOSING') OR open_orders = 0 AND held = 0)
        ) WITH (fillfactor = 70);

        CREATE TABLE merchant_pair (
            buyer_id    text   NOT NULL,
            merchant_id text   NOT NULL,
            consent     jsonb,
            open_orders bigint NOT NULL CHECK (open_orders >= 0),
            PRIMARY KEY (buyer_id, merchant_id)
        ) WITH (fillfactor = 70);

        CREATE TABLE policy (
            merchant_id text  NOT NULL PRIMARY KEY,
            versions    jsonb NOT NULL
        );

        CREATE TABLE acceptance (
            buyer_id    text        NOT NULL,
            order_id    text        NOT NULL,
            accepted_at timestamptz NOT NULL,
            PRIMARY KEY (buyer_id, order_id)
        );

        CREATE TABLE bill_score (
            buyer_id      text    NOT NULL,
            bill_id       text    NOT NULL,
            paid          boolean NOT NULL,
            good_points   bigint  NOT NULL CHECK (good_points >= 0),
            late_points   bigint  NOT NULL CHECK (late_points >= 0),
            level         bigint  NOT NULL CHECK (level >= 0),
            steps_counted jsonb   NOT NULL,
            PRIMARY KEY (buyer_id, bill_id)
        );

        -- Named in the plural: ORDER is a word of SQL itself.
        CREATE TABLE orders (
            buyer_id            text    NOT NULL,
            order_id            text    NOT NULL,
            merchant_id         text    NOT NULL,
            content             text    NOT NULL,
            status              text    NOT NULL CHECK (status IN ('AUTHORIZED', 'PARTIALLY_SHIPPED', 'SHIPPED',
                                            'DELIVERED', 'ACCEPTED', 'COMPLETED', 'CANCELLED', 'EXPIRED', 'DECLINED')),
            kind                text    NOT NULL CHECK (kind IN ('GOODS', 'SERVICE')),
            product             text    NOT NULL CHECK (product IN ('PAY_AFTER_USE', 'MONTHLY')),
            instalments         bigint  NOT NULL CHECK (instalments IN (1, 3, 6, 12)),
            currency            text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            lines               jsonb   NOT NULL,
            freight             bigint  NOT NULL CHECK (freight >= 0),
            amount              bigint  NOT NULL CHECK (amount > 0),
            held_amount         bigint  NOT NULL CHECK (held_amount BETWEEN 0 AND amount),
            expected_receipt_on date    NOT NULL,
            terms               jsonb   NOT NULL,
            policy_versions     jsonb   NOT NULL,
            shipments           jsonb   NOT NULL,
            authorised_at       timestamptz,
            expires_at          timestamptz,
            extended_on         date,
            delivered_at        timestamptz,
            accepted_at         timestamptz,
            accepted_amount     bigint  NOT NULL CHECK (accepted_amount BETWEEN 0 AND amount),
            return_until        timestamptz,
            plan_settled        boolean NOT NULL,
            PRIMARY KEY (buyer_id, order_id),
            CONSTRAINT orders_held_while_open
                CHECK (status NOT IN ('AUTHORIZED', 'PARTIALLY_SHIPPED', 'SHIPPED', 'DELIVERED') OR held_amount > 0),
            CONSTRAINT orders_ended_hold_nothing
                CHECK (status NOT IN ('CANCELLED', 'EXPIRED', 'DECLINED') OR held_amount = 0),
            CONSTRAINT orders_authorised_at
                CHECK ((status = 'DECLINED') = (authorised_at IS NULL)),
            CONSTRAINT orders_accepted_at
                CHECK ((status IN ('ACCEPTED', 'COMPLETED')) = (accepted_at IS NOT NULL))
        ) WITH (fillfactor = 70);
        CREATE INDEX orders_live ON orders (buyer_id)
            WHERE status IN ('AUTHORIZED', 'PARTIALLY_SHIPPED', 'SHIPPED', 'DELIVERED', 'ACCEPTED');
    """)
