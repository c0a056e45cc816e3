"""Commands and events: one frozen pydantic class per message and version.

A class states its place in the system where it is declared::

    class PlanOpened(Event, service="billing", subject="order_id"):
        '''The debt of an order exists.'''

and from then on is known under its wire type, here ``houfu.billing.plan_opened.v1``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict

__all__ = ["Command", "Event", "Message", "catalogue", "known_services", "message_type"]

ServiceName = Literal["checkout", "billing", "refunds", "notify"]


class Message(BaseModel):
    """A payload with a wire type. Frozen, strict (no coercion), tolerant of fields it does not know yet."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    SERVICE: ClassVar[str] = ""
    TYPE: ClassVar[str] = ""
    KEY: ClassVar[str] = "buyer_id"
    SUBJECT: ClassVar[str] = ""
    NOT_CONTENT: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **placement: Any) -> None:
        super().__init_subclass__()  # pydantic hands the class's words to the method below, once the fields are known

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        service: str = "",
        subject: str = "",
        key: str = "buyer_id",
        version: int = 1,
        not_content: tuple[str, ...] = (),
        **kwargs: Any,
    ) -> None:
        """Enter the class into the catalogue.

        ``service`` names the owner of the topic, ``subject`` the field that becomes ``ce_subject``, ``key`` the field
        that is the Kafka key, ``not_content`` the dotted fields that two equal requests may differ in (H-3).
        A class without a service is an abstract step and stays unlisted.
        """
        super().__pydantic_init_subclass__(**kwargs)
        if not service:
            return
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        cls.SERVICE, cls.KEY, cls.SUBJECT = service, key, subject or key
        cls.NOT_CONTENT = frozenset(not_content)
        cls.TYPE = f"houfu.{service}.{name}.v{version}"
        for field in (cls.KEY, cls.SUBJECT):
            if field not in cls.model_fields:
                raise TypeError(f"{cls.__name__} names the field {field!r} but does not have it")
        if cls.TYPE in _CATALOGUE:
            raise TypeError(f"{cls.TYPE} is declared twice")
        _CATALOGUE[cls.TYPE] = cls

    @property
    def key(self) -> str:
        """The Kafka key: the owner whose state this message concerns."""
        owner: str = getattr(self, self.KEY)
        return owner


class Command(Message):
    """A request an integrator writes to ``<service>.commands``; it has exactly one outcome (H-2)."""

    @classmethod
    def topic(cls) -> str:
        return f"{cls.SERVICE}.commands"


class Event(Message):
    """A fact a service writes to ``<service>.events``; it is never rejected (H-6)."""

    @classmethod
    def topic(cls) -> str:
        return f"{cls.SERVICE}.events"


_CATALOGUE: dict[str, type[Message]] = {}


def message_type(wire_type: str) -> type[Message] | None:
    """The class of a wire type, or None where this build does not know it."""
    return _CATALOGUE.get(wire_type)


def catalogue() -> Iterator[type[Message]]:
    """Every declared message, in the order of the wire types."""
    return (_CATALOGUE[name] for name in sorted(_CATALOGUE))


def known_services() -> tuple[str, ...]:
    """The names of the services of this system."""
    return get_args(ServiceName)
