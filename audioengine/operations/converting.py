# SPDX-License-Identifier: Apache-2.0
"""`convert` encodes a recorder's files as one MP3 recording, once and exact on its clock."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction

from audioengine.choices import CallerChannel
from audioengine.edits import Span, join
from audioengine.errors import InvalidRequestError
from audioengine.notices import Notice
from audioengine.operations.captured import CaptureFile, opened_capture
from audioengine.operations.facts import facts_of
from audioengine.operations.first_encode import checked_kbps, encode_samples, output_file
from audioengine.operations.hashing import sha256_hex
from audioengine.operations.legs import PARTIES, Legs, ends_apart, opened_legs
from audioengine.operations.outputs import open_output
from audioengine.operations.workers import worker_count
from audioengine.plan.bitrate import first_kbps
from audioengine.plan.encode import RATES_HZ, format_for
from audioengine.plan.spans import without
from audioengine.render.execute import Progress
from audioengine.render.section import SECTION_SAMPLES
from audioengine.render.workers import executor_of
from audioengine.report import (
    BitratesReport,
    ConvertReport,
    IntervalReport,
    LegReport,
    PartyReport,
    StreamReport,
)
from audioengine.sources.channels import ChannelLeg, Swapped
from audioengine.sources.leg import Sound
from audioengine.sources.meter import Metered
from audioengine.sources.mp3 import Mp3Sound
from audioengine.sources.opening import open_sound
from audioengine.sources.raw import RawFormat, raw_format
from audioengine.sources.together import lay_together
from audioengine.sources.windows import SoundWindows
from audioengine.storage import DestinationLike, S3Options, Source, SourceLike, open_source
from audioengine.times import Number
from audioengine.version import VERSION

MAX_APART_S = 2

_CHANNELS = ("left", "right")


@dataclass(frozen=True, slots=True)
class CallPiece:
    """A file in a call."""

    party: str
    kind: str
    source: Source
    samples: int
    rate: int
    channels: int
    starts_at: Fraction | None
    span: Span
    """Its position in the call."""


@dataclass(frozen=True)
class Call:
    """The files of one call on its clock, ready to be encoded."""

    sound: Sound
    parties: tuple[str, ...]
    """The party on each channel."""
    pieces: tuple[CallPiece, ...]
    starts_at: Fraction | None
    warnings: tuple[Notice, ...]
    streams: tuple[StreamReport, ...] = ()
    meta: str | None = None

    def spans(self, party: str) -> tuple[Span, ...]:
        """Where a party has files."""
        return join(one.span for one in self.pieces if one.party in (party, "both"))


def convert(
    source: SourceLike | Legs | CaptureFile,
    destination: DestinationLike,
    *,
    raw: RawFormat | str | None = None,
    caller_channel: CallerChannel = "left",
    swap: bool = False,
    kbps: int | None = None,
    max_apart_s: Number = MAX_APART_S,
    allow_truncated: bool = False,
    s3: S3Options | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ConvertReport:
    """Make a tagged MP3 of a recorder's files: one file of both parties, or files of each.

    Sample k of a leg is placed at round((start − earliest start) · rate) + k, at the highest rate
    of all legs. Where a party has no file, its channel is silent. A file of one channel becomes a
    mono recording. A sampling rate that MP3 lacks is resampled to the next higher one. The output
    decodes to exactly the planned number of samples.

    source: a file of both parties, as a path, s3://bucket/key, bytes, a readable binary file object
        or an object of a storage; or `Legs`, or a `CaptureFile`. Formats are detected from bytes.
    raw: the format of a `source` without a header: ``ulaw:8000:2``.
    caller_channel: the caller's channel in the output.
    swap: exchange the two channels of `source`.
    kbps: bitrate of the output; by default 32 up to 12 kHz, 48 at 16 kHz, 64 up to 24 kHz and 128
        above; for mono 16, 32, 48 and 64.
    max_apart_s: the largest difference between a file's length and its times before the file is
        refused, and between the ends of the parties before a warning.
    allow_truncated: accept files that are cut off, by their headers.

    Raises InvalidRequestError, MalformedAudioError, UnsupportedAudioError, LimitError and
    StorageError. Nothing is published then.
    """
    workers = worker_count(workers)
    if caller_channel not in _CHANNELS:
        raise InvalidRequestError.of("caller_channel", caller_channel, "must be left or right")
    with opened_call(
        source,
        raw=raw,
        caller_channel=caller_channel,
        swap=swap,
        max_apart_s=max_apart_s,
        allow_truncated=allow_truncated,
        s3=s3,
    ) as call:
        return encode_call(call, destination, kbps=kbps, s3=s3, workers=workers, progress=progress)


def opened_call(
    source: SourceLike | Legs | CaptureFile,
    *,
    raw: RawFormat | str | None = None,
    caller_channel: CallerChannel = "left",
    swap: bool = False,
    max_apart_s: Number = MAX_APART_S,
    allow_truncated: bool = False,
    s3: S3Options | None = None,
) -> AbstractContextManager[Call]:
    """Open the source of `convert`; arguments and errors are those of `convert`."""
    if isinstance(source, (Legs, CaptureFile)) and (raw is not None or swap):
        rule = "applies only to a file of both parties; each leg has its own raw and party"
        raise InvalidRequestError.of("raw" if raw is not None else "swap", raw or swap, rule)
    if isinstance(source, CaptureFile):
        return call_of_capture(source, caller_channel, s3)
    if isinstance(source, Legs):
        return call_of_legs(
            source, caller_channel, max_apart_s=max_apart_s, allow_truncated=allow_truncated, s3=s3
        )
    return _call_of_file(
        source, raw, caller_channel, swap=swap, allow_truncated=allow_truncated, s3=s3
    )


def encode_call(
    call: Call,
    destination: DestinationLike,
    *,
    kbps: int | None = None,
    s3: S3Options | None = None,
    workers: int,
    progress: Progress | None = None,
) -> ConvertReport:
    """Write a call; arguments and errors are those of `convert`."""
    started = time.perf_counter()
    sound = Metered(call.sound)
    format = format_for(sound.rate, sound.channels)
    assert format is not None
    kbps = checked_kbps(first_kbps(format) if kbps is None else kbps, format)
    windows = SoundWindows(sound, SECTION_SAMPLES, workers)
    with (
        closing(open_output(destination, s3)) as staging,
        executor_of(min(workers, 2)) as beside,
    ):
        digests = [beside.submit(sha256_hex, piece.source) for piece in call.pieces]
        rendered = encode_samples(windows, sound.length, format, kbps, staging, workers, progress)
        output = output_file(staging, sound.length, format, rendered)
        source_digests = [digest.result() for digest in digests]
        for piece in call.pieces:
            piece.source.check_unchanged()
        staging.publish(facts_of(source_digests))
    return ConvertReport(
        sources=tuple(
            _leg_report(piece, digest, sound.rate)
            for piece, digest in zip(call.pieces, source_digests, strict=True)
        ),
        output=output,
        start_time_ms=_ms(call.starts_at),
        parties=_parties(call, sound),
        overlap=_intervals(
            without(call.spans("caller"), without(call.spans("caller"), call.spans("callee"))),
            sound.rate,
        ),
        render="encoded",
        bitrates=BitratesReport(kbps, rendered.bitrates, rendered.raised, rendered.lowered),
        warnings=call.warnings,
        version=VERSION,
        wall_seconds=time.perf_counter() - started,
        streams=call.streams,
        meta=call.meta,
    )


@contextmanager
def call_of_capture(
    capture: CaptureFile, caller_channel: CallerChannel, s3: S3Options | None
) -> Iterator[Call]:
    """Open a capture and lay its legs on one clock; raises what `opened_capture` does."""
    with opened_capture(capture, s3) as found:
        rate = mp3_rate(max(leg.rate for leg in found.legs.values()))
        parties = _in_channels(caller_channel)
        together = lay_together([[found.legs[p]] if p in found.legs else [] for p in parties], rate)
        spans = {
            party: places[0].span
            for party, places in zip(parties, together.legs, strict=True)
            if places
        }
        pieces = [
            CallPiece(
                party,
                "a packet capture",
                found.source,
                leg.length,
                leg.rate,
                1,
                leg.starts_at,
                spans[party],
            )
            for party, leg in found.legs.items()
        ]
        yield Call(
            together,
            parties,
            tuple(pieces),
            min(leg.starts_at for leg in found.legs.values()),
            found.warnings,
            found.stream_reports({party: span.start for party, span in spans.items()}, rate),
            found.meta,
        )


@contextmanager
def _call_of_file(
    source: SourceLike,
    raw: RawFormat | str | None,
    caller_channel: CallerChannel,
    *,
    swap: bool,
    allow_truncated: bool,
    s3: S3Options | None,
) -> Iterator[Call]:
    with closing(open_source(source, s3)) as place:
        opened = open_sound(place, raw_format(raw), allow_truncated=allow_truncated)
        sound = opened.sound
        if isinstance(sound, Mp3Sound):
            rule = f"must not be an MP3, but is {opened.kind}; use store, which keeps its frames"
            raise InvalidRequestError.of("source", opened.kind, rule)
        if swap and sound.channels == 1:
            raise InvalidRequestError.of("swap", swap, "must be False: the file has one channel")
        whole = _at_mp3_rate(Swapped(sound) if swap else sound)
        parties = ("both",) if sound.channels == 1 else _in_channels(caller_channel)
        piece = CallPiece(
            "both",
            opened.kind,
            place,
            sound.length,
            sound.rate,
            sound.channels,
            None,
            Span(0, whole.length),
        )
        yield Call(whole, parties, (piece,), None, opened.warnings)


@contextmanager
def call_of_legs(
    legs: Legs,
    caller_channel: CallerChannel,
    *,
    max_apart_s: Number,
    allow_truncated: bool,
    s3: S3Options | None,
) -> Iterator[Call]:
    """Open the legs of a call and lay them on one clock; raises what `opened_legs` does."""
    with opened_legs(
        legs, max_apart_s=max_apart_s, allow_truncated=allow_truncated, s3=s3
    ) as opened:
        rate = mp3_rate(max(one.leg.rate for one in opened))
        parties = _in_channels(caller_channel)
        by_channel = [[one for one in opened if one.party == party] for party in parties]
        together = lay_together([[one.leg for one in channel] for channel in by_channel], rate)
        placed = zip(by_channel, together.legs, strict=True)
        spans = {
            id(one): place.span
            for channel, places in placed
            for one, place in zip(channel, places, strict=True)
        }
        apart = ends_apart(opened, max_apart_s)
        warnings = [notice for one in opened for notice in one.opened.warnings]
        yield Call(
            together,
            parties,
            tuple(
                CallPiece(
                    one.party,
                    one.opened.kind,
                    one.source,
                    one.leg.length,
                    one.leg.rate,
                    1,
                    one.leg.starts_at,
                    spans[id(one)],
                )
                for one in opened
            ),
            min((one.leg.starts_at for one in opened if one.leg.starts_at), default=None),
            (*warnings, *([apart] if apart else [])),
        )


def _in_channels(caller_channel: CallerChannel) -> tuple[str, ...]:
    """The parties of the left and the right channel."""
    return PARTIES if caller_channel == "left" else PARTIES[::-1]


def mp3_rate(rate: int) -> int:
    """The lowest MP3 sampling rate that is not below this rate, else the highest."""
    return next((one for one in RATES_HZ if one >= rate), RATES_HZ[-1])


def _at_mp3_rate(sound: Sound) -> Sound:
    rate = mp3_rate(sound.rate)
    if rate == sound.rate:
        return sound
    return lay_together(
        [[ChannelLeg(sound, channel, None)] for channel in range(sound.channels)], rate
    )


def _leg_report(piece: CallPiece, sha256: str, rate: int) -> LegReport:
    return LegReport(
        party=piece.party,
        kind=piece.kind,
        sha256=sha256,
        bytes=piece.source.size,
        samples=piece.samples,
        rate_hz=piece.rate,
        channels=piece.channels,
        start_time_ms=_ms(piece.starts_at),
        interval=IntervalReport.of(piece.span, rate),
    )


def _parties(call: Call, sound: Metered) -> tuple[PartyReport, ...]:
    whole = Span(0, sound.length)
    out = []
    for channel, (party, level) in enumerate(zip(call.parties, sound.levels(), strict=True)):
        spans = call.spans(party)
        out.append(
            PartyReport(
                party=party,
                channel="mono" if len(call.parties) == 1 else _CHANNELS[channel],
                level_dbfs=level.rms_dbfs(sum(span.length for span in spans)),
                peak_dbfs=level.peak_dbfs,
                clipped_samples=level.clipped,
                silence=_intervals(without([whole], spans), sound.rate),
            )
        )
    return tuple(
        sorted(out, key=lambda one: PARTIES.index(one.party) if one.party in PARTIES else 0)
    )


def _intervals(spans: Sequence[Span], rate: int) -> tuple[IntervalReport, ...]:
    return tuple(IntervalReport.of(span, rate) for span in spans)


def _ms(time_ms: Fraction | None) -> float | None:
    return None if time_ms is None else float(time_ms)
