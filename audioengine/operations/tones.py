# SPDX-License-Identifier: Apache-2.0
"""`find_dtmf` finds telephone keys (DTMF) in a recording."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from statistics import median

import numpy as np

from audioengine.choices import CallerChannel
from audioengine.edits import Edits, Party, Span, resolve
from audioengine.edits.modification import MASK_PARTIES
from audioengine.errors import InvalidRequestError
from audioengine.operations.hashing import sha256_hex
from audioengine.operations.options import SharedOptions
from audioengine.operations.recording import Recording, open_recording
from audioengine.operations.workers import worker_count
from audioengine.redaction.dtmf import (
    LONGEST_ECHO_S,
    PAUSE_S,
    Frames,
    KeyString,
    ToneScan,
    Windows,
    echo_lags,
    strings,
)
from audioengine.redaction.finding import Finding, Findings, Origin
from audioengine.render.workers import executor_of
from audioengine.report import DtmfReport, IntervalReport, KeysReport
from audioengine.sources.leg import Samples
from audioengine.storage import S3Options, SourceLike
from audioengine.times import Interval, exact
from audioengine.version import VERSION

GUARD_MS = 60
"""The guard of strings: analysis windows find edges to 8 ms, and MP3 smears them."""
KIND = "DTMF"
_BLOCK_S = 30
_QUIETER_DB = 3
"""Of two strings at the same time, the echo is the quieter one."""


@dataclass(frozen=True, slots=True)
class HeardKeys:
    """A string of keys in one channel of a recording."""

    channel: int
    string: KeyString
    echo_of: int | None = None
    """The channel of which it is an echo."""
    lags_s: tuple[float, float] = (0, 0)
    """The shortest and the longest delay of the echo."""

    @property
    def start_s(self) -> float:
        """Its start in seconds; of an echo, the earliest possible one."""
        return self.string.start_s + self.lags_s[0]

    @property
    def end_s(self) -> float:
        """Its end in seconds; of an echo, the latest possible one."""
        return self.string.end_s + self.lags_s[1]


def find_dtmf(
    source: SourceLike,
    *,
    min_keys: int = 3,
    caller_channel: CallerChannel = "left",
    allow_truncated: bool = False,
    s3: S3Options | None = None,
    workers: int | None = None,
) -> Findings:
    """Find strings of keys (DTMF) in a recording, and their echo on the other party's channel.

    The whole recording is decoded, in blocks. A pause of more than 3 s ends a string. Each string
    is a finding of the kind ``DTMF``; findings do not name the keys.

    min_keys: ignores strings of fewer keys, at least 1. Two of the keys must be heard clearly;
        with 1, a voice or music as loud as keys may be taken for one.

    Raises InvalidRequestError, MalformedAudioError, UnsupportedAudioError, StorageError.
    """
    with open_recording(source, allow_truncated=allow_truncated, s3=s3) as recording:
        return _findings(recording, min_keys, caller_channel, workers)


def _findings(
    recording: Recording, min_keys: int, caller_channel: CallerChannel, workers: int | None
) -> Findings:
    party_of(0, caller_channel)
    heard = heard_strings(recording, min_keys, workers)
    origin = Origin("audio", sha256_hex(recording.file))
    mono = recording.index.format.channels == 1
    items = tuple(
        Finding(
            None if mono else party_of(one.channel, caller_channel),
            Interval(round(one.start_s, 3), round(one.end_s, 3)),
            KIND,
            origin=origin,
        )
        for one in heard
    )
    return Findings(items, (origin,), guard_ms=GUARD_MS, join_ms=1000 * PAUSE_S)


def with_tones(
    edits: Edits, recording: Recording, options: SharedOptions, workers: int | None = None
) -> Edits:
    """Add masks of telephone keys, if `options` ask for it."""
    if not options.mask_dtmf:
        return edits
    started = time.perf_counter()
    index = recording.index
    asked = _findings(recording, options.min_keys, options.caller_channel, workers).modification()
    # Their guard may reach behind the end, which is no mistake here.
    mask = {
        party: [_clipped(one, index.samples, index.format.rate_hz) for one in intervals]
        for party, intervals in asked.mask.items()
    }
    # On a clock of their own: the zero of the request's own masks does not matter.
    more = resolve(
        options.completed(replace(asked, mask=mask)),
        rate_hz=index.format.rate_hz,
        samples=index.samples,
    )
    masks = sorted((*edits.masks, *more.masks), key=lambda one: MASK_PARTIES.index(one.party))
    seconds = time.perf_counter() - started
    heard = tuple(replace(one, wall_seconds=seconds) for one in more.findings)
    # A recording without keys needs no warning.
    warnings = [one for one in more.warnings if one.code != "no_findings"]
    return replace(
        edits,
        masks=tuple(masks),
        warnings=(*edits.warnings, *warnings),
        findings=(*edits.findings, *heard),
    )


def _clipped(interval: Interval, samples: int, rate_hz: int) -> Interval:
    """The interval, open at its end if it reaches past the recording."""
    end = None if interval.end is None else exact(interval.end, "to")
    return interval if end is None or end * rate_hz < samples else Interval(interval.start, None)


def dtmf_report(
    source: SourceLike,
    *,
    min_keys: int = 3,
    show_digits: bool = False,
    caller_channel: CallerChannel = "left",
    allow_truncated: bool = False,
    s3: S3Options | None = None,
    workers: int | None = None,
) -> DtmfReport:
    """List the strings that `find_dtmf` finds; with `show_digits`, with their keys.

    Raises what `find_dtmf` raises.
    """
    started = time.perf_counter()
    party_of(0, caller_channel)
    with open_recording(source, allow_truncated=allow_truncated, s3=s3) as recording:
        index = recording.index
        rate_hz, mono = index.format.rate_hz, index.format.channels == 1
        found = [
            KeysReport(
                party="both" if mono else party_of(one.channel, caller_channel),
                interval=IntervalReport.of(_span(one, rate_hz, index.samples), rate_hz),
                keys=len(one.string.keys),
                echo=one.echo_of is not None,
                digits="".join(key.key for key in one.string.keys) if show_digits else None,
            )
            for one in heard_strings(recording, min_keys, workers)
        ]
        return DtmfReport(
            strings=tuple(found),
            samples=index.samples,
            rate_hz=rate_hz,
            warnings=recording.warnings,
            version=VERSION,
            wall_seconds=time.perf_counter() - started,
        )


def party_of(channel: int, caller_channel: CallerChannel) -> Party:
    """The party on a channel of a stereo recording.

    Raises InvalidRequestError if `caller_channel` is neither left nor right.
    """
    if caller_channel not in ("left", "right"):
        raise InvalidRequestError.of("caller_channel", caller_channel, "must be left or right")
    return "caller" if (channel == 0) == (caller_channel == "left") else "callee"


def _span(heard: HeardKeys, rate_hz: int, samples: int) -> Span:
    return Span(round(heard.start_s * rate_hz), min(samples, round(heard.end_s * rate_hz)))


def heard_strings(
    recording: Recording, min_keys: int = 3, workers: int | None = None
) -> tuple[HeardKeys, ...]:
    """The strings in all channels of a recording and their echoes, in order of start.

    Raises InvalidRequestError if `min_keys` is no whole number of at least 1.
    """
    if isinstance(min_keys, bool) or not isinstance(min_keys, Integral) or min_keys < 1:
        raise InvalidRequestError.of("min_keys", min_keys, "must be a whole number, at least 1")
    frames = Frames(recording.index.format.rate_hz)
    scans = [ToneScan(frames.hop_s) for _ in range(recording.index.format.channels)]
    count = worker_count(workers)
    executor = executor_of(count)
    try:
        for block in _blocks(recording, frames, executor, 2 * count):
            for scan, windows in zip(scans, block, strict=True):
                scan.add(windows)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
    found = [
        HeardKeys(channel, string)
        for channel, scan in enumerate(scans)
        for string in strings(scan.finish(), min_keys)
    ]
    if len(scans) == 2:
        found = _with_echoes(recording, found)
    return tuple(sorted(found, key=lambda one: (one.start_s, one.end_s)))


def _with_echoes(recording: Recording, found: list[HeardKeys]) -> list[HeardKeys]:
    """The strings, echoes marked as such, with echoes too weak to be found as strings added."""
    named = [
        replace(one, echo_of=1 - one.channel)
        if any(_level(one) < _level(other) - _QUIETER_DB for other in found if _meet(one, other))
        else one
        for one in found
    ]
    echoes = [_echo(recording, one) for one in named if one.echo_of is None]
    return named + [
        echo
        for echo in echoes
        if echo is not None
        and not any(
            one.channel == echo.channel
            and one.string.start_s <= echo.start_s + GUARD_MS / 1000
            and echo.end_s <= one.string.end_s + GUARD_MS / 1000
            for one in named
        )
    ]


def _meet(one: HeardKeys, other: HeardKeys) -> bool:
    """Whether they are on different channels and no further apart than an echo's delay."""
    return (
        one.channel != other.channel
        and one.string.start_s <= other.string.end_s + LONGEST_ECHO_S
        and other.string.start_s <= one.string.end_s
    )


