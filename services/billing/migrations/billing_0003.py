"""The bills of a buyer by due date, for the list of them."""

from alembic import op

revision = "billing_0003"
down_revision = "billing_0002"
branch_labels = None


def upgrade() -> None:
    op.execute("""
        CREATE INDEX bill_by_due_date ON bill (buyer_id, due_on DESC, bill_id DESC);
    """)
