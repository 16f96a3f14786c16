# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas of commands, events and alarms, by the names that they have on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from audioengine.commands.alarms import ALARMS
from audioengine.commands.events import EVENTS
from audioengine.commands.requests import COMMANDS, MergeEntry
from audioengine.commands.unknown import EVENT_KEYS
from audioengine.commands.wire import adapter, keys
from audioengine.errors import InvalidRequestError

_DRAFT = "https://json-schema.org/draft/2020-12/schema"

# By name: the key that says what a value is, and the value's kind.
_KINDS: Mapping[str, tuple[str, type[Any]]] = {
    **{name: ("method", kind) for name, kind in COMMANDS.items()},
    **{name: ("event", kind) for name, kind in EVENTS.items()},
    **{name: ("type", kind) for name, kind in ALARMS.items()},
}

_DIALECT = "rest: relative times are in milliseconds. Alarms show commands of REST with it."

NAMES = tuple(_KINDS)
"""What there are schemas of. RECORDINGFAILED is an event, recordingFailed an alarm."""


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False  # it would only repeat the key


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of one of `NAMES`.

    Raises InvalidRequestError for other names.
    """
    if name not in _KINDS:
        raise InvalidRequestError.of("name", name, f"must be one of {', '.join(NAMES)}")
    tag, kind = _KINDS[name]
    schema = adapter(kind).json_schema(schema_generator=_Untitled)
    schema["properties"][tag] = {"type": "string", "const": name}
    for of, known in ((schema, kind), (schema.get("$defs", {}).get("MergeEntry"), MergeEntry)):
        if of is not None and kind in COMMANDS.values():
            # Others are refused; those of events are ignored.
            of["propertyNames"] = {"enum": sorted(keys(known) | EVENT_KEYS)}
    if kind in COMMANDS.values():
        schema["properties"]["dialect"] = {"enum": ["sqs", "rest"], "description": _DIALECT}
        schema["propertyNames"]["enum"] = sorted({*schema["propertyNames"]["enum"], "dialect"})
    required = [key for key in schema.get("required", []) if key != tag]
    return {"$schema": _DRAFT, **schema, "title": name, "required": [tag, *required]}
