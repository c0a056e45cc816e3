"""Deadlines of a key are found by the key, even by a plan made while the table was empty."""

from alembic import op

revision = "engine_0002"
down_revision = "engine_0001"
branch_labels = None


def upgrade() -> None:
    op.execute("""
        -- Whoever asks for the deadlines of a key does not speak of due_at, so that this index is no choice for him.
        DROP INDEX held_deadline_by_time;
        CREATE INDEX held_deadline_by_time ON held (lane, due_at) WHERE until = 'TIME' AND due_at IS NOT NULL;
    """)
