"""The calculators of refunds: from values to values, no state and no I/O."""
