"""Billing's reactions, one module per aggregate. Importing this package registers all of them."""

from services.billing.handlers import bills, books, plans, repayments

__all__ = ["bills", "books", "plans", "repayments"]
