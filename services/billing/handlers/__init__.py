"""Billing's reactions, one module per aggregate. Importing this package registers all of them."""

from services.billing.handlers import bills, books, notices, plans, refunds, repayments, returns

__all__ = ["bills", "books", "notices", "plans", "refunds", "repayments", "returns"]
