"""Revisions of the branch ``refunds``, oldest first."""
