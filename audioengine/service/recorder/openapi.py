# SPDX-License-Identifier: Apache-2.0
"""The endpoint of recorders, for the OpenAPI document of the service that has its routes."""

from __future__ import annotations

from typing import Any

from audioengine.commands.schema import json_schema
from audioengine.commands.wire import adapter
from audioengine.service.recorder.new_call import NewCall
from audioengine.service.recorder.reports import REPORTS
from audioengine.service.recorder.routes import MOST_BODY_BYTES, NEW_CALL_PATH, REPORTS_PATH
from audioengine.service.rest.openapi import (
    COMMAND_REFUSALS,
    Part,
    answer,
    moved,
    object_of,
    ref,
    refused,
)

_TEXT = {"type": ["string", "null"]}
_TOKEN = "recorderToken"  # noqa: S105 - a name
_REFUSALS = {
    **{code: text for code, text in COMMAND_REFUSALS.items() if code != "429"},
    "403": "The token's domain is another, or the recording is known to be another domain's.",
    "503": "The storage failed, or the event was neither sent nor kept; send the same again.",
}


def recorder_part() -> Part:
    """Return what the document says of `recorder_routes`."""
    report = "Tell what became of a recording: the event as it will go out, without replyId."
    question = "Ask the tenant whether a call is to be recorded."
    new_call = moved(adapter(NewCall).json_schema())
    return Part(
        paths={
            REPORTS_PATH: _post("report", report, "Report", "Success", "It can't be lost now."),
            NEW_CALL_PATH: _post("newCall", question, "NewCall", "Answer", "What was answered."),
        },
        schemas={
            **_reports(),
            "NewCall": new_call,
            "Answer": object_of({"recordCall": {"type": "boolean"}}),
        },
        security={
            _TOKEN: {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "HS256, the recorder's own, with the claims exp and aud.",
            }
        },
    )


def _reports() -> dict[str, Any]:
    """The report, with the keys of all events, and the schemas that it refers to."""
    start = {"type": ["number", "null"], "description": "Epoch milliseconds."}
    own = {"tempBucket": _TEXT, "tempKey": _TEXT, "startTime": start}
    schemas: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for name in REPORTS:
        schema = moved(json_schema(name))
        schemas |= schema.get("$defs", {})
        properties |= schema["properties"]
    del properties["replyId"]
    properties |= {"event": {"enum": list(REPORTS)}, **own}
    required = ["event", "recordingId"]
    return {
        **schemas,
        "Report": {"type": "object", "properties": properties, "required": required},
    }


def _post(name: str, summary: str, body: str, result: str, description: str) -> dict[str, Any]:
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "description": f"A body has at most {MOST_BODY_BYTES} bytes.",
            "security": [{_TOKEN: []}],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": ref(body)}},
            },
            "responses": {
                "200": answer(description, result),
                **{code: refused(code, text) for code, text in _REFUSALS.items()},
            },
        }
    }
