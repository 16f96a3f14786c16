# SPDX-License-Identifier: Apache-2.0
"""The wire form of what a MERGERECORDINGS command merges: its shapes, every wrong field at once.

Importing this module imports pydantic, so do it where commands are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audioengine.edits import Modification
from audioengine.errors import InvalidRequestError, Problem
from audioengine.notices import Notice
from audioengine.params import NumberField, OptionalNumberField, field_problem
from audioengine.parts import ConferenceSegment
from audioengine.times import Number


@dataclass(frozen=True, slots=True)
class Entry:
    """One recording of a command; where its audio is, the command does not say."""

    recording_id: str
    start_time_ms: Number
    conference_segments: tuple[ConferenceSegment, ...]
    modification: Modification | None
    state: str | None


def parse(command: object) -> tuple[tuple[Entry, ...], tuple[Notice, ...]]:
    """Read `toMerge` of a command, as JSON values; warn of keys that mean nothing.

    Raises InvalidRequestError naming every wrong field.
    """
    try:
        wire = _Command.model_validate(command)
    except ValidationError as error:
        raise InvalidRequestError(
            [
                field_problem(one["type"], one["loc"], one["input"], one["msg"], "command", "")
                for one in error.errors()
            ]
        ) from None
    if wire.method not in (None, "MERGERECORDINGS"):
        raise InvalidRequestError.of("method", wire.method, "must be MERGERECORDINGS")
    problems: list[Problem] = []
    warnings: list[Notice] = []
    entries = []
    for number, entry in enumerate(wire.to_merge):
        path = f"toMerge[{number}]"
        warnings += _unknown(entry, path)
        for place, segment in enumerate(entry.conference_segments or ()):
            warnings += _unknown(segment, f"{path}.conferenceSegments[{place}]")
        entries.append(_entry(entry, f"{path}.modificationParams", problems))
    if problems:
        raise InvalidRequestError(problems)
    return tuple(entries), tuple(warnings)


class _Open(BaseModel):
    """Keys that are not known are kept, to warn of them."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


class _Segment(_Open):
    start: NumberField = Field(alias="startTime")
    end: OptionalNumberField = Field(None, alias="endTime")
    aor: str | None = None
    state: str | None = None


class _Entry(_Open):
    recording_id: str = Field(alias="recordingId", min_length=1)
    start: NumberField = Field(alias="startTime")
    conference_segments: list[_Segment] | None = Field(None, alias="conferenceSegments")
    modification_params: Mapping[str, Any] | None = Field(None, alias="modificationParams")
    state: str | None = None


class _Command(_Open):
    method: str | None = None
    to_merge: list[_Entry] = Field(alias="toMerge")


def _entry(entry: _Entry, path: str, problems: list[Problem]) -> Entry:
    modification = None
    try:
        if entry.modification_params:
            modification = Modification.from_params(entry.modification_params)
    except InvalidRequestError as error:
        problems += [replace(one, path=f"{path}.{one.path}") for one in error.problems]
    return Entry(
        entry.recording_id,
        entry.start,
        tuple(
            ConferenceSegment(segment.start, segment.end, segment.aor, segment.state)
            for segment in entry.conference_segments or ()
        ),
        modification,
        entry.state,
    )


# Entries are often copied from relatedRecordings, which have these too.
_HARMLESS = {"recordingRole"}


def _unknown(model: _Open, path: str) -> list[Notice]:
    keys = sorted((model.model_extra or {}).keys() - _HARMLESS)
    return [Notice("unknown_key", f"{path}.{key} is not known and ignored.") for key in keys]
