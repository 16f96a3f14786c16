# SPDX-License-Identifier: Apache-2.0
"""Reads `modificationParams`, the wire form of an edit, and reports every wrong field at once.

This module checks only the form; `edits.resolve` applies the times to a recording.
Importing this module imports pydantic, so do it where params are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from audioengine.errors import UNKNOWN_KEY, InvalidRequestError, Problem
from audioengine.json_input import parse_json
from audioengine.times import Interval, Number, check_mask_count, exact


@dataclass(frozen=True, slots=True)
class Params:
    """Well-formed modificationParams, with the wire's own numbers."""

    absolute_times: bool = False
    """Whether the times are epoch milliseconds; if not, their unit is the dialect's."""
    trim: Interval | None = None
    """The stretch to keep; a bound may be None."""
    mask: Mapping[str, tuple[Interval, ...]] = field(default_factory=dict)
    """Stretches to mask, by "caller", "callee" or "both"."""
    transcripts: tuple[tuple[str, Literal["caller", "callee"] | None], ...] = ()
    """Places of transcripts that mark more to mask, and each one's party, if named."""
    redact: tuple[str, ...] = ()
    """The kinds of findings in transcripts that are masked."""


def parse(params: object) -> Params:
    """Read modificationParams, as JSON or its values, in any shape of either dialect.

    Raises InvalidRequestError naming every wrong field, and LimitError for more than MAX_MASKS
    intervals.
    """
    if isinstance(params, str):  # as in the sample of the service's REST reference
        params = parse_json(params, "modificationParams", "an object, or the JSON of one")
    if _absent_if_empty(params) is None:
        return Params()
    check_mask_count(_mask_count(params))
    try:
        wire = _Params.model_validate(params)
    except ValidationError as error:
        raise InvalidRequestError(
            [_problem(e["type"], e["loc"], e["input"], e["msg"]) for e in error.errors()]
        ) from None
    spellings = {wire.absolute_times, wire.absolute_time} - {None}
    if len(spellings) > 1:
        raise InvalidRequestError.of(
            "absoluteTime", wire.absolute_time, f"contradicts absoluteTimes = {wire.absolute_times}"
        )
    trim = None if wire.trim is None or wire.trim.is_empty else wire.trim.interval("trim")
    if wire.redact and not _transcripts(wire.transcript):
        rule = "must be given with a transcript: it chooses among the transcript's findings"
        raise InvalidRequestError.of("redact", list(wire.redact), rule)
    return Params(
        absolute_times=True in spellings,
        trim=trim,
        mask=_masks(wire.mask),
        transcripts=_transcripts(wire.transcript),
        redact=tuple(wire.redact or ()),
    )


def _mask_count(params: object) -> int:
    """The number of intervals, before they are checked."""
    mask = params.get("mask") if isinstance(params, dict) else None
    lists = mask.values() if isinstance(mask, dict) else (mask,)
    return sum(len(one) for one in lists if isinstance(one, list))


def _absent_if_empty(value: object) -> object:
    """Null, {} and [] mean that the field is absent."""
    return None if value in (None, {}, []) else value


def _number(value: object) -> object:
    try:
        exact(value, "")
    except InvalidRequestError as error:
        raise PydanticCustomError("number", "{rule}", {"rule": error.problems[0].rule}) from None
    return value


def _number_or_null(value: object) -> object:
    return None if value is None else _number(value)


NumberField = Annotated[Number, PlainValidator(_number)]
"""Any finite number, exactly as written; no boolean, no text."""
OptionalNumberField = Annotated[Number | None, PlainValidator(_number_or_null)]


_Place: TypeAlias = Annotated[str, Field(min_length=1)]
_Kind: TypeAlias = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Stretch(_Strict):
    """`{from, to}`; a missing bound leaves that end open."""

    start: OptionalNumberField = Field(None, alias="from")
    end: OptionalNumberField = Field(None, alias="to")

    def interval(self, origin: str) -> Interval:
        return Interval(self.start, self.end, origin)

    @property
    def is_empty(self) -> bool:
        return self.start is None and self.end is None


def _with_a_bound(stretch: _Stretch) -> _Stretch:
    """Require at least one bound of a mask, so that `{}` does not mask a whole recording."""
    if stretch.is_empty:
        raise PydanticCustomError("open", "must have from or to: it is open at one end at most")
    return stretch


_MaskStretch: TypeAlias = Annotated[_Stretch, AfterValidator(_with_a_bound)]


# Tags of the shapes appear in pydantic's error locations; brackets set them apart from wire keys.
_ONE, _MANY, _PARTIES = "<one>", "<many>", "<parties>"


