# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 document, made of the commands' own JSON Schemas."""

from __future__ import annotations

from collections.abc import Mapping
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
_REFUSALS = {
    "400": "The body is wrong: `problems` has every wrong field.",
    "401": "There is no access token, or it proves nothing.",
    "403": "The access token, replyId or bucket is not the domain's, or not the recording's.",
    "408": "The body came in too slowly.",
    "413": "The body is too large.",
    "415": "The body is not called JSON.",
    "429": "The domain sends too many commands.",
    "503": "The command could not be queued, and may be later.",
}
_RETRIED = {"429", "503"}
_JSON = "application/json"


def document(settings: RestSettings) -> dict[str, Any]:
    """Return the document that describes every path of a command, and those of operation."""
    schemas: dict[str, Any] = {
        "Success": _object({"success": {"const": True}}),
        "Refusal": _refusal_schema(),
        "Empty": {"type": "object", "maxProperties": 0},
        "Ready": _object({"ready": {"type": "boolean"}, "checks": {"type": "object"}}),
    }
    paths: dict[str, Any] = {}
    for segment, name in COMMAND_PATHS.items():
        schemas |= _schemas_of(name)
        paths[f"/{{domain}}/{segment}"] = _command_path(segment, name, settings)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "audioengine",
            "version": VERSION,
            "description": "Commands for call recordings. Relative times are in milliseconds.",
        },
        "paths": paths | _operation_paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "accessToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "HS256, with the claims exp, aud and domain.",
                }
            },
        },
    }


def _command_path(segment: str, name: str, settings: RestSettings) -> dict[str, Any]:
    refusals = {code: _refusal(code, text) for code, text in _REFUSALS.items()}
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
            "requestBody": {"required": True, "content": {_JSON: {"schema": _ref(name)}}},
            "responses": {
                "200": _answer("The command is durably queued.", "Success"),
                **refusals,
            },
        },
        "options": {
            "operationId": f"{segment}Options",
            "summary": "What browsers ask before they send a command.",
            "responses": {
                "200": _answer("Yes.", "Empty"),
                "400": _answer("The page's origin, method or headers are not allowed.", "Refusal"),
            },
        },
    }


def _operation_paths() -> dict[str, Any]:
    ready = _answer("Commands can be taken.", "Ready")
    metrics = {"description": "Metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    document = {"description": "This document.", "content": {_JSON: {"schema": {"type": "object"}}}}
    gets: dict[str, tuple[str, dict[str, Any]]] = {
        "/healthz": ("Whether the process lives.", {"200": _answer("It does.", "Empty")}),
        "/readyz": (
            "Whether commands can be taken.",
            {"200": ready, "503": _answer("They can't.", "Ready")},
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
    schema = _moved(json_schema(name))
    del schema["$schema"]
    # The path says it too.
    schema["properties"]["method"] = {"enum": [name, None]}
    schema["required"] = [key for key in schema["required"] if key != "method"]
    return {**schema.pop("$defs", {}), name: schema}


def _moved(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: value.replace("#/$defs/", "#/components/schemas/")
            if key == "$ref"
            else _moved(value)
            for key, value in schema.items()
        }
    return [_moved(one) for one in schema] if isinstance(schema, list) else schema


def _object(properties: Mapping[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


def _refusal_schema() -> dict[str, Any]:
    text = {"type": "string"}
    problem = _object({"path": text, "value": {}, "rule": text})
    properties = {
        "success": {"const": False},
        "error": text,
        "problems": {"type": "array", "minItems": 1, "items": problem},
    }
    return _object(properties, ["success", "error"])


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": _ref(schema)}}}


def _refusal(code: str, description: str) -> dict[str, Any]:
    answer = _answer(description, "Refusal")
    if code in _RETRIED:
        told = f"Seconds; {RETRY_AFTER_S} where nothing tells."
        integer = {"type": "integer", "minimum": 1}
        answer["headers"] = {
            "Retry-After": {"description": told, "required": True, "schema": integer}
        }
    if code == "401":
        text = {"type": "string"}
        answer["headers"] = {"WWW-Authenticate": {"required": True, "schema": text}}
    return answer
