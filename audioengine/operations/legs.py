# SPDX-License-Identifier: Apache-2.0
"""Opens the files of each party that `convert` takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction

from audioengine.errors import (
    AudioEngineError,
    InvalidRequestError,
    MalformedAudioError,
    Problem,
    UnsupportedAudioError,
)
from audioengine.notices import Notice
from audioengine.sources.channels import ChannelLeg
from audioengine.sources.opening import Opened, open_sound
from audioengine.sources.raw import RawFormat, raw_format
from audioengine.storage import S3Options, Source, SourceLike, open_source
from audioengine.times import MAX_EPOCH_MS, MIN_EPOCH_MS, Number, exact, plain

PARTIES = ("caller", "callee")


@dataclass(frozen=True, slots=True)
class LegFile:
    """A file of one party's voice."""

    source: SourceLike
    """A path, s3://bucket/key, bytes, a readable binary file object, or an object of a storage."""
    start_time_ms: Number | None = None
    """Epoch time of its first sample; None: not known."""
    end_time_ms: Number | None = None
    """Epoch time of its end, by the recorder. A file of another length is refused, because it lacks
    part of the call."""
    raw: RawFormat | str | None = None
    """The format of a file without a header: ``ulaw:8000:1``."""


@dataclass(frozen=True, slots=True)
class Legs:
    """The files of a call.

    Each party has one file, several in order, or None if it was never heard.
    """

    caller: LegFile | SourceLike | Sequence[LegFile] | None = None
    callee: LegFile | SourceLike | Sequence[LegFile] | None = None


@dataclass(frozen=True, slots=True)
class OpenLeg:
    """A leg that is open."""

    party: str
    source: Source
    opened: Opened
    leg: ChannelLeg
    ends_at: Fraction | None
    """Epoch time in milliseconds, by the recorder."""


@contextmanager
def opened_legs(
    legs: Legs, *, max_apart_s: Number, allow_truncated: bool, s3: S3Options | None
) -> Iterator[list[OpenLeg]]:
    """Open all files of a call.

    Raises InvalidRequestError for an invalid request, a leg of two channels, and a leg whose length
    contradicts its times; otherwise what `open_sound` and `open_source` raise.
    """
    asked = [(party, at, leg) for party in PARTIES for at, leg in _files(legs, party)]
    _check_times(asked)
    with ExitStack() as stack:
        out = []
        for party, path, file in asked:
            source = open_source(file.source, s3)
            stack.callback(source.close)
            try:
                sound = open_sound(source, raw_format(file.raw), allow_truncated=allow_truncated)
            except (MalformedAudioError, UnsupportedAudioError) as error:
                raise _named(error, path) from error
            if sound.sound.channels != 1:
                rule = (
                    "must be a file of one channel; this is "
                    f"{sound.kind} of two: pass it alone if it holds both parties"
                )
                raise InvalidRequestError.of(path, _shown(file), rule)
            starts_at = _time(file.start_time_ms, path)
            ends_at = _time(file.end_time_ms, path)
            leg = ChannelLeg(sound.sound, 0, starts_at)
            out.append(OpenLeg(party, source, sound, leg, ends_at))
        _check_lengths(out, exact(max_apart_s, "max_apart_s"))
        yield out


def ends_apart(legs: Sequence[OpenLeg], max_apart_s: Number) -> Notice | None:
    """A warning if the parties' legs end at different times, because pauses may be missing."""
    ends: dict[str, Fraction] = {}
    for one in legs:
        start_s = (one.leg.starts_at or 0) / Fraction(1000)
        end = start_s + Fraction(one.leg.length, one.leg.rate)
        ends[one.party] = max(end, ends.get(one.party, end))
    if len(ends) < 2:
        return None
    apart = ends["caller"] - ends["callee"]
    if abs(apart) <= exact(max_apart_s, "max_apart_s"):
        return None
    later, earlier = PARTIES if apart > 0 else PARTIES[::-1]
    return Notice(
        "legs_end_apart",
        f"The {later}'s leg ends {plain(abs(apart))} s after the {earlier}'s. If both were "
        "recorded to the end of the call, the recorder left out pauses, and everything after them "
        "is heard too early: Asterisk's MixMonitor needs the option S, and rtpengine's single "
        "files can't be synchronised.",
    )


def _files(legs: Legs, party: str) -> Iterator[tuple[str, LegFile]]:
    given = getattr(legs, party)
    if given is None:
        return
    if isinstance(given, (list, tuple)):
        for number, file in enumerate(given):
            if not isinstance(file, LegFile):
                raise InvalidRequestError.of(f"{party}[{number}]", file, "must be a LegFile")
            yield f"{party}[{number}]", file
        return
    yield party, given if isinstance(given, LegFile) else LegFile(given)


def _check_times(asked: Sequence[tuple[str, str, LegFile]]) -> None:
    if not asked:
        rule = "must have a file of the caller or the callee"
        raise InvalidRequestError.of("legs", "none", rule)
    problems = []
    timed = [file.start_time_ms is not None for _, _, file in asked]
    for _, path, file in asked:
        if file.start_time_ms is None and (any(timed) or file.end_time_ms is not None):
            rule = "must be given: other legs have a time, and all must share one clock"
            problems.append(Problem(f"{path}.start_time_ms", None, rule))
    if not any(timed):
        problems += [
            Problem(f"{path}.start_time_ms", None, "must be given: the party has several legs")
            for _, path, _ in asked
            if path.endswith("]") and not path.endswith("[0]")
        ]
    if problems:
        raise InvalidRequestError(problems)


def _time(value: Number | None, path: str) -> Fraction | None:
    if value is None:
        return None
    time = exact(value, f"{path}.start_time_ms")
    if not MIN_EPOCH_MS < time < MAX_EPOCH_MS:
        rule = "must be epoch milliseconds, more than 10^11 and less than 10^14"
        raise InvalidRequestError.of(f"{path}.start_time_ms", value, rule)
    return time


def _check_lengths(legs: Sequence[OpenLeg], most_s: Fraction) -> None:
    """Raise InvalidRequestError if a leg's length contradicts its times."""
    problems = []
    for one in legs:
        if one.ends_at is None or one.leg.starts_at is None:
            continue
        told_s = (one.ends_at - one.leg.starts_at) / 1000
        length_s = Fraction(one.leg.length, one.leg.rate)
        if abs(told_s - length_s) > most_s:
            less = "lacks" if length_s < told_s else "has too much, or the times are another's:"
            rule = (
                f"contradicts the file, which lasts {plain(length_s)} s while the times give "
                f"{plain(told_s)} s: it {less} {plain(abs(told_s - length_s))} s at an unknown "
                "place. Recorders that leave out pauses (rtpengine's single files, Asterisk's "
                "MixMonitor without the option S) make such files; use the mixed file, or S"
            )
            problems.append(Problem(f"{one.party}.end_time_ms", plain(one.ends_at), rule))
    if problems:
        raise InvalidRequestError(problems)


def _named(error: MalformedAudioError | UnsupportedAudioError, path: str) -> AudioEngineError:
    kind = MalformedAudioError if isinstance(error, MalformedAudioError) else UnsupportedAudioError
    renamed = kind(f"{path}: {error}")
    renamed.offset = error.offset
    return renamed


def _shown(file: LegFile) -> object:
    return file.source if isinstance(file.source, str) else type(file.source).__name__
