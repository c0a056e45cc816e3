"""Pictures."""

from alembic import op

revision = "gallery_0001"
down_revision = None
branch_labels = ("gallery",)


def upgrade() -> None:
    op.execute("""
        CREATE TABLE picture (
            buyer_id text NOT NULL PRIMARY KEY,
            title    text NOT NULL
        );
        INSERT INTO picture VALUES ('ann', 'A phone case, in oil');
    """)
