# SPDX-License-Identifier: Apache-2.0
"""The edits that a request asks for: what to keep of a recording, and what to mask in it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from audioengine.declaration import NumberPair
from audioengine.edits.findings_file import FindingsFile
from audioengine.errors import InvalidRequestError, Problem
from audioengine.notices import Notice
from audioengine.times import Interval, Number, check_mask_count, exact

Party: TypeAlias = Literal["caller", "callee"]
MaskParty: TypeAlias = Literal["caller", "callee", "both"]
Dialect: TypeAlias = Literal["sqs", "rest"]

MASK_PARTIES: tuple[MaskParty, ...] = ("caller", "callee", "both")


@dataclass(frozen=True, slots=True)
class TranscriptFile:
    """A transcript of a recording.

    Raises InvalidRequestError if a field is not of its type.
    """

    place: str
    """A path, or s3://bucket/key."""
    party: Party | None = None
    """The only speaker; None: the transcript names the speakers."""

    def __post_init__(self) -> None:
        if not isinstance(self.place, str) or not self.place:
            rule = "must be a path or s3://bucket/key"
            raise InvalidRequestError.of("transcript", self.place, rule)
        if self.party not in ("caller", "callee", None):
            rule = 'must be "caller", "callee" or None'
            raise InvalidRequestError.of("transcript.party", self.party, rule)


@dataclass(frozen=True, slots=True)
class Modification:
    """The edits of one recording: what to keep of it and what to mask in it.

    One Interval of a party stands for a list of one. `resolve` checks the times, because it knows
    the recording.

    Raises InvalidRequestError if a field is not of its type or `mask` has another key, and
    LimitError for more than MAX_MASKS intervals.
    """

    trim: Interval | None = None
    """The stretch to keep, or None for all of it; either bound may be None."""
    mask: Mapping[str, Sequence[Interval]] = field(default_factory=dict, hash=False)
    """Stretches to mask, by "caller", "callee" or "both", on the untrimmed recording's clock.

    One bound of each may be None: the mask begins at the start, or ends at the end.
    """
    absolute_times: bool = False
    """Whether all bounds are epoch milliseconds instead of relative to the recording's start."""
    guard_ms: NumberPair | None = None
    """The milliseconds by which each mask is widened on both sides, or (before, after).

    None: the options' guard."""
    relative_unit: Literal["s", "ms"] = "s"
    """Unit of relative bounds; "ms" is for commands in the REST dialect, and is whole."""
    clip_tolerance_s: Number | None = None
    """The seconds by which a bound may lie beyond the recording's end; it is clipped then.

    None: the options' tolerance."""
    transcripts: tuple[TranscriptFile, ...] = ()
    """Transcripts that say where else to mask, in seconds from the recording's start."""
    redact: tuple[str, ...] = ()
    """The kinds of findings to mask in transcripts; ``ALL`` is all. Empty: the options' kinds."""
    findings: tuple[FindingsFile, ...] = field(default=(), compare=False)
    """The files that masks come from, and what was found there."""
    notices: tuple[Notice, ...] = field(default=(), compare=False)
    """Warnings about these files."""

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        mask = _lists(self.mask, problems)
        check_mask_count(sum(map(len, mask.values())))
        if self.trim is not None and not isinstance(self.trim, Interval):
            problems.append(Problem("trim", self.trim, "must be an Interval or None"))
        if not isinstance(self.absolute_times, bool):
            problems.append(Problem("absoluteTimes", self.absolute_times, "must be true or false"))
        if self.relative_unit not in ("s", "ms"):
            problems.append(Problem("relative_unit", self.relative_unit, 'must be "s" or "ms"'))
        for party, intervals in mask.items():
            path = f"mask.{party}"
            if party not in MASK_PARTIES:
                problems.append(Problem(path, intervals, "is not one of caller, callee, both"))
            problems += [
                Problem(f"{path}[{i}]", interval, "must be an Interval")
                for i, interval in enumerate(intervals)
                if not isinstance(interval, Interval)
            ]
        if problems:
            raise InvalidRequestError(problems)
        object.__setattr__(self, "mask", mask)

    @property
    def asks(self) -> bool:
        """Whether it has a trim, a mask, or a transcript that may add masks."""
        return self.trim is not None or any(self.mask.values()) or bool(self.transcripts)

    def masked_too(self, more: Iterable[Modification]) -> Modification:
        """Return the modification with the masks of others added; their times are in seconds.

        Raises InvalidRequestError if its own times are absolute: in a recording without a tag,
        absolute and relative times have different zeros.
        """
        if self.absolute_times and (self.trim is not None or any(self.mask.values())):
            rule = "must be false if masks come from a file, whose times are relative"
            raise InvalidRequestError.of("absoluteTimes", True, rule)
        mask = {party: list(intervals) for party, intervals in self.mask.items()}
        findings, notices = list(self.findings), list(self.notices)
        for one in more:
            for party, intervals in one.mask.items():
                own = intervals if self.relative_unit == "s" else map(_in_ms, intervals)
                mask.setdefault(party, []).extend(own)
            findings += one.findings
            notices += one.notices
        return replace(
            self,
            mask=mask,
            absolute_times=False,
            findings=tuple(findings),
            notices=tuple(notices),
        )

    @classmethod
    def from_params(
        cls, params: Mapping[str, object] | str | None, dialect: Dialect = "sqs"
    ) -> Modification:
        """Read `modificationParams` of a command, as JSON values or JSON text.

        Relative times are seconds in the queue's dialect, "sqs", and milliseconds in "rest".

        Raises InvalidRequestError naming every invalid field.
        """
        from audioengine.params import parse  # pydantic is slow to import

        if dialect not in ("sqs", "rest"):
            raise InvalidRequestError.of("dialect", dialect, 'must be "sqs" or "rest"')
        wire = parse(params)
        return cls(
            trim=wire.trim,
            mask=wire.mask,
            absolute_times=wire.absolute_times,
            relative_unit="ms" if dialect == "rest" else "s",
            transcripts=tuple(TranscriptFile(*one) for one in wire.transcripts),
            redact=wire.redact,
        )


