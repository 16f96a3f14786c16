# SPDX-License-Identifier: Apache-2.0
"""`review` makes a page that shows an edit of a recording and plays it."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from html import escape
from io import BytesIO
from math import ceil
from typing import Any

import numpy as np

from audioengine.edits import Modification, Span, join, modification_of
from audioengine.errors import InvalidRequestError
from audioengine.operations.hashing import sha256_hex
from audioengine.operations.options import StoreOptions, options_of
from audioengine.operations.recording import Recording, open_recording
from audioengine.operations.store import store
from audioengine.operations.transcripts import timed_words, with_transcripts
from audioengine.operations.workers import worker_count
from audioengine.report import IntervalReport, StoreReport
from audioengine.reviewing.audiowaveform import Extremes, numbers
from audioengine.reviewing.clips import Clip, clips_of, stretches
from audioengine.reviewing.document import page_html
from audioengine.reviewing.peaks import peaks_of, read_extremes, samples_per_pixel
from audioengine.sources.raw import RawFormat
from audioengine.storage import DestinationLike, S3Options, SourceLike, open_destination
from audioengine.times import Number, exact
from audioengine.version import VERSION

PIXELS_AT_MOST = 100_000
"""The most pixels of a whole recording's waveform; around masks, clips show every sample."""

_FINEST_PER_S = 100


@dataclass(frozen=True, eq=False, repr=False)
class ReviewPage:
    """A page for a browser: one HTML file that needs no network."""

    html: str
    report: StoreReport
    """The report of `store`."""

    def __repr__(self) -> str:
        return f"ReviewPage({len(self.html):,} characters, {len(self.report.masks)} masks)"

    def _repr_html_(self) -> str:
        """The page in a frame of its own, for notebooks; it reaches nothing of theirs."""
        return (
            '<iframe sandbox="allow-scripts allow-downloads" width="100%" height="900" '
            f'title="Review of a recording" srcdoc="{escape(self.html)}"></iframe>'
        )

    def write(self, destination: DestinationLike, *, s3: S3Options | None = None) -> None:
        """Write the page. It appears whole or not at all. Raises StorageError."""
        with closing(open_destination(destination, s3)) as staging:
            staging.write(self.html.encode())
            staging.publish()


def review(
    source: SourceLike,
    output: SourceLike | None = None,
    modification: Modification | None = None,
    options: StoreOptions = StoreOptions(),  # noqa: B008 - frozen
    *,
    start_time_ms: Number | None = None,
    after_only: bool = False,
    with_audio: bool = False,
    with_words: bool = False,
    verify: bool = False,
    raw: RawFormat | str | None = None,
    s3: S3Options | None = None,
    workers: int | None = None,
) -> ReviewPage:
    """Make a page that shows and plays a recording before and after `store`.

    The page holds both waveforms, and around each mask a clip of the source and one of the output.
    It must be kept as the source is, unless it is made with `after_only`.

    output: an output of `store`; None makes it again, in memory. If its bytes differ from those
        that `store` makes now, the page says so.
    after_only: leave out all that comes from the source: its name, digest, waveform, sound and
        warnings, and what was measured under masks.
    with_audio: hold all of both recordings, not only clips.
    with_words: show the words of the modification's transcripts around each mask.
    verify: show the verdict of `verify` too; needs ``audioengine[verify]``.

    The other arguments are those of `store`; of its options, `verify`, `refuse` and
    `fail_on_crosstalk` have no influence.

    Raises InvalidRequestError, MalformedAudioError, UnsupportedAudioError, StorageError, and
    VerificationError where `verify` finds no decoder.
    """
    options = replace(
        options_of(options, StoreOptions), verify=False, refuse=(), fail_on_crosstalk=False
    )
    count = worker_count(workers)
    files = modification_of(modification).transcripts
    if with_words and (after_only or not files):
        rule = "must be false with after_only: words are of the source"
        if not after_only:
            rule = "must be false without a transcript, which has the words"
        raise InvalidRequestError.of("with_words", True, rule)
    words = [one for file in files for one in timed_words(file, options, s3)] if with_words else []
    modification = with_transcripts(modification, options, s3)
    name = name_of(source)
    source = _reopenable(source)
    buffer = BytesIO()
    report = store(
        source,
        buffer,
        modification,
        options,
        start_time_ms=start_time_ms,
        raw=raw,
        s3=s3,
        workers=workers,
    )
    made = buffer.getvalue()
    shown: SourceLike = made if output is None else _reopenable(output)
    checks: list[dict[str, Any]] | None = None
    if verify:
        from audioengine.operations.verification import verify as judge

        verdict = judge(
            source,
            shown,
            modification,
            options,
            start_time_ms=start_time_ms,
            raw=raw,
            s3=s3,
            workers=workers,
        )
        checks = [
            {
                "name": one.name,
                "passed": one.passed,
                "message": "" if after_only else one.message,
            }
            for one in verdict.checks
        ]
    with (
        open_recording(source, allow_truncated=options.allow_truncated, s3=s3, raw=raw) as before,
        open_recording(shown, s3=s3) as after,
    ):
        made_hz, shown_hz = (one.index.format.rate_hz for one in (before, after))
        if made_hz != shown_hz:
            rule = f"must have the source's sampling rate, {made_hz} Hz"
            raise InvalidRequestError.of("output", f"{shown_hz} Hz", rule)
        digest = report.output.sha256 if output is None else sha256_hex(after.file)
        content = _Content(before, after, report, options, count, digest, after_only=after_only)
        values = {
            **content.reported(modification),
            **content.waveforms(),
            **content.clips(whole=with_audio),
            "checks": checks,
            "words": [
                [one.party or "both", round(one.start, 3), round(one.end, 3), one.text]
                for one in words
            ],
            "outputName": "" if output is None else name_of(output),
        }
        if not after_only:
            values["sourceName"] = name
    return ReviewPage(page_html(values), report)


