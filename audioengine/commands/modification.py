# SPDX-License-Identifier: Apache-2.0
"""`modificationParams` as a field of commands: read, written and described."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, TypeAlias

from pydantic import PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from audioengine.commands.redaction import number
from audioengine.edits import Interval, Modification, TranscriptFile
from audioengine.times import Number


def _read(value: object, info: ValidationInfo) -> Modification | None:
    if value in (None, {}, []):
        return None
    if not isinstance(value, (dict, str)):
        raise PydanticCustomError("model_type", "must be an object")
    dialect = (info.context or {}).get("dialect", "sqs")
    modification = Modification.from_params(value, dialect)
    return modification if modification.asks else None


def params_of(modification: Modification) -> dict[str, Any]:
    """Return a modification as commands have it; its relative times are in its dialect's unit."""
    params: dict[str, Any] = {}
    if modification.absolute_times:
        params["absoluteTimes"] = True
    mask = {party: [_stretch(one) for one in of] for party, of in modification.mask.items() if of}
    both = mask.pop("both", [])
    if mask:
        params["mask"] = {
            party: own + both
            for party in ("caller", "callee")
            if (own := mask.get(party, [])) or both
        }
    elif both:
        params["mask"] = both
    if modification.trim is not None:
        params["trim"] = _stretch(modification.trim)
    if modification.transcripts:
        params["transcript"] = _places(modification.transcripts)
    if modification.redact:
        params["redact"] = list(modification.redact)
    return params


def _places(transcripts: tuple[TranscriptFile, ...]) -> object:
    if any(one.party for one in transcripts):
        return {one.party or "both": one.place for one in transcripts}
    places = [one.place for one in transcripts]
    return places if len(places) > 1 else places[0]


def _stretch(interval: Interval) -> dict[str, Number]:
    bounds = {"from": interval.start, "to": interval.end}
    return {key: _plain(bound) for key, bound in bounds.items() if bound is not None}


def _plain(value: Number) -> int | float:
    return number(value) if isinstance(value, Decimal) else value


_BOUND = {
    "type": ["number", "null"],
    "description": "Seconds from the recording's start, or with absoluteTimes epoch milliseconds. "
    "Absent or null: open there.",
    "examples": [12.5, 1728890689783],
}
_TRIM: dict[str, Any] = {
    "type": "object",
    "properties": {"from": _BOUND, "to": _BOUND},
    "additionalProperties": False,
}
_INTERVAL = {
    **_TRIM,
    "anyOf": [
        {"required": [bound], "properties": {bound: {"type": "number"}}} for bound in ("from", "to")
    ],
}
_EMPTY = [
    {"type": "null"},
    {"type": "array", "maxItems": 0},
    {"type": "object", "maxProperties": 0},
]
_STRETCHES = {"anyOf": [*_EMPTY, _INTERVAL, {"type": "array", "items": _INTERVAL}]}
_PARTIES = {
    "type": "object",
    "properties": {"caller": _STRETCHES, "callee": _STRETCHES},
    "additionalProperties": False,
}
_ABSOLUTE = {
    "type": ["boolean", "null"],
    "description": "Whether all times are epoch milliseconds.",
    "examples": [True],
}
_FILES = ("caller", "callee", "both")
_PLACE = {"type": "string", "minLength": 1}
_TRANSCRIPT = {
    "description": "Of audioengine's own, where the settings allow the place: transcripts that "
    "tell where to mask, as one place, a list, or by who speaks all of each.",
    "anyOf": [
        *_EMPTY,
        _PLACE,
        {"type": "array", "items": _PLACE},
        {
            "type": "object",
            "properties": {party: {"anyOf": [_PLACE, {"type": "null"}]} for party in _FILES},
            "additionalProperties": False,
        },
    ],
}
_REDACT = {
    "description": "Of audioengine's own: which kinds of what transcripts tell are masked; ALL is "
    "all.",
    "anyOf": [*_EMPTY, {"type": "array", "items": _PLACE}],
    "examples": [["CREDIT_DEBIT_NUMBER"]],
}
_PARAMS = {
    "type": "object",
    "properties": {
        "absoluteTimes": _ABSOLUTE,
        "absoluteTime": _ABSOLUTE,
        "mask": {"anyOf": [*_STRETCHES["anyOf"], _PARTIES]},
        "trim": {"anyOf": [*_EMPTY, _TRIM]},
        "transcript": _TRANSCRIPT,
        "redact": _REDACT,
    },
    "additionalProperties": False,
}

_TEXT = {"type": "string", "contentMediaType": "application/json", "contentSchema": _PARAMS}

ModificationField: TypeAlias = Annotated[
    Modification | None,
    PlainValidator(_read),
    WithJsonSchema({"anyOf": [*_EMPTY, _PARAMS, _TEXT]}),
]
"""What changes nothing is None. Validation needs the dialect as context."""
