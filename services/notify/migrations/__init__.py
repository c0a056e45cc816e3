"""Revisions of the branch ``notify``, oldest first."""
