"""Every reaction of checkout, one room per aggregate. Importing this package registers them all."""

from services.checkout.handlers import (
    acceptance,
    accounts,
    authorisations,
    consents,
    debts,
    placement,
    policies,
    returns,
    shipments,
)

__all__ = [
    "acceptance",
    "accounts",
    "authorisations",
    "consents",
    "debts",
    "placement",
    "policies",
    "returns",
    "shipments",
]
