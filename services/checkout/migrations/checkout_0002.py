"""Return cases and refunds of accepted orders."""

from alembic import op

revision = "checkout_0002"
down_revision = "checkout_0001"
branch_labels = None


def upgrade() -> None:
    op.execute("""
        -- Both constraints are only widened: an order given back whole is REFUNDED, and was accepted.
        ALTER TABLE orders
            ADD COLUMN refunded_amount bigint NOT NULL DEFAULT 0
                CHECK (refunded_amount BETWEEN 0 AND accepted_amount),
            ADD COLUMN open_cases      bigint NOT NULL DEFAULT 0 CHECK (open_cases >= 0),
            DROP CONSTRAINT orders_status_check,
            ADD CONSTRAINT orders_status_check
                CHECK (status IN ('AUTHORIZED', 'PARTIALLY_SHIPPED', 'SHIPPED', 'DELIVERED', 'ACCEPTED', 'COMPLETED',
                                  'REFUNDED', 'CANCELLED', 'EXPIRED', 'DECLINED')),
            DROP CONSTRAINT orders_accepted_at,
            ADD CONSTRAINT orders_accepted_at
                CHECK ((status IN ('ACCEPTED', 'COMPLETED', 'REFUNDED')) = (accepted_at IS NOT NULL)),
            ADD CONSTRAINT orders_refunded_is_all_of_it
                CHECK ((status = 'REFUNDED') = (accepted_amount > 0 AND refunded_amount = accepted_amount));

        -- By heard a repeated event is known.
        CREATE TABLE return_case (
            buyer_id text    NOT NULL,
            case_id  text    NOT NULL,
            order_id text    NOT NULL,
            is_open  boolean NOT NULL,
            heard    jsonb   NOT NULL CHECK (jsonb_array_length(heard) >= 1),
            PRIMARY KEY (buyer_id, case_id)
        );

        CREATE TABLE refund (
            buyer_id  text   NOT NULL,
            refund_id text   NOT NULL,
            order_id  text   NOT NULL,
            amount    bigint NOT NULL CHECK (amount >= 0),
            PRIMARY KEY (buyer_id, refund_id)
        );
    """)
