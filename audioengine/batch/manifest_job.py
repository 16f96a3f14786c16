# SPDX-License-Identifier: Apache-2.0
"""One job of a manifest: as its line says it, and read in full where it is done.

Whoever hands jobs out needs little of them; `parse_job`, which judges every field, is called where
the work is done. It imports pydantic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from audioengine.choices import UnknownKeys
from audioengine.commands.named_recordings import recordings_in, seeming_recordings
from audioengine.declaration import camel, declarations
from audioengine.edits import Modification
from audioengine.errors import InvalidRequestError, Problem
from audioengine.json_input import parse_json, unambiguous
from audioengine.notices import Notice
from audioengine.operations.options import StoreOptions
from audioengine.times import Number

if TYPE_CHECKING:
    from audioengine.commands.requests import Command

_FORM = "the JSON of one job"
_KEYS = (
    "source",
    "destination",
    "modification",
    "transcript",
    "redact",
    "startTime",
    "version",
)

LINE_OPTIONS = {camel(one.name): one for one in declarations(StoreOptions) if one.option.by_line}
"""The options that a line may say for its own recording, by their keys."""


class Job(NamedTuple):
    """One line that may be a job; the fields of its object are not judged yet."""

    line: int
    """From 1; of a listing, its place in it."""
    key: str
    """A digest of what is to be done: the same line has the same key."""
    recordings: frozenset[str]
    """Ids of the recordings that a command names."""
    deletes: bool
    """Whether it is a DELETERECORDING."""
    data: bytes
    """The JSON of an object."""
    makes_folders: bool = False
    """Whether the folders of its destination may be made: they mirror those of the source."""
    destination: str | None = None
    """Where its output goes, if that is known without reading it in full."""
    source_bytes: int | None = None
    """Size of its source, if the manifest tells it."""

    @property
    def order_keys(self) -> frozenset[str | tuple[str]]:
        """Keys that jobs run one after another on: the recordings, and the place of the output."""
        if self.destination is None:
            return self.recordings
        return self.recordings | {(self.destination,)}

    @property
    def is_command(self) -> bool:
        """Whether it is a command, and not a job with source and destination."""
        return "method" in (unambiguous(self.data) or {})

    def journal_fields(self) -> dict[str, str]:
        """Return what a journal says of it: source and destination, or method and recording."""
        value = unambiguous(self.data) or {}
        return {
            name: value[name].encode(errors="backslashreplace").decode()
            for name in ("source", "destination", "method", "recordingId")
            if isinstance(value.get(name), str)
        }


class BadLine(NamedTuple):
    """One line that can't be done."""

    line: int
    key: str
    recordings: frozenset[str]
    """Ids of the recordings that it seems to name."""
    error: InvalidRequestError
    source: str | None = None
    """The recording, or the row that should name one, if the manifest is no JSON Lines."""

    def journal_fields(self) -> dict[str, str]:
        """Return what a journal says of it."""
        return {} if self.source is None else {"source": self.source}


@dataclass(frozen=True, slots=True)
class PlainJob:
    """One recording to store."""

    source: str
    destination: str
    modification: Modification
    start_time_ms: Number | None
    options: Mapping[str, Any]
    """What the line itself says of the batch's options."""
    version: str | None = None
    """Of the source, in a bucket that keeps versions."""
    makes_folders: bool = False
    """Whether the folders of the destination may be made."""


@dataclass(frozen=True, slots=True)
class CommandJob:
    """One command of the queue."""

    command: Command
    notices: tuple[Notice, ...]


def job_of(line: int, data: bytes) -> Job | BadLine:
    """Return the job of a line that is not empty; of its object only what ordering needs is read.

    Equal lines have equal keys, whatever white space is around them.
    """
    data = data.strip()
    key = digest(data)
    try:
        value = parse_json(data, "job", _FORM)
    except InvalidRequestError as error:
        return BadLine(line, key, seeming_recordings(data), error)
    if not isinstance(value, dict):
        refusal = InvalidRequestError.of("job", f"<{type(value).__name__}>", "must be an object")
        return BadLine(line, key, seeming_recordings(data), refusal)
    recordings = recordings_in(value)
    deletes = value.get("method") == "DELETERECORDING"
    return Job(line, key, recordings, deletes, data, destination=_destination(value))


def digest(data: bytes) -> str:
    """Return the key of what is to be done."""
    return sha256(data).hexdigest()[:32]


def _destination(value: dict[str, Any]) -> str | None:
    place = value.get("destination")
    if place is None and "destinationBucket" in value:
        place = f"s3://{value['destinationBucket']}/{value.get('fileName') or ''}"
        # Without a name, it is named after its recording.
        place = None if place.endswith("/") else place
    return place if isinstance(place, str) else None


def parse_job(job: Job, unknown: UnknownKeys = "refuse") -> PlainJob | CommandJob:
    """Read a job in full; an object with a key `method` is a command.

    unknown: what becomes of a command's unknown keys, as in `parse_command`.

    Raises InvalidRequestError naming every wrong field.
    """
    value = parse_json(job.data, "job", _FORM)
    if "method" in value:
        from audioengine.commands.requests import parse_command

        return CommandJob(*parse_command(value, unknown=unknown))
    return replace(_plain_job(value), makes_folders=job.makes_folders)


def _line_options(value: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """What a line says of options; `problems` is added to where it is wrong."""
    options = {}
    for key, one in LINE_OPTIONS.items():
        # Null says nothing.
        if (given := value.get(key)) is not None:
            try:
                options[one.name] = one.kind.judge(given, key, one.option)
            except InvalidRequestError as error:
                problems += error.problems
    return options


def _with_transcripts(modification: Modification, told: Modification) -> Modification:
    """The edit with the transcripts that its line names beside it.

    Raises InvalidRequestError where both name some.
    """
    if not told.transcripts:
        return modification
    if modification.transcripts:
        rule = "must be given once: in the line or in its modification"
        raise InvalidRequestError.of("transcript", told.transcripts[0].place, rule)
    return replace(modification, transcripts=told.transcripts, redact=told.redact)


def _plain_job(value: dict[str, Any]) -> PlainJob:
    from pydantic import ValidationError

    from audioengine.batch.manifest_wire import PlainJobLine
    from audioengine.params import field_problem

    problems: list[Problem] = []
    options = _line_options(value, problems)
    known = ", ".join((*_KEYS, *LINE_OPTIONS))
    try:
        wire = PlainJobLine.model_validate(
            {key: value[key] for key in value if key not in LINE_OPTIONS}
        )
    except ValidationError as error:
        problems += [
            field_problem(one["type"], one["loc"], one["input"], one["msg"], "job", known)
            for one in error.errors()
        ]
    if problems:
        raise InvalidRequestError(problems)
    if wire.source == wire.destination:
        # Done twice, after a kill, the edit would be made of its own result.
        rule = "must not be the source: a batch can be resumed, and an edit in place can't"
        raise InvalidRequestError.of("destination", wire.destination, rule)
    if wire.version is not None and not wire.source.startswith("s3://"):
        rule = "must be given only for a source that begins with s3://"
        raise InvalidRequestError.of("version", wire.version, rule)
    modification = _with_transcripts(
        Modification.from_params(wire.modification),
        Modification.from_params({"transcript": wire.transcript, "redact": wire.redact}),
    )
    return PlainJob(
        wire.source,
        wire.destination,
        modification,
        wire.start_time_ms,
        options,
        wire.version,
    )
