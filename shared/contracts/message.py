"""Commands and events: one frozen pydantic class per message and version.

A class states its place in the system where it is declared::

    class PlanOpened(Event, service="billing", subject="order_id"):
        '''The debt of an order exists.'''

and from then on is known under its wire type, here ``houfu.billing.plan_opened.v1``. A later version stands beside it,
with the way from the one to the other::

    class PlanOpenedV2(Event, service="billing", subject="order_id", name="plan_opened", version=2): ...

    @upcast(PlanOpened)
    def plan_opened_with_channel(old: PlanOpened) -> PlanOpenedV2: ...

:func:`read_message` gives every reader the newest version, whichever one was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.envelope import HEADER_MAX
from shared.contracts.fields import Code, example

__all__ = [
    "HEADER_MAX",
    "Command",
    "Event",
    "Message",
    "Rejection",
    "UnknownType",
    "catalogue",
    "message_type",
    "newest_type",
    "read_message",
    "rejection_of",
    "upcast",
]

MESSAGE_MAX = 500
"""Longest explanation of a rejection, in characters."""


class Message(BaseModel):
    """A payload with a wire type. Frozen, strict (no coercion), tolerant of fields it does not know yet."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="ignore", validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    SERVICE: ClassVar[str] = ""
    TYPE: ClassVar[str] = ""
    KEY: ClassVar[str] = "buyer_id"
    SUBJECT: ClassVar[str] = ""
    SENDER: ClassVar[str] = ""
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
        name: str = "",
        version: int = 1,
        sender: str = "",
        not_content: tuple[str, ...] = (),
        **kwargs: Any,
    ) -> None:
        """Enter the class into the catalogue.

        ``service`` names the owner of the topic, ``subject`` the field that becomes ``ce_subject``, ``key`` the field
        that is the Kafka key, ``sender`` who writes a command, ``not_content`` the dotted fields that two equal
        requests may differ in (H-3); ``name`` is the class's own in snake case unless a later version shares it.
        A class without a service is an abstract step and stays unlisted.
        """
        super().__pydantic_init_subclass__(**kwargs)
        if not service:
            return
        name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        cls.SERVICE, cls.KEY, cls.SUBJECT, cls.SENDER = service, key, subject or key, sender
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

    def to_json(self) -> str:
        """The body on the wire: fields under their wire names, absent where there is nothing to say."""
        return self.__pydantic_serializer__.to_json(self, by_alias=True, exclude_none=True).decode()

    @classmethod
    def from_json(cls, body: bytes | str) -> Self:
        """Read a body of exactly this version; pydantic's ValidationError names what is wrong with it."""
        return cls.model_validate_json(body)


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


Attribute = Annotated[str, Field(min_length=1, max_length=HEADER_MAX)]


class Rejection(Event):
    """The uniform answer to a command that is refused: nothing has changed (H-2). Each service declares its own."""

    command_id: Attribute = Field(description="ce_id of the refused command")
    command_type: Attribute = Field(description="ce_type of the refused command")
    code: Code = Field(description="Why, as a stable code")
    message: Annotated[str, Field(max_length=MESSAGE_MAX, description="Why, for people")]
    details: dict[str, Any] = Field(description="What the code calls for, e.g. what stands or what is allowed")
    buyer_id: Attribute | None = Field(default=None, description="Key of the command, if it is keyed by a buyer")
    merchant_id: Attribute | None = Field(default=None, description="Key of the command, if it is keyed by a merchant")

    @property
    def key(self) -> str:
        """The key of the refused command, whoever owns it."""
        return self.buyer_id or self.merchant_id or ""

    @classmethod
    def of(
        cls,
        *,
        command_id: str,
        command_type: str,
        owner: Mapping[str, str],
        code: str,
        message: str,
        details: Mapping[str, Any],
    ) -> Self:
        """Refuse a command; ``owner`` is the name and the value of its key field, as ``{"buyer_id": "b-1"}``."""
        return cls(
            command_id=command_id,
            command_type=command_type,
            code=code,
            message=message[:MESSAGE_MAX],
            details=dict(details),
            buyer_id=owner.get("buyer_id"),
            merchant_id=owner.get("merchant_id"),
        )


def rejection_of(service: str) -> type[Rejection]:
    """The rejection a service's contract declares as its ``CommandRejected``, or one made for it."""
    declared = _CATALOGUE.get(f"houfu.{service}.command_rejected.v1")
    if declared is not None and issubclass(declared, Rejection):
        return declared

    class CommandRejected(Rejection, service=service, subject="command_id"):
        __doc__ = f"{service} refused a command; nothing changed (H-2)."

        model_config = example(
            command_id="0b6cb2f6-9f0c-4b7e-8f0a-0d3c3f6a1c55",
            command_type=f"houfu.{service}.some_command.v1",
            code="ILLEGAL_TRANSITION",
            message="Illegal transition",
            details={"from": "CLOSED", "allowed": []},
            buyer_id="b-7",
        )

    return CommandRejected


# ------------------------------------------------------------------ the catalogue

_CATALOGUE: dict[str, type[Message]] = {}
_UPCASTS: dict[type[Message], tuple[type[Message], Callable[[Any], Message]]] = {}

Older = TypeVar("Older", bound=Message)
Newer = TypeVar("Newer", bound=Message)


class UnknownType(LookupError):
    """This build knows no message of that wire type."""


def message_type(wire_type: str) -> type[Message] | None:
    """The class of a wire type, or None where this build does not know it."""
    return _CATALOGUE.get(wire_type)


def newest_type(wire_type: str) -> type[Message] | None:
    """The class a reader of this wire type gets: its newest version, which is what handlers react to."""
    kind = _CATALOGUE.get(wire_type)
    while kind in _UPCASTS:
        kind = _UPCASTS[kind][0]
    return kind


def upcast(older: type[Older]) -> Callable[[Callable[[Older], Newer]], Callable[[Older], Newer]]:
    """Register the way from ``older`` to the version the decorated function is annotated to return."""

    def register(raise_version: Callable[[Older], Newer]) -> Callable[[Older], Newer]:
        newer = get_type_hints(raise_version).get("return")
        if not (isinstance(newer, type) and issubclass(newer, Message) and newer.TYPE):
            raise TypeError(f"the upcast of {older.TYPE} must be annotated with the version it returns")
        if older in _UPCASTS:
            raise TypeError(f"{older.TYPE} is already raised to {_UPCASTS[older][0].TYPE}")
        if newer.topic() != older.topic() or _version(newer) <= _version(older):  # type: ignore[attr-defined]
            raise TypeError(f"{newer.TYPE} is no later version of {older.TYPE}")
        _UPCASTS[older] = newer, raise_version
        return raise_version

    return register


def read_message(wire_type: str, body: bytes | str) -> Message:
    """Validate a body as the version it was written in and raise it to the newest one.

    :class:`UnknownType` for a type this build does not know, pydantic's ValidationError for a bad body.
    """
    kind = _CATALOGUE.get(wire_type)
    if kind is None:
        raise UnknownType(wire_type)
    message = kind.from_json(body)
    while (step := _UPCASTS.get(type(message))) is not None:
        message = step[1](message)
    return message


def catalogue() -> Iterator[type[Message]]:
    """Every declared message, in the order of the wire types."""
    return (_CATALOGUE[name] for name in sorted(_CATALOGUE))


def _version(kind: type[Message]) -> int:
    return int(kind.TYPE.rpartition(".v")[2])
