"""Refunds: whether and how much goes back to a buyer - return cases, refund decisions and payouts."""