def _level(heard: HeardKeys) -> float:
    return median(key.row_db + key.column_db for key in heard.string.keys) / 2


def _blocks(
    recording: Recording, frames: Frames, executor: Executor, ahead: int
) -> Iterator[list[Windows]]:
    """The windows of each channel, block by block; blocks are computed in parallel."""
    total = frames.count(recording.index.samples)
    size = round(_BLOCK_S * frames.rate_hz / frames.hop)
    coming: deque[Future[list[Windows]]] = deque()
    for first in range(0, total, size):
        last = min(total, first + size)
        coming.append(executor.submit(partial(_block, recording, frames, first, last)))
        if len(coming) > ahead:
            yield coming.popleft().result()
    while coming:
        yield coming.popleft().result()


def _block(recording: Recording, frames: Frames, first: int, last: int) -> list[Windows]:
    pcm = _samples(recording, *frames.span(first, last))
    return [frames.of(np.ascontiguousarray(pcm[:, channel])) for channel in range(pcm.shape[1])]


def _samples(recording: Recording, begin: int, end: int) -> Samples:
    """[shape=(end - begin, channels)] The samples, silent outside the recording."""
    index = recording.index
    low, high = max(0, begin), min(index.samples, end)
    (pcm,) = recording.read_pcm([Span(index.start + low, index.start + high)])
    return np.pad(pcm, ((low - begin, end - high), (0, 0)))


def _echo(recording: Recording, heard: HeardKeys) -> HeardKeys | None:
    """The string's echo on the other channel; None if it has none."""
    rate_hz = recording.index.format.rate_hz
    begin = round(heard.string.start_s * rate_hz)
    end = round((heard.string.end_s + LONGEST_ECHO_S) * rate_hz)
    other = 1 - heard.channel
    pcm = _samples(recording, begin, min(end, recording.index.samples))
    lags = echo_lags(heard.string, np.ascontiguousarray(pcm[:, other]), rate_hz)
    return None if lags is None else HeardKeys(other, heard.string, heard.channel, lags)
