# SPDX-License-Identifier: Apache-2.0
"""How transcripts are read, and what of them is masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias, cast, get_args

from audioengine.declaration import NumberPair, Option, check_options, declared
from audioengine.edits import Party
from audioengine.errors import InvalidRequestError
from audioengine.times import Number

Agent: TypeAlias = Literal["unknown", "caller", "callee"]
TranscriptFormat: TypeAlias = Literal[
    "auto",
    "amazon-transcribe",
    "amazon-transcribe-streaming",
    "contact-lens",
    "deepgram",
    "assemblyai",
    "azure-pii",
    "azure-speech",
    "google-speech",
    "google-insights",
    "whisper",
    "whisper-cpp",
    "words",
]


@declared
@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptOptions:
    """How transcripts are read. Raises InvalidRequestError where an option is wrong."""

    redact: Annotated[
        tuple[str, ...],
        Option(
            "Which kinds of what a transcript tells are masked, with * and ?; ALL is all. Where it "
            "has words alone: card-number, cvv, expiry.",
            flag="--redact",
        ),
    ] = ()
    format: Annotated[
        TranscriptFormat,
        Option("What transcripts are; auto tells by what is in them.", flag="--transcript-format"),
    ] = "auto"
    agent: Annotated[
        Agent,
        Option(
            "Which party the agent is, for transcripts with roles; unknown masks both.",
            flag="--agent",
        ),
    ] = "unknown"
    channel_map: Annotated[
        tuple[str, ...],
        Option(
            "Which party a channel of transcripts is, as ch_0=caller; by default the first one is "
            "the left one.",
            flag="--channel-map",
        ),
    ] = ()
    min_confidence: Annotated[
        Number,
        Option(
            "Leave out findings of which a transcript is less sure.",
            at_least=0,
            at_most=1,
            flag="--min-confidence",
        ),
    ] = 0
    guard_ms: Annotated[
        NumberPair,
        Option(
            "Widen findings of transcripts on both sides, or before and after: their edges are "
            "late. The guard of masks comes on top.",
            unit="ms",
            at_least=0,
            flag="--transcript-guard-ms",
        ),
    ] = 150
    join_ms: Annotated[
        Number,
        Option(
            "Join findings of one party that are no further apart.",
            unit="ms",
            at_least=0,
            flag="--join-ms",
        ),
    ] = 300
    require_match: Annotated[
        bool,
        Option("Fail where transcripts tell of nothing to mask.", flag="--require-match"),
    ] = False

    def __post_init__(self) -> None:
        check_options(self, "transcript.")
        self.parties()

    def parties(self) -> Mapping[str, Party] | None:
        """Return the parties of channels by their names; None: nothing is said of them."""
        named: dict[str, Party] = {}
        for text in self.channel_map:
            name, _, party = text.rpartition("=")
            if not name or party not in get_args(Party):
                rule = "must be CHANNEL=caller or CHANNEL=callee, for instance ch_0=callee"
                raise InvalidRequestError.of("transcript.channel_map", text, rule)
            if name in named:
                rule = "must name each channel once"
                raise InvalidRequestError.of("transcript.channel_map", text, rule)
            named[name] = cast(Party, party)
        return named or None
