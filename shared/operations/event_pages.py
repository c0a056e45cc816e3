"""``docs/events.md``: every message for people, with who sends it, who reacts, its fields and an example."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from shared.contracts.message import Message
from shared.operations.applications import Application
from shared.operations.schemas import JsonSchema, kind_of, meaning_of, schema_of, topic_of

__all__ = ["events_page"]

_INTRODUCTION = """\
# Messages

Generated from `shared/contracts` and the handlers by `houfu contracts export`; do not edit.

Bodies are JSON objects. Amounts are integers in minor units of the payload's `currency`; instants are RFC 3339 in UTC;
dates are business dates of the tenant. A field marked *optional* may be absent; unknown fields are ignored. The headers
around a body are CloudEvents 1.0 attributes (`ce_*`). The machine-readable forms are [asyncapi.yaml](asyncapi.yaml) and
the [JSON Schemas](schemas/)."""


def events_page(messages: Sequence[type[Message]], applications: Iterable[Application]) -> str:
    """The page, in Markdown."""
    applications = list(applications)
    schemas = {kind: schema_of(kind) for kind in messages}
    structures = _structures(schemas.values())
    owners = sorted({kind.SERVICE for kind in messages}, key=[kind.SERVICE for kind in messages].index)
    parts = [_INTRODUCTION]
    for owner in owners:
        mine = [kind for kind in messages if owner == kind.SERVICE]
        parts += [f"## {owner}", _index(mine)]
        parts += [part for kind in mine for part in _section(kind, schemas[kind], applications)]
    parts += ["## Structures"]
    for name, structure in sorted(structures.items()):
        parts += [f"### {name}", structure.get("description", ""), _fields(structure)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _index(messages: Iterable[type[Message]]) -> str:
    rows = (
        f"| [{kind.__name__}](#{_anchor(kind)}) | {kind_of(kind)} | {meaning_of(kind).partition(chr(10))[0]} |"
        for kind in messages
    )
    return "\n".join(["| Message | Kind | Meaning |", "|---|---|---|", *rows])


def _section(kind: type[Message], schema: JsonSchema, applications: Sequence[Application]) -> Iterator[str]:
    yield f'<a id="{_anchor(kind)}"></a>\n\n### {kind.__name__}'
    yield meaning_of(kind)
    senders = [kind.SENDER] * bool(kind.SENDER) + [f"`{app.name}`" for app in applications if kind in app.sends]
    handlers = [f"`{app.name}`: `{app.reactions[kind]}`" for app in applications if kind in app.reactions]
    facts = [
        ("Type", f"`{kind.TYPE}`"),
        ("Topic, key, subject", f"`{topic_of(kind)}`, `{kind.KEY}`, `{kind.SUBJECT}`"),
        ("Sent by", "; ".join(senders) or "integrators"),
        ("Handled by", "<br>".join(handlers) or "nobody inside; for whoever subscribes"),
        ("Schema", f"[{kind.TYPE}.json](schemas/{kind.TYPE}.json)"),
    ]
    yield "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts)])
    yield _fields(schema)
    for example in schema.get("examples", []):
        yield f"```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```"


def _anchor(kind: type[Message]) -> str:
    return kind.TYPE.replace(".", "-")


def _fields(schema: JsonSchema) -> str:
    required = schema.get("required", [])
    rows = [
        f"| `{name}` | {_type(field)} | {'' if name in required else 'optional'} | {_remark(field)} |"
        for name, field in sorted(schema["properties"].items(), key=lambda item: item[0] not in required)
    ]
    return "\n".join(["| Field | Type | | Meaning |", "|---|---|---|---|", *rows])


def _remark(field: JsonSchema) -> str:
    text = str(field.get("description", "")).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
    default = field.get("default")
    if default is None or isinstance(default, dict) or any(isinstance(one, dict) for one in _members(default)):
        return text
    return f"{text} (default {json.dumps(default, ensure_ascii=False)})"


def _members(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _type(field: JsonSchema) -> str:
    match field:
        case {"$ref": reference}:
            name = reference.removeprefix("#/$defs/")
            text = f"[{name}](#{name.lower()})"
        case {"anyOf": choices}:
            text = " or ".join(_type(one) for one in choices if one.get("type") != "null")
        case {"const": only}:
            text = f"`{only}`"
        case {"enum": choices}:
            text = " · ".join(f"`{one}`" for one in choices)
        case {"type": "array", "items": items}:
            text = f"list of {_type(items)}"
        case {"type": "object"}:
            text = _map(field)
        case {"type": "string", "format": "date-time"}:
            text = "instant"
        case _:
            text = str(field.get("format") or field.get("type"))
    return text


def _map(field: JsonSchema) -> str:
    values = field.get("additionalProperties") or next(iter(field.get("patternProperties", {}).values()), None)
    if not isinstance(values, dict):
        return "object"
    keys = field.get("propertyNames", {}).get("enum")
    return f"map of {' · '.join(f'`{key}`' for key in keys) if keys else 'string'} to {_type(values)}"


def _structures(schemas: Iterable[JsonSchema]) -> dict[str, JsonSchema]:
    """Every structure inside the messages, by name; two of one name would confuse the reader."""
    found: dict[str, JsonSchema] = {}
    for schema in schemas:
        for name, structure in schema.get("$defs", {}).items():
            if found.setdefault(name, structure) != structure:
                raise ValueError(f"two different structures are called {name}")
    return found
