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
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from audioengine.params import OptionalNumberField


def _place(value: object, judged: ValidatorFunctionWrapHandler) -> object:
    """Text; the name of a local file need not be UTF-8, and has Python's surrogates then."""
    if isinstance(value, str) and value and not value.startswith("s3://"):
        with suppress(UnicodeEncodeError):
            os.fsencode(value)
            return value
    return judged(value)


_Place = Annotated[str, WrapValidator(_place)]


class PlainJobLine(BaseModel):
    """A line that is a plain job; its edit and its options are read by themselves."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    source: _Place = Field(min_length=1)
    destination: _Place = Field(min_length=1)
    modification: Any = None
    transcript: Any = None
    redact: Any = None
    start_time_ms: OptionalNumberField = Field(None, alias="startTime")
    version: str | None = Field(None, min_length=1)
