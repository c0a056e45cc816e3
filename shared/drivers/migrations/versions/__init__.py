"""Revisions of the branch ``engine``, oldest first."""
