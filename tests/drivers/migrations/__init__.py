"""Revisions of the branch ``example``: the tables of ``plans.py``, written as a service writes its own."""
