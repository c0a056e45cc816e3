"""Plans that are opened again, also after the account was closed."""

from alembic import op

revision = "checkout_0004"
down_revision = "checkout_0003"
branch_labels = None


def upgrade() -> None:
    op.execute("""
        -- By plan_heard a repeated event is known.
        ALTER TABLE orders ADD COLUMN plan_heard jsonb NOT NULL DEFAULT '[]';

        -- A bank may take money back after the account was closed: then an order is open again.
        ALTER TABLE account
            DROP CONSTRAINT account_ended_is_empty,
            ADD CONSTRAINT account_ended_holds_nothing
                CHECK (status IN ('ACTIVE', 'RESTRICTED', 'SUSPENDED', 'CLOSING') OR held = 0);
    """)
