"""From a request to a letter: the words of the notice as an e-mail, ready for the wire."""

from __future__ import annotations

import re
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from services.notify.rendering import render
from shared.contracts.notify import DeliveryRequested
from shared.kernel.ids import derived_id

__all__ = ["AddressUnusable", "address_of", "letter_for"]

WIRE = SMTP.clone(cte_type="7bit")
"""Plain ASCII lines, which every server takes."""

_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_DOMAIN = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")


class AddressUnusable(ValueError):
    """What should be an e-mail address is none; the text does not repeat it."""


def address_of(text: str, name: str = "") -> Address:
    """The address that ``text`` is, with a domain in any script; raises :class:`AddressUnusable`."""
    local, _, domain = text.rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        domain = ""
    if not (_LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)):
        raise AddressUnusable("not an e-mail address")
    return Address(name, local, domain)


def letter_for(request: DeliveryRequested, *, to: Address, sender: Address, at: datetime, zone: str) -> EmailMessage:
    """The mail that tells of a notice, dated ``at``; raises ``NotRenderable``.

    Its Message-ID derives from the delivery, so that a mail sent again after a crash is known as the same one.
    """
    words = render(request.template, request.locale, request.params, zone)
    identity = derived_id(request.buyer_id, request.delivery_id, 1)  # the id of a delivery is unique per buyer
    letter = EmailMessage(policy=WIRE)
    letter["From"] = sender
    letter["To"] = to
    letter["Subject"] = words.subject
    letter["Date"] = at
    letter["Message-ID"] = f"<{identity}@{sender.domain}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter["X-Houfu-Notice"] = request.notice_id
    letter.set_content(words.text)
    letter.add_alternative(words.html, subtype="html")
    return letter
