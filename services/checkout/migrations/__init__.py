"""Revisions of the branch ``checkout``, oldest first."""
