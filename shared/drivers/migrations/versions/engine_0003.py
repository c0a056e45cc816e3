"""The mark of a turn of time names the keys it was about."""

from alembic import op

revision = "engine_0003"
down_revision = "engine_0002"
branch_labels = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE attempt ADD COLUMN keys jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(keys) = 'array');
    """)