def _in_ms(interval: Interval) -> Interval:
    """An interval in seconds as whole milliseconds, rounded outward."""
    start, end = interval.start, interval.end
    return Interval(
        None if start is None else math.floor(exact(start, "from") * 1000),
        None if end is None else math.ceil(exact(end, "to") * 1000),
        interval.origin,
    )


def _lists(mask: object, problems: list[Problem]) -> dict[str, tuple[Interval, ...]]:
    """The intervals of each party; none, with a problem added, if it is no mapping."""
    if not isinstance(mask, Mapping):
        rule = 'must be a mapping of "caller", "callee" or "both" to lists of Intervals'
        problems.append(Problem("mask", mask, rule))
        return {}
    lists = {}
    for party, intervals in mask.items():
        one = (intervals,) if isinstance(intervals, Interval) else intervals
        if isinstance(one, (str, bytes, Mapping)) or not isinstance(one, Iterable):
            rule = "must be a list of Intervals; Modification.from_params reads the wire's shape"
            problems.append(Problem(f"mask.{party}", intervals, rule))
            continue
        lists[party] = tuple(one)
    return lists


def modification_of(given: object, path: str = "modification") -> Modification:
    """Return a given modification, or an empty one for None.

    Raises InvalidRequestError for anything else, also for a mapping in the wire's shape: the unit
    of its times depends on the dialect.
    """
    if given is None:
        return Modification()
    if isinstance(given, Modification):
        return given
    rule = "must be a Modification or None"
    if isinstance(given, (Mapping, str)):
        rule += '; Modification.from_params(…, "sqs") reads modificationParams in seconds, '
        rule += '"rest" in milliseconds'
    raise InvalidRequestError.of(path, given, rule)
