"""The orders of a buyer by age, for the list of them."""

from alembic import op

revision = "checkout_0003"
down_revision = "checkout_0002"
branch_labels = None


def upgrade() -> None:
    op.execute("""
        CREATE INDEX orders_by_age ON orders (buyer_id, authorised_at DESC, order_id DESC)
            WHERE authorised_at IS NOT NULL;
    """)
