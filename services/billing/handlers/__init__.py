"""Billing's reactions, one module per aggregate. Importing this package registers all of them."""

from services.billing.handlers import bills, books, extensions, notices, plans, refunds, repayments, returns

__all__ = ["bills", "books", "extensions", "notices", "plans", "refunds", "repayments", "returns"]
