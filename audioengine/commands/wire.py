# SPDX-License-Identifier: Apache-2.0
"""What all that goes over the wire shares: keys, fields, reading, writing, and every error at once.

A value's fields are the wire's keys in snake_case, in the reference's order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from audioengine.commands.modification import params_of
from audioengine.commands.names import HIDDEN
from audioengine.commands.redaction import is_secret_key, number, redacted, shown_key
from audioengine.edits import Modification
from audioengine.errors import UNKNOWN_KEY, InvalidRequestError, Problem
from audioengine.notices import Notice
from audioengine.params import NumberField, OptionalNumberField, field_problem
from audioengine.parts import ConferenceSegment

T = TypeVar("T")

# What a value knows of itself and its wire form does not say.
_NOT_ON_THE_WIRE = {"dialect"}

# Of unknown keys: a command may have a million.
_NAMED_AT_MOST = 100


@cache
def key(name: str) -> str:
    """Return the wire's key of a field."""
    if name == "modification":
        return "modificationParams"
    return to_camel(name.removesuffix("_ms"))


def keys(kind: type[Any]) -> frozenset[str]:
    """Return the wire's keys of a dataclass."""
    return frozenset(key(one.name) for one in fields(kind)) - _NOT_ON_THE_WIRE


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """Base of what is read and written with the reference's keys."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(alias_generator=key)
    NESTED: ClassVar[Mapping[str, type[Any]]] = {}
    """What the objects in lists under these keys are."""
    HARMLESS: ClassVar[frozenset[str]] = frozenset()
    """Unknown keys that are worth no notice."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; what is absent has no key. A command's may hold a secret."""
        return _object(self)

    def to_json(self) -> str:
        """Return the same as JSON, in ASCII."""
        return json.dumps(self.to_dict())


Text: TypeAlias = Annotated[str, Field(min_length=1)]
OptionalText: TypeAlias = str | None
Secret: TypeAlias = SecretStr | None
_EPOCH = {"description": "Epoch milliseconds.", "examples": [1728890677283]}
WireNumber: TypeAlias = Annotated[NumberField, WithJsonSchema({"type": "number", **_EPOCH})]
OptionalWireNumber: TypeAlias = Annotated[
    OptionalNumberField, WithJsonSchema({"type": ["number", "null"], **_EPOCH})
]
"""All numbers of the wire but bounds of edits are epoch times in milliseconds."""


def _empty_if_null(value: object) -> object:
    return () if value is None else value


AbsentIfNull = BeforeValidator(_empty_if_null)
"""For lists: null is an empty one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment(Wire):
    start_time_ms: WireNumber
    end_time_ms: OptionalWireNumber = None
    aor: OptionalText = None
    state: OptionalText = None


def _segment(value: object) -> ConferenceSegment:
    wire = read_wire(_Segment, value)
    return ConferenceSegment(wire.start_time_ms, wire.end_time_ms, wire.aor, wire.state)


_SEGMENT_SCHEMA = {
    "type": "object",
    "properties": {
        "startTime": {"type": "number", **_EPOCH},
        "endTime": {"type": ["number", "null"], **_EPOCH},
        "aor": {"type": ["string", "null"]},
        "state": {"type": ["string", "null"]},
    },
    "required": ["startTime"],
}
_SegmentField: TypeAlias = Annotated[
    ConferenceSegment, PlainValidator(_segment), WithJsonSchema(_SEGMENT_SCHEMA)
]
Segments: TypeAlias = Annotated[tuple[_SegmentField, ...], AbsentIfNull]
OptionalSegments: TypeAlias = tuple[_SegmentField, ...] | None
"""None where there is no list; an empty one stays as it came."""


_ADAPTERS: dict[object, TypeAdapter[Any]] = {}  # slow to build


def adapter(kind: type[T]) -> TypeAdapter[T]:
    """Return what validates a kind of value."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def read_wire(
    kind: type[T], value: object, whole: str = "", context: Mapping[str, Any] | None = None
) -> T:
    """Read a JSON value; `whole` is what messages call it.

    Raises InvalidRequestError naming every wrong field.
    """
    if isinstance(value, dict):
        known = keys(kind)
        value = {name: inner for name, inner in value.items() if name in known}
    try:
        return adapter(kind).validate_python(value, context=dict(context or {}))
    except ValidationError as error:
        problems = _problems(error, whole)
    raise InvalidRequestError(problems)  # not in the handler: pydantic's error shows the input


