"""Reads once, at registration, what a handler needs: its signature is its whole declaration.

::

    def open_plan(accepted: OrderAccepted, now: datetime, plan: Plan | None, bills: Rows[Bill]): ...

needs the message, its business time, the plan named by ``accepted.order_id`` if there is one, and all live bills of
``accepted.buyer_id``. Whatever cannot be satisfied is refused here, with the name of the parameter.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from shared.contracts.message import Command, Message
from shared.engine.vocabulary import Cause, Due, Named, Row, Rows

__all__ = ["AllLive", "ById", "Need", "Resource", "Signature", "SignatureInvalid", "Special", "read_signature"]


class SignatureInvalid(TypeError):
    """A handler asks for something the engine cannot give; the text names the handler and the parameter."""


@dataclass(frozen=True, slots=True)
class ById:
    """One row, or with ``many`` the rows, named by the message. Without a lock where the owner is not the key."""

    row: type[Row]
    owner_of: Callable[[Any], str]
    ids_of: Callable[[Any], Iterable[str]]
    required: bool
    many: bool
    locked: bool
    if_named: bool = False
    """Required only where the message names it."""

    def misses(self, message: Any) -> bool:
        """Whether a message cannot be handled without a row that is not there."""
        return self.required and (not self.if_named or any(True for _ in self.ids_of(message)))


@dataclass(frozen=True, slots=True)
class AllLive:
    """All live rows of the message's owner."""

    row: type[Row]
    owner_of: Callable[[Any], str]
    locked: bool


@dataclass(frozen=True, slots=True)
class Resource:
    """A constant of the service, such as its calendar, provided by the composition root."""

    type: type


@dataclass(frozen=True, slots=True)
class Special:
    """The message's business time (``now``) or its :class:`Cause` (``cause``)."""

    name: str


Need = ById | AllLive | Resource | Special


@dataclass(frozen=True, slots=True)
class Signature:
    """The message class a handler reacts to and, in order, what its other parameters need."""

    message: type[Message] | type[Due]
    needs: tuple[Need, ...]
    rows: tuple[ById | AllLive, ...]
    """Those of the needs that are rows to load."""


def read_signature(handler: Callable[..., Any], message: type[Message] | type[Due]) -> Signature:
    """Understand ``handler`` as the reaction to ``message``; raises :class:`SignatureInvalid`."""
    name = f"{handler.__module__}.{handler.__qualname__}"
    if not inspect.isgeneratorfunction(handler):
        raise SignatureInvalid(f"{name} is not a generator function: a handler yields what must be true afterwards")
    hints = get_type_hints(handler, include_extras=True)
    parameters = list(inspect.signature(handler).parameters.values())
    if not parameters or not _accepts(hints.get(parameters[0].name), message):
        raise SignatureInvalid(f"{name}: the first parameter must be annotated with {message.__name__}")
    needs: list[Need] = []
    for parameter in parameters[1:]:
        if parameter.name not in hints:
            raise SignatureInvalid(f"{name}: parameter {parameter.name!r} has no annotation")
        try:
            needs.append(_need(parameter.name, hints[parameter.name], message))
        except SignatureInvalid as reason:
            raise SignatureInvalid(f"{name}: parameter {parameter.name!r}: {reason}") from None
    rows = tuple(need for need in needs if isinstance(need, ById | AllLive))
    return Signature(message, tuple(needs), rows)


def _accepts(annotation: Any, message: type) -> bool:
    if get_origin(annotation) in (Union, types.UnionType):
        return any(_accepts(member, message) for member in get_args(annotation))
    return isinstance(annotation, type) and issubclass(message, annotation)


def _need(parameter: str, annotation: Any, message: type[Message] | type[Due]) -> Need:
    named = Named()
    if get_origin(annotation) is Annotated:
        annotation, *extras = get_args(annotation)
        named = next((extra for extra in extras if isinstance(extra, Named)), named)
    if annotation is datetime:
        if parameter != "now":
            raise SignatureInvalid("an instant can only be 'now', the message's business time")
        return Special("now")
    if annotation is Cause:
        return Special("cause")
    if get_origin(annotation) is Rows:
        row = get_args(annotation)[0]
        return _many(_row_type(row), named, message)
    members = [member for member in get_args(annotation) if member is not type(None)]
    if get_origin(annotation) in (Union, types.UnionType):
        if len(members) != 1:
            raise SignatureInvalid(f"{annotation} is not a row or None")
        found = _one(_row_type(members[0]), named, message, required=named.awaited)
        return replace(found, if_named=True)
    if isinstance(annotation, type):
        is_row = issubclass(annotation, Row)
        return _one(_row_type(annotation), named, message, required=True) if is_row else Resource(annotation)
    raise SignatureInvalid(f"{annotation} is neither a row, Rows[...], now, Cause nor a resource")


def _row_type(annotation: Any) -> type[Row]:
    if not (isinstance(annotation, type) and issubclass(annotation, Row)):
        raise SignatureInvalid(f"{annotation} is not a row")
    if not annotation.TABLE:
        raise SignatureInvalid(f"{annotation.__name__} is not bound to a table")
    return annotation


def _one(row: type[Row], named: Named, message: type[Message] | type[Due], *, required: bool) -> ById:
    if required and not row.UNKNOWN:
        raise SignatureInvalid(f"{row.__name__} has no code for 'unknown', so it can only be asked for as optional")
    owner_of, locked = _owner(row, named, message)
    if required and not locked and not issubclass(message, Command):
        raise SignatureInvalid(f"nothing would wake an event that waits for another owner's {row.__name__}")
    ids = named.ids
    if ids is not None:
        compute = ids
        return ById(row, owner_of, lambda it: (str(compute(it)),), required, False, locked)
    if row.ID == row.OWNER:
        return ById(row, owner_of, lambda it: (owner_of(it),), required, False, locked)
    return ById(row, owner_of, _field_ids(row, message), required, False, locked)


def _many(row: type[Row], named: Named, message: type[Message] | type[Due]) -> ById | AllLive:
    owner_of, locked = _owner(row, named, message)
    if named.ids is not None:
        compute = named.ids
        return ById(row, owner_of, lambda it: tuple(compute(it)), False, True, locked)
    if row.LIVE is None:
        raise SignatureInvalid(f"{row.__name__} does not say when it is live")
    return AllLive(row, owner_of, locked)


def _owner(row: type[Row], named: Named, message: type[Message] | type[Due]) -> tuple[Callable[[Any], str], bool]:
    if named.owner is not None:
        fixed = named.owner
        return lambda _: fixed, False
    field = row.OWNER
    if field not in _fields(message):
        raise SignatureInvalid(f"{message.__name__} has no field {field!r}, the owner of {row.__name__}")
    return lambda it: str(getattr(it, field)), field == message.KEY


def _field_ids(row: type[Row], message: type[Message] | type[Due]) -> Callable[[Any], Iterable[str]]:
    field = row.ID
    if field not in _fields(message):
        raise SignatureInvalid(f"{message.__name__} has no field {field!r}, the id of {row.__name__}")

    def named_by_field(it: Any) -> tuple[str, ...]:
        value = getattr(it, field)
        return () if value is None else (value,)

    return named_by_field


def _fields(message: type[Message] | type[Due]) -> set[str]:
    if issubclass(message, Message):
        return set(message.model_fields)
    return {field.name for field in fields(message)} if is_dataclass(message) else set()
