# SPDX-License-Identifier: Apache-2.0
"""The commands, of the queue and of REST, as frozen values.

Whether a name, an encryption key or a token is right is judged by those who use it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic.json_schema import SkipJsonSchema

from audioengine.choices import UnknownKeys
from audioengine.commands.modification import ModificationField
from audioengine.commands.unknown import key_problems
from audioengine.commands.wire import (
    OptionalText,
    OptionalWireNumber,
    Secret,
    Segments,
    Text,
    Wire,
    WireNumber,
    key,
    read_wire,
    shown,
    unknown_keys,
)
from audioengine.edits import Dialect, Modification, modification_of
from audioengine.errors import InvalidRequestError, LimitError, Problem
from audioengine.json_input import parse_object
from audioengine.notices import Notice
from audioengine.parts import ConferenceSegment, MergePart, check_counts, timed
from audioengine.times import exact

MAX_COMMAND_BYTES = 1 << 20
"""Of a command's JSON: as long as a message of a queue can be."""

_DialectField: TypeAlias = Annotated[Dialect, SkipJsonSchema()]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRecording(Wire):
    """Put a recording into permanent storage, edited or as it is."""

    method: Literal["STORERECORDING"] = "STORERECORDING"
    destination_bucket: Text
    destination_region: OptionalText = None
    encryption_key: Secret = None
    """Judged by `names.encryption_key`."""
    file_name: OptionalText = None
    """Judged by `names.object_key`."""
    modification: ModificationField = None
    """None: a plain copy."""
    recording_id: Text
    start_time_ms: OptionalWireNumber = None
    """Our own addition: when the recording began, for absolute times; epoch time."""
    reply_id: Text = field(repr=False)
    dialect: _DialectField = "sqs"
    """Where the command came from; decides the unit of relative times and the default name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeEntry(Wire):
    """One recording of a merge; where its audio is, the command does not say."""

    NESTED: ClassVar[Mapping[str, type[Any]]] = {"conferenceSegments": ConferenceSegment}
    # Entries are often copied from relatedRecordings, which have it too.
    HARMLESS: ClassVar[frozenset[str]] = frozenset({"recordingRole"})

    recording_id: Text
    start_time_ms: WireNumber
    """Epoch time."""
    conference_segments: Segments = ()
    modification: ModificationField = None
    """Our own addition: masks and trim on this recording's clock."""
    state: OptionalText = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRecordings(Wire):
    """Merge recordings of one conversation into one object of permanent storage."""

    NESTED: ClassVar[Mapping[str, type[Any]]] = {"toMerge": MergeEntry}

    method: Literal["MERGERECORDINGS"] = "MERGERECORDINGS"
    destination_bucket: Text
    destination_region: OptionalText = None
    to_merge: tuple[MergeEntry, ...]
    file_name: OptionalText = None
    encryption_key: Secret = None
    reply_id: Text = field(repr=False)
    dialect: _DialectField = "sqs"

    @property
    def first(self) -> MergeEntry:
        """The recording that started first; of several, the one that is named first."""
        return min(self.to_merge, key=lambda entry: exact(entry.start_time_ms, "startTime"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecording(Wire):
    """Delete a recording from temporary storage."""

    method: Literal["DELETERECORDING"] = "DELETERECORDING"
    recording_id: Text
    reply_id: Text = field(repr=False)
    dialect: _DialectField = "sqs"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRecording(Wire):
    """End a recording that goes on, and keep it; a command to whatever records the call."""

    method: Literal["STOPRECORDING"] = "STOPRECORDING"
    recording_id: Text
    reply_id: Text = field(repr=False)
    dialect: _DialectField = "sqs"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRecording(Wire):
    """End a recording that goes on, and drop it; a command to whatever records the call."""

    method: Literal["CANCELRECORDING"] = "CANCELRECORDING"
    recording_id: Text
    reply_id: Text = field(repr=False)
    dialect: _DialectField = "sqs"


Command: TypeAlias = (
    StoreRecording | MergeRecordings | DeleteRecording | StopRecording | CancelRecording
)

COMMANDS: Mapping[str, type[Command]] = {
    "STORERECORDING": StoreRecording,
    "MERGERECORDINGS": MergeRecordings,
    "DELETERECORDING": DeleteRecording,
    "STOPRECORDING": StopRecording,
    "CANCELRECORDING": CancelRecording,
}
"""The commands by their method."""


def command_values(text: str | bytes, name: str = "command") -> dict[str, Any]:
    """Return the JSON values of a command, its numbers as they are written.

    name: what messages call it, where it is none.

    Raises InvalidRequestError where the text is not the JSON of an object, or repeats a key at any
    depth, and LimitError.
    """
    if len(text) > MAX_COMMAND_BYTES:
        raise LimitError(
            f"the {name} has {len(text)} bytes, at most {MAX_COMMAND_BYTES} are allowed"
        )
    return parse_object(text, name)


def parse_command(
    data: object,
    dialect: Dialect = "sqs",
    method: str | None = None,
    unknown: UnknownKeys = "refuse",
) -> tuple[Command, tuple[Notice, ...]]:
    """Read a command, as JSON values; warn of keys that mean nothing and are ignored.

    dialect: of the door that the command came by. A body may say `"dialect": "rest"` itself, as the
        one does that an alarm shows; by the REST door it can't say otherwise.
    method: what the command is where its body need not say so, as in REST, whose path does; the
    path's spelling, `deleterecording`, is fine.
    unknown: what becomes of unknown keys at the top and in entries of `toMerge`: "refuse", or
        "ignore" for those that don't look like a misspelt key or an edit. Keys of events are
        always ignored.

    Raises InvalidRequestError naming every wrong field; it shows no secrets.
    """
    if dialect not in ("sqs", "rest"):
        raise InvalidRequestError.of("dialect", dialect, 'must be "sqs" or "rest"')
    if not isinstance(data, dict):
        value = f"<{type(data).__name__}>"
        raise InvalidRequestError.of("command", value, "must be an object")
    if "dialect" in data:
        dialect = _dialect(data["dialect"], dialect)
        data = {name: value for name, value in data.items() if name != "dialect"}
    kind = _kind(data, method)
    command: Command = replace(_read(kind, data, dialect, unknown), dialect=dialect)
    return command, tuple(unknown_keys(data, kind))


def modifications(command: Command) -> list[tuple[str, Modification]]:
    """Return what a command edits, by the paths of its fields.

    Raises InvalidRequestError for what is no Modification, in a command made in Python.
    """
    edits: list[tuple[str, Modification | None]] = []
    if isinstance(command, StoreRecording):
        edits.append(("modificationParams", command.modification))
    elif isinstance(command, MergeRecordings):
        edits += [
            (f"toMerge[{place}].modificationParams", entry.modification)
            for place, entry in enumerate(command.to_merge)
        ]
    return [(path, modification_of(one, path)) for path, one in edits if one is not None]


def _dialect(named: object, of_door: Dialect) -> Dialect:
    if named == "rest" or (named == "sqs" and of_door == "sqs"):
        return "rest" if named == "rest" else "sqs"
    rule = 'must be "rest"' if of_door == "rest" else 'must be "sqs" or "rest"'
    raise _refusal([Problem("dialect", named, rule)])


def _kind(data: dict[str, Any], method: str | None) -> type[Command]:
    asked = data.get("method") if method is None else method.upper()
    if asked is None:
        raise InvalidRequestError.of("method", None, "must be given")
    if not isinstance(asked, str) or asked not in COMMANDS:
        raise _refusal([Problem("method", asked, f"must be one of {', '.join(COMMANDS)}")])
    return COMMANDS[asked]


def _read(
    kind: type[Command], data: dict[str, Any], dialect: Dialect, unknown: UnknownKeys
) -> Command:
    if data.get("method") is None:
        data = {name: value for name, value in data.items() if name != "method"}
    if kind is MergeRecordings:
        _check_counts(data)
    problems = _key_problems(data, kind, unknown)
    command = None
    try:
        command = read_wire(kind, data, "command", {"dialect": dialect})
    except InvalidRequestError as error:
        problems += error.problems
    if isinstance(command, MergeRecordings):
        problems += merge_problems(command.to_merge)
    if problems or command is None:
        raise _refusal(problems)
    return command


def _key_problems(data: dict[str, Any], kind: type[Command], unknown: UnknownKeys) -> list[Problem]:
    if kind is not MergeRecordings:
        return key_problems(data, kind, unknown)
    problems = []
    if data.get("modificationParams") not in (None, {}, []):
        rule = "must be a key of the entries of toMerge"
        problems.append(Problem("modificationParams", data["modificationParams"], rule))
    given = {name: value for name, value in data.items() if name != "modificationParams"}
    problems += key_problems(given, kind, unknown)
    entries = data.get("toMerge")
    for place, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            path = f"toMerge[{place}]"
            problems += key_problems(entry, MergeEntry, unknown, path)
            problems += _segment_problems(entry.get("conferenceSegments"), path)
    return problems


def _segment_problems(segments: object, path: str) -> list[Problem]:
    """What is wrong with the keys of conference segments.

    Recorders add to them what they like. A misspelt endTime, though, would mute others to the end.
    """
    problems = []
    for place, segment in enumerate(segments if isinstance(segments, list) else ()):
        if isinstance(segment, dict):
            at = f"{path}.conferenceSegments[{place}]"
            problems += key_problems(segment, ConferenceSegment, "ignore", at)
    return problems


def _refusal(problems: list[Problem]) -> InvalidRequestError:
    return InvalidRequestError([shown(problem) for problem in problems])


@dataclass(frozen=True, slots=True, kw_only=True)
class _ToMerge(Wire):
    """Of a MERGERECORDINGS command only what says how to merge."""

    method: OptionalText = None
    to_merge: tuple[MergeEntry, ...]


def parse_to_merge(command: object) -> tuple[tuple[MergeEntry, ...], tuple[Notice, ...]]:
    """Read `toMerge` of a command, as JSON values, whatever else of a command is missing.

    Raises InvalidRequestError naming every wrong field.
    """
    if isinstance(command, dict):
        _check_counts(command)
    wire = read_wire(_ToMerge, command, "command")
    if wire.method not in (None, "MERGERECORDINGS"):
        raise _refusal([Problem("method", wire.method, "must be MERGERECORDINGS")])
    assert isinstance(command, dict)
    problems = _key_problems(command, MergeRecordings, "refuse")
    if problems := [*problems, *merge_problems(wire.to_merge)]:
        raise _refusal(problems)
    return wire.to_merge, tuple(unknown_keys(command, MergeRecordings))


def _check_counts(data: dict[str, Any]) -> None:
    """Raise LimitError for more entries than a merge may have, whatever they are."""
    entries = data.get("toMerge")
    if isinstance(entries, list):
        segments = [one.get("conferenceSegments") for one in entries if isinstance(one, dict)]
        check_counts(len(entries), sum(len(one) for one in segments if isinstance(one, list)))


def merge_problems(entries: tuple[MergeEntry, ...]) -> list[Problem]:
    """Return what a merge will refuse of its request, by the names of the wire."""
    parts = [
        MergePart(
            BytesIO(),
            entry.start_time_ms,
            entry.conference_segments,
            recording_id=entry.recording_id,
            state=entry.state,
        )
        for entry in entries
    ]
    try:
        timed(parts)
    except InvalidRequestError as error:
        return [
            Problem(_wire_names(one.path), one.value, _wire_names(one.rule))
            for one in error.problems
        ]
    return []


def _wire_names(text: str) -> str:
    text = re.sub(r"\bparts\b", "toMerge", text)
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda found: key(found[0]), text)
