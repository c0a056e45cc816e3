"""Checkout: the buyer's account and limit, merchant policies, and orders from placement to completion."""
