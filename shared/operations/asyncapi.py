"""The AsyncAPI 3 document of the whole system: its topics, its messages, and who sends and receives what.

AsyncAPI describes one application; this is a system of several. Each operation therefore carries its application's
name as a tag, and ``x-applications`` lists the applications with their operations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.contracts.clock import CLOCK_TOPIC
from shared.contracts.message import Message
from shared.operations.applications import Application
from shared.operations.schemas import examples_of, kind_of, meaning_of, topic_of

__all__ = ["asyncapi_document", "to_yaml"]

Document = dict[str, Any]

_PLAIN = re.compile(r"(?!(?:true|false|yes|no|on|off|null|y|n)\Z)[A-Za-z_$][\w$.-]*\Z", re.IGNORECASE)
"""Keys that YAML reads as the words they are, without quotes."""

_ABOUT = """\
Pay-later commerce as messages: integrators write commands, services publish events.
Every message is a CloudEvents 1.0 event in Kafka's binary mode: its attributes are record headers, its body is JSON.
"""
_HEADERS: Document = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": {"type": "string", "format": "uuid", "description": "Of a command: its idempotency key"},
    "ce_type": {"type": "string", "description": "houfu.<service>.<name>.v<version>"},
    "ce_source": {"type": "string", "format": "uri-reference", "description": "/houfu/<service>, or the sender's URI"},
    "ce_time": {"type": "string", "format": "date-time", "description": "Business time of the message"},
    "ce_subject": {"type": "string", "description": "Main id of the payload"},
    "ce_partitionkey": {"type": "string", "description": "Equals the record's key"},
    "ce_tenant": {"type": "string", "default": "default"},
    "ce_correlationid": {
        "type": "string",
        "description": "Copied from the cause; of a command its own ce_id if absent",
    },
    "ce_causationid": {"type": "string", "description": "ce_id of the message whose handling produced this one"},
    "ce_deadline": {"type": "string", "description": "Kind of the deadline that produced it, if time did"},
    "ce_traceparent": {"type": "string", "description": "W3C trace context, the same as traceparent"},
    "traceparent": {"type": "string", "description": "W3C trace context"},
    "content-type": {"const": "application/json"},
}
_ALWAYS = ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time"]


def asyncapi_document(messages: Sequence[type[Message]], applications: Iterable[Application], version: str) -> Document:
    """The document as plain data; payloads refer to the schema files next to it."""
    applications = list(applications)
    operations = _operations(messages, applications)
    services = [app.name for app in applications if app.kind == "service"]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Houfu",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            _name(topic): _channel(topic, messages, services) for topic in sorted({topic_of(kind) for kind in messages})
        },
        "operations": {name: operation for _, name, operation in operations},
        "components": {
            "messages": {kind.TYPE: _message(kind) for kind in messages},
            "schemas": {"Envelope": {"type": "object", "required": _ALWAYS, "properties": _HEADERS}},
            "correlationIds": {
                "correlation": {
                    "description": "The same for everything that followed from one command",
                    "location": "$message.header#/ce_correlationid",
                }
            },
        },
        "x-applications": {
            app.name: {
                "kind": app.kind,
                "description": app.meaning,
                "operations": [name for owner, name, _ in operations if owner == app.name],
            }
            for app in applications
        },
    }


def _channel(topic: str, messages: Iterable[type[Message]], services: Sequence[str]) -> Document:
    carried = {kind.TYPE: _to(f"#/components/messages/{kind.TYPE}") for kind in messages if topic_of(kind) == topic}
    channel: Document = {"address": topic, "description": _purpose(topic), "messages": carried}
    if "{service}" in topic:
        channel["parameters"] = {"service": {"enum": list(services), "description": "The service"}}
    else:
        channel["bindings"] = {"kafka": {"topic": topic, "bindingVersion": "0.5.0"}}
    return channel


def _purpose(topic: str) -> str:
    service, _, kind = topic.rpartition(".")
    if topic == CLOCK_TOPIC:
        return "The movable business time of a sandbox; empty in production."
    match kind:
        case "commands":
            return f"Integrators write, {service} reads and answers each command with exactly one outcome."
        case "events":
            return f"{service} writes, anyone reads."
        case _:
            return "Where a service gives notice of what it could not handle."


def _message(kind: type[Message]) -> Document:
    meaning = meaning_of(kind)
    return {
        "name": kind.TYPE,
        "title": kind.__name__,
        "summary": meaning.partition("\n")[0],
        **({"description": meaning} if "\n" in meaning else {}),
        "tags": [{"name": kind_of(kind)}],
        "contentType": "application/json",
        "correlationId": _to("#/components/correlationIds/correlation"),
        "headers": {
            "allOf": [_to("#/components/schemas/Envelope"), {"properties": {"ce_type": {"const": kind.TYPE}}}],
        },
        "payload": _to(f"./schemas/{kind.TYPE}.json"),
        "bindings": {
            "kafka": {"key": {"type": "string", "description": f"{kind.KEY} of the payload"}, "bindingVersion": "0.5.0"}
        },
        "examples": [{"name": kind.__name__, "payload": example} for example in examples_of(kind)],
    }


def _operations(
    messages: Sequence[type[Message]], applications: Sequence[Application]
) -> list[tuple[str, str, Document]]:
    """(application, operation's name, operation): one for each application, direction and topic."""
    found = []
    for app in applications:
        for action, wanted in (("receive", app.receives), ("send", app.sends)):
            by_topic: dict[str, list[str]] = {}
            for kind in messages:
                if kind in wanted:
                    by_topic.setdefault(topic_of(kind), []).append(kind.TYPE)
            found += [
                (app.name, f"{app.name}.{action}.{_name(topic)}", _operation(app, action, topic, types))
                for topic, types in sorted(by_topic.items())
            ]
    return found


def _operation(app: Application, action: str, topic: str, types: Iterable[str]) -> Document:
    return {
        "action": action,
        "summary": f"{app.name} {'reads' if action == 'receive' else 'writes'} {topic}",
        "tags": [{"name": app.name}],
        "channel": _to(f"#/channels/{_name(topic)}"),
        "messages": [_to(f"#/channels/{_name(topic)}/messages/{wire_type}") for wire_type in types],
    }


def _name(topic: str) -> str:
    return topic.replace("{service}", "service")


def _to(reference: str) -> Document:
    return {"$ref": reference}


def to_yaml(document: Mapping[str, Any]) -> str:
    """Plain data as YAML: block style, strings quoted as JSON, in the order given."""
    return "\n".join(_block(document, "")) + "\n"


def _block(value: Any, indent: str) -> list[str]:
    lines = []
    if isinstance(value, Mapping):
        for name, member in value.items():
            word = name if _PLAIN.match(name) else json.dumps(name, ensure_ascii=False)
            lines += _member(f"{indent}{word}:", member, indent)
    else:
        for member in value:
            lines += _member(f"{indent}-", member, indent)
    return lines


def _member(start: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, Mapping | list) and value:
        return [start, *_block(value, f"{indent}  ")]
    return [f"{start} {json.dumps(value, ensure_ascii=False)}"]
