# SPDX-License-Identifier: Apache-2.0
"""The wire form of a plain job in a manifest. Importing this module imports pydantic."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from audioengine.errors import Problem
from audioengine.params import OptionalNumberField
from audioengine.times import exact_or_none


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


def _place(value: object, judged: ValidatorFunctionWrapHandler) -> object:
    """Text; the name of a local file need not be UTF-8, and has Python's surrogates then."""
    if isinstance(value, str) and value and not value.startswith("s3://"):
        with suppress(UnicodeEncodeError):
            os.fsencode(value)
            return value
    return judged(value)


_Place = Annotated[str, WrapValidator(_place)]


class PlainJobLine(BaseModel):
    """A line that is a plain job; `modification` is read by itself."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    source: _Place = Field(min_length=1)
    destination: _Place = Field(min_length=1)
    modification: Any = None
    start_time_ms: OptionalNumberField = Field(None, alias="startTime")
    guard_ms: Annotated[Any, PlainValidator(_guard)] = Field(None, alias="guardMs")
    clip_tolerance_s: OptionalNumberField = Field(None, alias="clipToleranceS")
    version: str | None = Field(None, min_length=1)
