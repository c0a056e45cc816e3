"""Revisions of the branch ``billing``, oldest first."""
