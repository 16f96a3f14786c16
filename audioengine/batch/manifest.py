# SPDX-License-Identifier: Apache-2.0
"""The manifest of a batch: JSON Lines, a job a line, read as they are needed.

Importing this module imports pydantic.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import PydanticCustomError

from audioengine.edits import Modification
from audioengine.errors import InvalidRequestError, LimitError, Problem
from audioengine.params import OptionalNumberField, field_problem
from audioengine.storage import S3Options, Source, open_source
from audioengine.times import Number, exact_or_none

_BLOCK_BYTES = 1 << 20
_LONGEST_LINE_BYTES = 8 << 20

_KEYS = "source, destination, modification, startTime, guardMs"


@dataclass(frozen=True, slots=True)
class Job:
    """One line that can be done."""

    line: int
    """From 1."""
    key: str
    """A digest of what is to be done: the same line has the same key."""
    source: str
    destination: str
    modification: Modification
    start_time_ms: Number | None
    guard_ms: Any
    """As it is given; None: the line says nothing of it."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """One line that can't be done."""

    line: int
    key: str
    error: InvalidRequestError


def jobs_of(manifest: str, s3: S3Options | None = None) -> Iterator[Job | BadLine]:
    """The jobs of a manifest in order; empty lines are passed over.

    Raises StorageError where the manifest can't be read, LimitError for a line without end.
    """
    with closing(open_source(manifest, s3)) as source:
        for line, data in enumerate(_lines(source), 1):
            if data.strip():
                yield _job(line, data)


def count_jobs(manifest: str, s3: S3Options | None = None) -> int:
    """How many lines there are that are not empty.

    Raises what `jobs_of` raises.
    """
    with closing(open_source(manifest, s3)) as source:
        return sum(1 for data in _lines(source) if data.strip())


def _lines(source: Source) -> Iterator[bytes]:
    rest = b""
    for offset in range(0, source.size, _BLOCK_BYTES):
        rest += source.read(offset, _BLOCK_BYTES)
        *whole, rest = rest.split(b"\n")
        yield from map(_bounded, whole)
        _bounded(rest)
    if rest:
        yield rest


def _bounded(line: bytes) -> bytes:
    if len(line) > _LONGEST_LINE_BYTES:
        raise LimitError(f"a line of the manifest is longer than {_LONGEST_LINE_BYTES} bytes")
    return line


def _guard(value: object) -> object:
    if value is None:
        return None
    bounds = value if isinstance(value, list) else [value, value]
    problems: list[Problem] = []
    for bound in bounds:
        exact_or_none(bound, "guardMs", problems)
    if problems or len(bounds) != 2:
        rule = "must be a number of milliseconds, or two of them: [before, after]"
        raise PydanticCustomError("guard", rule)
    return tuple(value) if isinstance(value, list) else value


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    source: str = Field(min_length=1)
    destination: str = Field(min_length=1)
    modification: Any = None
    start_time_ms: OptionalNumberField = Field(None, alias="startTime")
    guard_ms: Annotated[Any, PlainValidator(_guard)] = Field(None, alias="guardMs")


def _job(line: int, data: bytes) -> Job | BadLine:
    key = hashlib.sha256(data.strip()).hexdigest()[:32]
    try:
        return _parsed(line, key, data)
    except InvalidRequestError as error:
        return BadLine(line, key, error)
    except RecursionError:
        rule = "must be the JSON of one job: it is nested too deeply"
        return BadLine(line, key, InvalidRequestError.of("job", f"line {line}", rule))


def _parsed(line: int, key: str, data: bytes) -> Job:
    try:
        value = json.loads(data, parse_float=Decimal)
    except ValueError as error:
        raise InvalidRequestError.of(
            "job", f"line {line}", f"must be the JSON of one job: {error}"
        ) from None
    try:
        wire = _Line.model_validate(value)
    except ValidationError as error:
        raise InvalidRequestError(
            [
                field_problem(one["type"], one["loc"], one["input"], one["msg"], "job", _KEYS)
                for one in error.errors()
            ]
        ) from None
    if wire.source == wire.destination:
        # Done twice, after a kill, the edit would be made of its own result.
        rule = "must not be the source: a batch can be resumed, and an edit in place can't"
        raise InvalidRequestError.of("destination", wire.destination, rule)
    modification = Modification.from_params(wire.modification)
    if wire.guard_ms is not None:
        modification = replace(modification, guard_ms=wire.guard_ms)
    return Job(
        line,
        key,
        wire.source,
        wire.destination,
        modification,
        wire.start_time_ms,
        wire.guard_ms,
    )
