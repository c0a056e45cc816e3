"""Mailboxes: how buyers want to be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from services.notify.rules.catalogue import MUTABLE_KINDS
from services.notify.service import notify
from services.notify.state import Mailbox
from shared.contracts.notify import PreferencesChanged, SetPreferences
from shared.engine.service import Yielded
from shared.engine.vocabulary import Rejected

__all__ = ["set_preferences"]


@notify.on(SetPreferences)
def set_preferences(command: SetPreferences, mailbox: Mailbox | None) -> Iterator[Yielded]:
    """A buyer says how to be reached and what to be spared; what is owed to the buyer cannot be muted (N-R2, N-R4)."""
    owed = sorted(set(command.muted or ()) - MUTABLE_KINDS)
    if owed:
        raise Rejected("NOT_MUTABLE", kinds=owed)
    mailbox = _stating(command, mailbox or Mailbox(command.buyer_id))
    yield mailbox
    yield PreferencesChanged(buyer_id=command.buyer_id, locale=mailbox.locale, order=mailbox.order, muted=mailbox.muted)


def _stating(command: SetPreferences, mailbox: Mailbox) -> Mailbox:
    """The mailbox after what the command states; what it leaves out stays."""
    return replace(
        mailbox,
        locale=mailbox.locale if command.locale is None else command.locale,
        contacts=mailbox.contacts if command.contacts is None else dict(command.contacts.items()),
        order={**mailbox.order, **(command.order or {})},
        muted=mailbox.muted if command.muted is None else tuple(dict.fromkeys(command.muted)),
    )
