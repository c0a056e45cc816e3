"""Billing: debts from acceptance to settlement - plans, bills, repayments, dunning and the journal."""
