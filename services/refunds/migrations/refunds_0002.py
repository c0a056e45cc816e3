"""The return cases of a buyer by age, for the list of them."""

from alembic import op

revision = "refunds_0002"
down_revision = "refunds_0001"
branch_labels = None


def upgrade() -> None:
    op.execute("""
        CREATE INDEX return_case_by_age ON return_case (buyer_id, opened_at DESC, case_id DESC);
    """)
