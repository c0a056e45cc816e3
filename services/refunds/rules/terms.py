"""What the return terms of a line say of a reason (4.1). A reason under both headings is a fault."""

from __future__ import annotations

from shared.contracts.policy import CategoryReturnTerms

__all__ = ["is_fault", "is_listed", "window_days"]


def is_listed(terms: CategoryReturnTerms, reason: str) -> bool:
    """Whether goods may come back for this reason at all."""
    return reason in (*terms.reasons.remorse, *terms.reasons.fault)


def is_fault(terms: CategoryReturnTerms, reason: str) -> bool:
    """Whether the seller answers for the reason; otherwise the buyer changed their mind."""
    return reason in terms.reasons.fault


def window_days(terms: CategoryReturnTerms, reason: str) -> int:
    """How many days after the acceptance date goods may come back for this reason."""
    return terms.fault_window_days if is_fault(terms, reason) else terms.window_days
