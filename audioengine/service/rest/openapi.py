# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 document, made of the commands' own JSON Schemas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from audioengine.commands.schema import json_schema
from audioengine.service.rest.replies import RETRY_AFTER_S
from audioengine.settings import RestSettings
from audioengine.version import VERSION

COMMAND_PATHS: Mapping[str, str] = {
    name.lower(): name
    for name in (
        "STORERECORDING",
        "DELETERECORDING",
        "STOPRECORDING",
        "CANCELRECORDING",
        "MERGERECORDINGS",
    )
}
"""The last segment of a path, and the method that it stands for."""

_SUMMARIES = {
    "STORERECORDING": "Put a recording into permanent storage, trimmed and masked as asked.",
    "DELETERECORDING": "Delete a recording from temporary storage.",
    "STOPRECORDING": "End a recording that goes on, and keep it.",
    "CANCELRECORDING": "End a recording that goes on, and drop it.",
    "MERGERECORDINGS": "Merge recordings of one conversation into one.",
}
COMMAND_REFUSALS = {
    "400": "The body is wrong: `problems` has every wrong field.",
    "401": "There is no access token, or it proves nothing.",
    "403": "The access token, replyId or bucket is not the domain's, or not the recording's.",
    "408": "The body came in too slowly.",
    "413": "The body is too large.",
    "415": "The body is not called JSON.",
    "429": "The domain sends too many commands.",
    "503": "The command could not be queued, and may be later.",
}
"""What is answered by each code that is no success."""
_RETRIED = {"429", "503"}
_JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What else a document is to describe."""

    paths: Mapping[str, Any] = field(default_factory=dict)
    schemas: Mapping[str, Any] = field(default_factory=dict)
    security: Mapping[str, Any] = field(default_factory=dict)
    """Security schemes."""


def document(settings: RestSettings, more: Part | None = None) -> dict[str, Any]:
    """Return the document that describes every path of a command, those of operation, and more."""
    more = more or Part()
    schemas: dict[str, Any] = {
        "Success": object_of({"success": {"const": True}}),
        "Refusal": _refusal_schema(),
        "Empty": {"type": "object", "maxProperties": 0},
        "Ready": object_of({"ready": {"type": "boolean"}, "checks": {"type": "object"}}),
    }
    paths: dict[str, Any] = {}
    for segment, name in COMMAND_PATHS.items():
        schemas |= _schemas_of(name)
        paths[f"{settings.prefix}/{{domain}}/{segment}"] = _command_path(segment, name, settings)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "audioengine",
            "version": VERSION,
            "description": "Commands for call recordings. Relative times are in milliseconds.",
        },
        "paths": paths | _operation_paths() | dict(more.paths),
        "components": {
            "schemas": schemas | dict(more.schemas),
            "securitySchemes": {
                "accessToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "HS256, with the claims exp, aud and domain.",
                },
                **more.security,
            },
        },
    }


def _command_path(segment: str, name: str, settings: RestSettings) -> dict[str, Any]:
    refusals = {code: refused(code, text) for code, text in COMMAND_REFUSALS.items()}
    return {
        "parameters": [
            {
                "name": "domain",
                "in": "path",
                "required": True,
                "description": "The tenant, as the access token names it.",
                "schema": {"type": "string", "minLength": 1},
            }
        ],
        "post": {
            "operationId": segment,
            "summary": _SUMMARIES[name],
            "description": f"A body has at most {settings.max_body_bytes} bytes.",
            "security": [{"accessToken": []}],
            "requestBody": {"required": True, "content": {_JSON: {"schema": ref(name)}}},
            "responses": {
                "200": answer("The command is durably queued.", "Success"),
                **refusals,
            },
        },
        "options": {
            "operationId": f"{segment}Options",
            "summary": "What browsers ask before they send a command.",
            "responses": {
                "200": answer("Yes.", "Empty"),
                "400": answer("The page's origin, method or headers are not allowed.", "Refusal"),
            },
        },
    }


def _operation_paths() -> dict[str, Any]:
    ready = answer("Commands can be taken.", "Ready")
    metrics = {"description": "Metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    document = {"description": "This document.", "content": {_JSON: {"schema": {"type": "object"}}}}
    gets: dict[str, tuple[str, dict[str, Any]]] = {
        "/healthz": ("Whether the process lives.", {"200": answer("It does.", "Empty")}),
        "/readyz": (
            "Whether commands can be taken.",
            {"200": ready, "503": answer("They can't.", "Ready")},
        ),
        "/metrics": ("Metrics for Prometheus.", {"200": metrics}),
        "/openapi.json": ("This document.", {"200": document}),
    }
    return {
        path: {"get": {"summary": summary, "responses": responses}}
        for path, (summary, responses) in gets.items()
    }


def _schemas_of(name: str) -> dict[str, Any]:
    """A command's schema, and those that it refers to, under the document's own places."""
    schema = _in_ms(moved(json_schema(name)))
    del schema["$schema"]
    # The path says it too.
    schema["properties"]["method"] = {"enum": [name, None]}
    schema["properties"]["dialect"] = {"const": "rest"}
    # And the replyId names the recording.
    implied = ("method", "recordingId")
    schema["required"] = [key for key in schema["required"] if key not in implied]
    return {**schema.pop("$defs", {}), name: schema}


_BOUND = {
    "description": "Whole milliseconds from the recording's start (12.5 s are 12500), or with "
    "absoluteTimes epoch milliseconds. Absent or null: open there.",
    "examples": [12500, 1728890689783],
}


def _in_ms(schema: Any) -> Any:
    """Return a schema whose bounds of edits have the unit of REST."""
    if isinstance(schema, dict):
        converted = {key: _in_ms(value) for key, value in schema.items()}
        bounds = converted.get("properties", {})
        if bounds.keys() == {"from", "to"}:
            converted["properties"] = {key: {**bound, **_BOUND} for key, bound in bounds.items()}
        return converted
    return [_in_ms(one) for one in schema] if isinstance(schema, list) else schema


def moved(schema: Any) -> Any:
    """Return a schema whose references lead to the document's own place of schemas."""
    if isinstance(schema, dict):
        return {
            key: value.replace("#/$defs/", "#/components/schemas/")
            if key == "$ref"
            else moved(value)
            for key, value in schema.items()
        }
    return [moved(one) for one in schema] if isinstance(schema, list) else schema


def object_of(properties: Mapping[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    """Return the schema of an object that has these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


def _refusal_schema() -> dict[str, Any]:
    text = {"type": "string"}
    problem = object_of({"path": text, "value": {}, "rule": text})
    properties = {
        "success": {"const": False},
        "error": text,
        "problems": {"type": "array", "minItems": 1, "items": problem},
    }
    return object_of(properties, ["success", "error"])


def ref(name: str) -> dict[str, str]:
    """Return the reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def answer(description: str, schema: str) -> dict[str, Any]:
    """Return an answer in JSON, with the name of its schema."""
    return {"description": description, "content": {_JSON: {"schema": ref(schema)}}}


def refused(code: str, description: str) -> dict[str, Any]:
    """Return an answer that is none of success, with the headers that its code has."""
    made = answer(description, "Refusal")
    if code in _RETRIED:
        description = f"Seconds; {RETRY_AFTER_S} where nothing else says when."
        integer = {"type": "integer", "minimum": 1}
        made["headers"] = {
            "Retry-After": {"description": description, "required": True, "schema": integer}
        }
    if code == "401":
        text = {"type": "string"}
        made["headers"] = {"WWW-Authenticate": {"required": True, "schema": text}}
    return made
