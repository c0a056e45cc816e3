"""Billing's calculators: from values to values, no state and no I/O."""
