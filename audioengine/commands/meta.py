# SPDX-License-Identifier: Apache-2.0
"""`meta` of a RECORDINGREADY: when its streams began.

The reference's two samples lack the outer braces or the quotes around keys; both are read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from pydantic import Field

from audioengine.commands.unknown import key_problems
from audioengine.commands.wire import AbsentIfNull, Wire, WireNumber, joined_path, read_wire
from audioengine.errors import InvalidRequestError, Problem
from audioengine.json_input import parse_object
from audioengine.times import MAX_EPOCH_MS, MIN_EPOCH_MS, Number, exact

# A string, closed or not, or a word with the colon that makes it a key.
_WORDS = re.compile(r'"(?:[^"\\]|\\.)*"?|([A-Za-z_]\w*)(\s*:)?', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream(Wire):
    """One stream of a party."""

    start: WireNumber
    """Epoch milliseconds."""
    ssrc: Annotated[int, Field(strict=True)] | str | None = None


_Streams: TypeAlias = Annotated[tuple[Stream, ...], AbsentIfNull]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsInfo(Wire):
    """The streams that a recording is made of."""

    caller_streams: _Streams = ()
    callee_streams: _Streams = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta(Wire):
    """What a recorder says of a recording's file."""

    recordings_parts_info: PartsInfo

    @property
    def start_time_ms(self) -> Number | None:
        """The recording's time zero: the earliest start of all streams; None: there are none."""
        info = self.recordings_parts_info
        starts = [stream.start for stream in info.caller_streams + info.callee_streams]
        return min(starts, key=lambda start: exact(start, "start"), default=None)


def parse_meta(text: str) -> Meta:
    """Read the text of `meta`, be it JSON or almost JSON.

    Raises InvalidRequestError naming every wrong field, and where it can't be read at all.
    """
    value = parse_object(_as_json(text), "meta", "a JSON object", within="meta")
    try:
        meta = read_wire(Meta, value)
    except InvalidRequestError as error:
        problems = [Problem(joined_path("meta", p.path), p.value, p.rule) for p in error.problems]
        raise InvalidRequestError(problems) from None
    info = meta.recordings_parts_info
    # Without the streams of a misspelt key, the recording would seem to begin later.
    problems = key_problems(value, Meta, "ignore", "meta")
    inside = value["recordingsPartsInfo"]
    problems += key_problems(inside, PartsInfo, "ignore", "meta.recordingsPartsInfo")
    problems += [
        Problem(f"meta.recordingsPartsInfo.{party}[{place}].start", stream.start, _EPOCH)
        for party, streams in (
            ("callerStreams", info.caller_streams),
            ("calleeStreams", info.callee_streams),
        )
        for place, stream in enumerate(streams)
        if not MIN_EPOCH_MS < exact(stream.start, "start") < MAX_EPOCH_MS
    ]
    if problems:
        raise InvalidRequestError(problems)
    return meta


_EPOCH = "must be epoch milliseconds, more than 10^11 and less than 10^14"


def _as_json(text: str) -> str:
    """The text with quotes around its keys and braces around the whole."""
    quoted = _WORDS.sub(_quoted, text).strip()
    return quoted if quoted.startswith("{") else f"{{{quoted}}}"


def _quoted(found: re.Match[str]) -> str:
    word, colon = found.groups()
    return found[0] if colon is None else f'"{word}"{colon}'