@dataclass(frozen=True, slots=True)
class _Content:
    """The contents of a page."""

    before: Recording
    after: Recording
    report: StoreReport
    options: StoreOptions
    workers: int
    digest: str
    """SHA-256 of the output that is shown."""
    after_only: bool

    @property
    def rate_hz(self) -> int:
        return self.report.source.rate_hz

    @property
    def kept(self) -> Span:
        """The stretch that the output plays, on the source's clock."""
        return _span(self.report.trim.applied)

    @property
    def differs(self) -> bool:
        """Whether the output differs from the one that `store` makes now."""
        return self.digest != self.report.output.sha256

    def reported(self, modification: Modification | None) -> dict[str, Any]:
        """The values from the report."""
        report, rate_hz = self.report, self.rate_hz
        guard = self.options.completed(modification_of(modification)).guard_ms or 0
        before, after = guard if isinstance(guard, tuple) else (guard, guard)
        beep = self.options.beep
        masks = sorted(report.masks, key=lambda one: one.applied.samples)
        values: dict[str, Any] = {
            "version": VERSION,
            "afterOnly": self.after_only,
            "rateHz": rate_hz,
            "channels": report.source.channels,
            "callerChannel": 1 if self.options.caller_channel == "right" else 0,
            "samples": report.source.samples,
            "kept": report.trim.applied.samples,
            "trimAsked": report.trim.asked and report.trim.asked.samples,
            "guard": [ceil(exact(one, "guard_ms") * rate_hz / 1000) for one in (before, after)],
            "beep": {
                "fill": beep.fill,
                "frequencyHz": float(beep.frequency_hz),
                "levelDbfs": float(beep.level_dbfs),
            },
            "render": report.render,
            "outputSha256": self.digest,
            "masks": [
                {"party": one.party, "asked": one.asked.samples, "applied": one.applied.samples}
                for one in masks
            ],
            "remade": [
                {"channel": one.channel, "samples": one.interval.samples} for one in report.remade
            ],
        }
        if self.after_only:
            return values
        at_crosstalk = [one.message for one in report.warnings if one.code == "crosstalk"]
        for shown, mask in zip(values["masks"], masks, strict=True):
            start, end = mask.applied.samples
            place = f"The mask of {mask.party} at samples {start} to {end} "
            shown["coherence"] = mask.coherence
            shown["sharedFrames"] = mask.shared_frames
            shown["crosstalk"] = any(text.startswith(place) for text in at_crosstalk)
        for shown, part in zip(values["remade"], report.remade, strict=True):
            shown["reason"] = part.reason
        return values | {
            "sourceSha256": report.source.sha256,
            "differs": self.differs,
            "frames": {
                "verbatim": report.frames.verbatim,
                "slot rewritten": report.frames.slot_rewritten,
                "spliced": report.frames.spliced,
                "re-encoded": report.frames.reencoded,
                "silent": report.frames.silent,
            },
            "warnings": [
                {"code": one.code, "message": one.message}
                for one in (*report.fallbacks, *report.warnings)
            ],
        }

    def waveforms(self) -> dict[str, Any]:
        """The peaks of both, with pixels that begin at the same samples."""
        samples, kept = self.report.source.samples, self.kept
        per_second = min(_FINEST_PER_S, PIXELS_AT_MOST * self.rate_hz / max(1, samples))
        each = samples_per_pixel(max(per_second, 1e-3), self.rate_hz)
        values: dict[str, Any] = {"samplesPerPixel": each}
        played = Span(kept.start, kept.start + self.after.index.samples)
        if self.after_only or self.differs:
            after = read_extremes(self.after, [played], each, self.workers, offset=kept.start)
            if not self.after_only:
                before = read_extremes(self.before, [Span(0, samples)], each, self.workers)
                values["before"] = self._packed(before, each)
        else:
            before = read_extremes(self.before, [Span(0, samples)], each, self.workers)
            values["before"] = self._packed(before, each)
            after = self._changed(before, each)
        values["after"] = self._packed(after, each)
        return {"peaks": values}

    def _changed(self, before: Extremes, each: int) -> Extremes:
        """The output's pixels: the source's, except where re-made frames reach into them."""
        kept, frame = self.kept, self.after.index.format.samples_per_frame
        pixels = before.copy()
        pixels[: kept.start // each] = 0
        pixels[-(-kept.end // each) :] = 0
        remade = [_span(one.interval) for one in self.report.remade]
        # The sound of a frame reaches half a frame into the next.
        wide = [Span(one.start - frame, one.end + frame) for one in remade]
        ends = [Span(edge - each, edge + each) for edge in (kept.start, kept.end)]
        spans = []
        for span in join(one for one in (*wide, *ends)):
            start, end = span.start // each * each, -(-span.end // each) * each
            spans.append(Span(start, end).clipped(kept))
        return read_extremes(
            self.after,
            [span for span in join(spans) if span.length],
            each,
            self.workers,
            offset=kept.start,
            into=pixels,
        )

    def _packed(self, pixels: Extremes, each: int) -> str:
        """The pixels of all of the source's clock, in text."""
        rate_hz, samples = self.rate_hz, self.report.source.samples
        channel = self.options.caller_channel
        count = -(-samples // each)
        pixels = np.pad(pixels[:count], [(0, count - len(pixels[:count])), (0, 0), (0, 0)])
        found = numbers(peaks_of(pixels, channel, rate_hz, each, samples), 8)
        return b64encode(found.astype(np.int8).tobytes()).decode()

    def clips(self, *, whole: bool) -> dict[str, Any]:
        """What can be played, of both."""
        masks = [_span(one.applied) for one in self.report.masks]
        samples, start = self.report.source.samples, self.kept.start
        edges = [Span(edge, edge) for edge in (start, self.kept.end) if 0 < edge < samples]
        spans = (Span(0, samples),) if whole else stretches([*masks, *edges], samples, self.rate_hz)
        values = {"after": _listed(clips_of(self.after, spans, start, self.workers))}
        if not self.after_only:
            values["before"] = _listed(clips_of(self.before, spans, 0, self.workers))
        return {"clips": values}


def _listed(clips: tuple[Clip, ...]) -> list[Mapping[str, Any]]:
    return [
        {"samples": [one.span.start, one.span.end], "data": b64encode(one.data).decode()}
        for one in clips
    ]


def _span(interval: IntervalReport) -> Span:
    return Span(*interval.samples)


def _reopenable(source: SourceLike) -> SourceLike:
    """A source that can be opened several times; one that can be read only once is read first."""
    if isinstance(source, (str, os.PathLike, bytes)):
        return source
    from audioengine.storage import ObjectPlace, open_source

    if isinstance(source, ObjectPlace):
        return source
    with closing(open_source(source)) as opened:
        return opened.read(0, opened.size)


def name_of(source: SourceLike) -> str:
    """The name of a source on a page: the last part of its path or key; empty for others."""
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(source).rpartition("/")[2]
    return ""
