"""The JSON Schemas of the published messages, and what may change in them: optional fields may be added, no more."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from inspect import cleandoc
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

import shared.contracts
from shared.contracts.message import Command, Message, catalogue

__all__ = [
    "JsonSchema",
    "compatible",
    "examples_of",
    "kind_of",
    "meaning_of",
    "published_messages",
    "schema_of",
    "topic_of",
]

JsonSchema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_REMARKS = frozenset({"$schema", "$id", "title", "description", "examples", "deprecated", "$defs"})
"""Keywords that tell people something and bind nobody."""


def published_messages() -> tuple[type[Message], ...]:
    """Every message of ``shared.contracts``, commands before events, in the order of the wire types."""
    for module in pkgutil.iter_modules(shared.contracts.__path__):
        import_module(f"{shared.contracts.__name__}.{module.name}")
    ours = (kind for kind in catalogue() if kind.__module__.startswith(f"{shared.contracts.__name__}."))
    return tuple(sorted(ours, key=lambda kind: (kind.SERVICE, not issubclass(kind, Command), kind.TYPE)))


def schema_of(kind: type[Message]) -> JsonSchema:
    """The JSON Schema (2020-12) of a message's body, with its place in the system under ``x-houfu``."""
    schema = kind.model_json_schema(by_alias=True, mode="validation", schema_generator=_Untitled)
    return {
        "$schema": DIALECT,
        "$id": f"urn:houfu:schema:{kind.TYPE}",
        "title": kind.__name__,
        "description": meaning_of(kind),
        "x-houfu": {
            "type": kind.TYPE,
            "kind": kind_of(kind),
            "topic": topic_of(kind),
            "key": kind.KEY,
            "subject": kind.SUBJECT,
        },
        **{name: schema[name] for name in schema if name not in ("title", "description")},
        "examples": examples_of(kind),
    }


class _Untitled(GenerateJsonSchema):
    """Without titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def meaning_of(kind: type) -> str:
    """What a message or structure means for the business, as its docstring says."""
    return cleandoc(kind.__doc__ or "")


def examples_of(kind: type[Message]) -> list[Any]:
    """What a body looks like, as the contract shows it."""
    extra = kind.model_config.get("json_schema_extra")
    examples = extra.get("examples") if isinstance(extra, dict) else None
    return list(examples) if isinstance(examples, list) else []


def kind_of(kind: type[Message]) -> str:
    return "command" if issubclass(kind, Command) else "event"


def topic_of(kind: type[Message]) -> str:
    topic: str = kind.topic()  # type: ignore[attr-defined]
    return topic


def compatible(old: JsonSchema, new: JsonSchema) -> list[str]:
    """Why readers or writers of ``old`` would break on ``new``, one line each; empty if they would not.

    A version is for ever: optional fields may be added, remarks may change; anything else is a new version.
    """
    return list(_differences(old, new, old, new, ""))


def _differences(old: Any, new: Any, old_root: JsonSchema, new_root: JsonSchema, path: str) -> Iterator[str]:
    """Walk both schemas side by side, through references; ``path`` is where they stand, for people."""
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    if not (isinstance(old, dict) and isinstance(new, dict)):
        if old != new:
            yield f"{path or 'schema'}: was {_shown(old)}, is {_shown(new)}"
        return
    for word in sorted((old.keys() | new.keys()) - _REMARKS):
        before, after = old.get(word), new.get(word)
        match word:
            case "properties":
                yield from _of_properties(old, new, old_root, new_root, path)
            case "required" | "enum":
                yield from _of_members(word, before or [], after or [], path)
            case "default":
                if not _still_holds(before, after):
                    yield f"{path} default: was {_shown(before)}, is {_shown(after)}"
            case "anyOf" if len(before or ()) == len(after or ()):
                for one, other in zip(before or (), after or (), strict=True):
                    yield from _differences(one, other, old_root, new_root, path)
            case _:
                yield from _differences(before, after, old_root, new_root, f"{path} {word}".lstrip())


def _of_properties(
    old: JsonSchema, new: JsonSchema, old_root: JsonSchema, new_root: JsonSchema, path: str
) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in before:
        at = f"{path}.{name}".lstrip(".")
        if name not in after:
            yield f"{at}: removed"
        else:
            yield from _differences(before[name], after[name], old_root, new_root, at)


def _of_members(word: str, before: list[Any], after: list[Any], path: str) -> Iterator[str]:
    for member in before:
        if member not in after:
            yield f"{path} {word}: {_shown(member)} is gone".lstrip()
    for member in after:
        if member not in before:
            yield f"{path} {word}: {_shown(member)} is new".lstrip()


def _still_holds(before: Any, after: Any) -> bool:
    """Whether a default says what it said; a structure's may say more."""
    if isinstance(before, dict) and isinstance(after, dict):
        return all(name in after and _still_holds(before[name], after[name]) for name in before)
    return bool(before == after)


def _resolved(schema: Any, root: JsonSchema) -> Any:
    while isinstance(schema, dict) and "$ref" in schema:
        beside = {word: schema[word] for word in schema if word != "$ref"}
        schema = {**root["$defs"][schema["$ref"].removeprefix("#/$defs/")], **beside}
    return schema


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