def _stretches_shape(value: object) -> str | None:
    if isinstance(value, list):
        return _MANY
    return _ONE if isinstance(value, dict) else None


def _mask_shape(value: object) -> str | None:
    if isinstance(value, dict) and not value.keys() & {"from", "to"}:
        return _PARTIES
    return _stretches_shape(value)


_Stretches: TypeAlias = Annotated[
    Annotated[_MaskStretch, Tag(_ONE)] | Annotated[list[_MaskStretch], Tag(_MANY)],
    Discriminator(
        _stretches_shape,
        custom_error_type="stretches",
        custom_error_message="must be a list of intervals with from and to",
    ),
]


class _Parties(_Strict):
    caller: Annotated[_Stretches | None, BeforeValidator(_absent_if_empty)] = None
    callee: Annotated[_Stretches | None, BeforeValidator(_absent_if_empty)] = None


_Mask: TypeAlias = Annotated[
    Annotated[_MaskStretch, Tag(_ONE)]
    | Annotated[list[_MaskStretch], Tag(_MANY)]
    | Annotated[_Parties, Tag(_PARTIES)],
    Discriminator(
        _mask_shape,
        custom_error_type="mask",
        custom_error_message="must hold lists of intervals under caller and callee, "
        "or be one interval or a list of them for both",
    ),
]


class _Files(_Strict):
    caller: _Place | None = None
    callee: _Place | None = None
    both: _Place | None = None


def _files_shape(value: object) -> str | None:
    if isinstance(value, list):
        return _MANY
    return _PARTIES if isinstance(value, dict) else _ONE


_Transcript: TypeAlias = Annotated[
    Annotated[_Place, Tag(_ONE)]
    | Annotated[list[_Place], Tag(_MANY)]
    | Annotated[_Files, Tag(_PARTIES)],
    Discriminator(_files_shape),
]


class _Params(_Strict):
    absolute_times: bool | None = Field(None, alias="absoluteTimes")
    absolute_time: bool | None = Field(None, alias="absoluteTime")
    trim: Annotated[_Stretch | None, BeforeValidator(_absent_if_empty)] = None
    mask: Annotated[_Mask | None, BeforeValidator(_absent_if_empty)] = None
    transcript: Annotated[_Transcript | None, BeforeValidator(_absent_if_empty)] = None
    redact: Annotated[list[_Kind] | None, BeforeValidator(_absent_if_empty)] = None


def _transcripts(
    given: str | list[str] | _Files | None,
) -> tuple[tuple[str, Literal["caller", "callee"] | None], ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        return ((given, None),)
    if isinstance(given, list):
        return tuple((place, None) for place in given)
    named = ((given.caller, "caller"), (given.callee, "callee"), (given.both, None))
    return tuple((place, party) for place, party in named if place is not None)  # type: ignore[misc]


def _masks(
    mask: _Stretch | list[_Stretch] | _Parties | None,
) -> dict[str, tuple[Interval, ...]]:
    if isinstance(mask, _Parties):
        by_party = {
            "caller": _intervals(mask.caller, "mask.caller"),
            "callee": _intervals(mask.callee, "mask.callee"),
        }
    else:
        by_party = {"both": _intervals(mask, "mask")}
    return {party: intervals for party, intervals in by_party.items() if intervals}


def _intervals(stretches: _Stretch | list[_Stretch] | None, path: str) -> tuple[Interval, ...]:
    if stretches is None:
        return ()
    if isinstance(stretches, _Stretch):
        return (stretches.interval(path),)
    return tuple(s.interval(f"{path}[{i}]") for i, s in enumerate(stretches))


_RULES = {
    "missing": "must be given",
    "bool_type": "must be true or false",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "mapping_type": "must be an object",
    "list_type": "must be a list",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
}


def field_problem(
    kind: str, loc: tuple[int | str, ...], value: Any, message: str, whole: str, known: str
) -> Problem:
    """A validation error as a problem.

    whole: the name of the value itself; known: the valid keys, for the message of an unknown one.
    """
    keys = [key for key in loc if key not in (_ONE, _MANY, _PARTIES)]
    path = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
    if kind == "missing":
        value = None  # pydantic shows the object around it
    if kind == "extra_forbidden":
        return Problem(path, value, f"{UNKNOWN_KEY}; known here: {known}")
    return Problem(path or whole, value, _RULES.get(kind, message))


def _problem(kind: str, loc: tuple[int | str, ...], value: Any, message: str) -> Problem:
    if len(loc) == 1:
        known = "absoluteTimes, trim, mask, transcript, redact"
    else:
        known = "caller, callee" if len(loc) > 1 and loc[-2] == _PARTIES else "from, to"
    return field_problem(kind, loc, value, message, "modificationParams", known)
