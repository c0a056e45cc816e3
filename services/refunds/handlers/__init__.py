"""The reactions of refunds, one module per aggregate. Importing this package registers all of them."""

from services.refunds.handlers import cases, orders, parcels, payouts, refunds, rulings

__all__ = ["cases", "orders", "parcels", "payouts", "refunds", "rulings"]