_RULES = {
    "dataclass_type": "must be an object",
    "int_type": "must be a whole number",
    "string_unicode": "must be Unicode text",
    "tuple_type": "must be a list",
}


def _problems(error: ValidationError, whole: str) -> list[Problem]:
    out = []
    for one in error.errors():
        kind = one["type"]
        message = _RULES.get(kind, one["msg"].replace("Input should be", "must be"))
        problem = field_problem(kind, one["loc"], one["input"], message, whole, "")
        inner = one.get("ctx", {}).get("error")
        if isinstance(inner, InvalidRequestError):  # of a field that is read by itself
            out += [
                Problem(joined_path(problem.path, each.path), each.value, each.rule)
                for each in inner.problems
            ]
        else:
            out.append(problem)
    return [shown(problem, whole) for problem in out]


# What stands in place of a value that was hidden before.
_TYPES = frozenset(
    f"<{kind.__name__}>" for kind in (str, list, dict, int, float, bool, Decimal, type(None))
)


def shown(problem: Problem, whole: str = "") -> Problem:
    """Return a problem of which nothing is secret."""
    value = redacted(problem.value)
    if problem.rule.startswith(UNKNOWN_KEY):
        hidden = isinstance(problem.value, str) and problem.value in _TYPES
        value = problem.value if hidden else f"<{type(problem.value).__name__}>"
    elif value is not None and is_secret_key(problem.path):
        value = HIDDEN
    elif whole and problem.path == whole:  # text, perhaps, that holds anything
        value = f"<{type(problem.value).__name__}>"
    return Problem(shown_key(problem.path), value, problem.rule)


def joined_path(path: str, rest: str) -> str:
    """Return the path of something inside something."""
    return path + rest if not path or not rest or rest.startswith("[") else f"{path}.{rest}"


def unknown_keys(value: object, kind: type[Any]) -> list[Notice]:
    """Return a notice for each key that a kind of value does not know, however deep.

    Where there are many, the last notice says how many more there are.
    """
    every = _unknown_values(value, kind, "")
    out = [
        Notice("unknown_key", f"{path} is not known and ignored.")
        for path, _ in islice(every, _NAMED_AT_MOST)
    ]
    if more := sum(1 for _ in every):
        out.append(Notice("unknown_key", f"{more} more keys are not known and ignored."))
    return out


def unknown_values(value: object, kind: type[Any]) -> list[tuple[str, object]]:
    """Return the paths of the first keys that a kind does not know, however deep, and the values.

    There are 100 at most.
    """
    return list(islice(_unknown_values(value, kind, ""), _NAMED_AT_MOST))


def _unknown_values(value: object, kind: type[Any], path: str) -> Iterator[tuple[str, object]]:
    if not isinstance(value, dict):
        return
    unknown = value.keys() - keys(kind) - getattr(kind, "HARMLESS", frozenset())
    for name in sorted(map(str, unknown)):
        yield joined_path(path, shown_key(name)), value.get(name)
    for name, inner_kind in getattr(kind, "NESTED", {}).items():
        entries = value.get(name)
        for place, inner in enumerate(entries if isinstance(entries, (list, tuple)) else ()):
            yield from _unknown_values(inner, inner_kind, joined_path(path, f"{name}[{place}]"))


def _object(value: Any) -> dict[str, Any]:
    """Empty lists are absent ones, but of fields where None says that there is none."""
    return {
        key(one.name): _plain(inner)
        for one in fields(value)
        if (inner := getattr(value, one.name)) is not None
        and (inner != () or one.default is None)
        and one.name not in _NOT_ON_THE_WIRE
    }


def _plain(value: object) -> object:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Modification):
        return params_of(value)
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return number(value)
    return _object(value) if is_dataclass(value) else value
