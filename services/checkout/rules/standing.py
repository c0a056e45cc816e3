"""C-R2: what holds and delinquency make of an account that is in use."""

from __future__ import annotations

from dataclasses import replace

from services.checkout.state import Account, AccountStatus
from shared.contracts.checkout import ChangeAccountStatus
from shared.engine.vocabulary import Rejected

__all__ = ["IN_USE", "settled", "standing", "with_action"]

IN_USE = frozenset({AccountStatus.ACTIVE, AccountStatus.RESTRICTED, AccountStatus.SUSPENDED})
"""The states an account with a credit line moves between."""

_SUSPENDING_STAGES = frozenset({"SUSPENDED", "COLLECTIONS", "CHARGED_OFF"})


def standing(account: Account) -> AccountStatus:
    """The status an account in use has by its holds and its worst stage of delinquency."""
    if account.desk_hold or account.risk_hold or account.stage in _SUSPENDING_STAGES:
        return AccountStatus.SUSPENDED
    return AccountStatus.RESTRICTED if account.stage == "RESTRICTED" else AccountStatus.ACTIVE


_PARTIES = {"SUSPEND": ("DESK", "RISK"), "REINSTATE": ("DESK", "RISK"), "CLOSE": ("BUYER", "DESK")}


def with_action(account: Account, change: ChangeAccountStatus) -> Account:
    """The account after a hold was set or lifted by the party whose hold it is, or after it was closed.

    An account with anything open is CLOSING until that is gone. PARTY_NOT_ALLOWED.
    """
    if change.by not in _PARTIES[change.action]:
        raise Rejected("PARTY_NOT_ALLOWED", by=change.by, allowed=_PARTIES[change.action])
    if change.action == "CLOSE":
        return settled(replace(account, status=AccountStatus.CLOSING))
    hold = change.action == "SUSPEND"
    held = replace(account, desk_hold=hold) if change.by == "DESK" else replace(account, risk_hold=hold)
    return settled(held)


def settled(account: Account) -> Account:
    """The account in the status it now must have: its standing while in use, CLOSED once a closing one is empty."""
    if account.status in IN_USE:
        status = standing(account)
    elif account.status is AccountStatus.CLOSING and _is_empty(account):
        status = AccountStatus.CLOSED
    else:
        return account
    return account if status is account.status else replace(account, status=status)


def _is_empty(account: Account) -> bool:
    """Nothing is open on the account, so it can be closed at once."""
    return account.open_orders == account.held == account.used == 0
