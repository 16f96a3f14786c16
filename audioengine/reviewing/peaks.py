# SPDX-License-Identifier: Apache-2.0
"""The lowest and highest sample under each pixel of a waveform."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from fractions import Fraction
from numbers import Rational

import numpy as np
import numpy.typing as npt

from audioengine.choices import CallerChannel
from audioengine.edits import Span
from audioengine.errors import InvalidRequestError
from audioengine.operations.recording import Recording, open_recording
from audioengine.operations.workers import worker_count
from audioengine.render.execute import Progress
from audioengine.render.workers import executor_of
from audioengine.reviewing.audiowaveform import Extremes, Peaks
from audioengine.storage import S3Options, SourceLike
from audioengine.times import Number

PIXELS_PER_SECOND = 100
"""The default: a pixel covers 10 ms, the step by which a reviewer moves an edge."""

BLOCK_SAMPLES = 1 << 20
"""The samples that each worker decodes at once: 8 MiB of floats, less than 0.5 % warm-up."""


def peaks(
    source: SourceLike,
    *,
    pixels_per_second: Number = PIXELS_PER_SECOND,
    caller_channel: CallerChannel = "left",
    allow_truncated: bool = False,
    s3: S3Options | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Peaks:
    """Compute the waveform of a recording, decoding it block by block.

    pixels_per_second: above 0, at most the sampling rate. A pixel covers a whole number of samples,
        the nearest one; `Peaks.samples_per_pixel` states it.
    progress: called with the number of samples done and of all samples.

    Raises InvalidRequestError, MalformedAudioError, UnsupportedAudioError, StorageError.
    """
    if caller_channel not in ("left", "right"):
        raise InvalidRequestError.of("caller_channel", caller_channel, "must be left or right")
    count = worker_count(workers)
    with open_recording(source, allow_truncated=allow_truncated, s3=s3) as recording:
        rate_hz, samples = recording.index.format.rate_hz, recording.index.samples
        each = samples_per_pixel(pixels_per_second, rate_hz)
        pixels = read_extremes(recording, [Span(0, samples)], each, count, progress=progress)
    return peaks_of(pixels, caller_channel, rate_hz, each, samples)


def peaks_of(
    pixels: Extremes, caller_channel: CallerChannel, rate_hz: int, each: int, samples: int
) -> Peaks:
    """Peaks of extremes of shape (pixels, channels, 2)."""
    left, right = pixels[:, 0], pixels[:, -1]
    if caller_channel == "right":
        left, right = right, left
    return Peaks(left, right, rate_hz, each, samples)


def read_extremes(
    recording: Recording,
    spans: Sequence[Span],
    each: int,
    workers: int,
    *,
    offset: int = 0,
    into: Extremes | None = None,
    progress: Progress | None = None,
) -> Extremes:
    """[shape=(pixels, channels, 2)] The pixels under some spans, 0 elsewhere.

    spans: on a clock whose pixels begin at its sample 0, inside the recording. One that begins
        inside a pixel has that of its own samples alone.
    offset: where on that clock the recording begins.
    into: pixels to copy, of which those under the spans are replaced.
    """
    index = recording.index
    end = offset + index.samples
    if into is None:
        pixels = np.zeros((-(-end // each), index.format.channels, 2), np.int16)
    else:
        pixels = into.copy()
    blocks = [block for span in spans for block in _blocks(span, each)]
    read = [(start - offset, stop - offset) for start, stop in blocks]
    for part, (start, stop) in zip(_extremes(recording, read, each, workers), blocks, strict=True):
        pixels[start // each : start // each + len(part)] = part
        if progress is not None:
            progress(stop - offset, index.samples)
    return pixels


def _blocks(span: Span, each: int) -> Iterator[tuple[int, int]]:
    """The pieces of a span to decode at once; all but the first begin where a pixel does."""
    start = span.start
    while start < span.end:
        length = each - start % each if start % each else each * max(1, BLOCK_SAMPLES // each)
        yield start, min(start + length, span.end)
        start += length


def samples_per_pixel(asked: Number, rate_hz: int) -> int:
    """The number of samples per pixel."""
    number = isinstance(asked, (int, float, Rational)) and not isinstance(asked, bool)
    if not number or not 0 < asked <= rate_hz:
        rule = f"must be above 0 and at most {rate_hz}, the sampling rate"
        raise InvalidRequestError.of("pixels_per_second", asked, rule)
    return max(1, round(rate_hz / Fraction(asked)))


def _extremes(
    recording: Recording, blocks: list[tuple[int, int]], each: int, workers: int
) -> Iterator[Extremes]:
    """[shape=(pixels, channels, 2)] The extremes of each block, in order; few are held at once."""
    first = recording.index.start

    def block(start: int, end: int) -> Extremes:
        (pcm,) = recording.read_pcm([Span(first + start, first + end)])
        return extremes_of(pcm, each)

    with executor_of(workers) as executor:
        ahead: list[Future[Extremes]] = []
        for start, end in blocks:
            ahead.append(executor.submit(block, start, end))
            if len(ahead) > workers:
                yield ahead.pop(0).result()
        for future in ahead:
            yield future.result()


def extremes_of(pcm: npt.NDArray[np.float32], samples_per_pixel: int) -> Extremes:
    """[shape=(pixels, channels, 2)] The lowest and highest sample of each pixel.

    pcm: [shape=(samples, channels)] Full scale ±1; samples beyond it are clipped.
    """
    whole = len(pcm) // samples_per_pixel
    pixels = -(-len(pcm) // samples_per_pixel)
    found = np.empty((pixels, pcm.shape[1], 2), np.float32)
    for channel in range(pcm.shape[1]):
        # Contiguous first: numpy reduces rows of neighbours several times faster.
        samples = np.ascontiguousarray(pcm[:, channel])
        rows = samples[: whole * samples_per_pixel].reshape(whole, samples_per_pixel)
        rows.min(axis=1, out=found[:whole, channel, 0])
        rows.max(axis=1, out=found[:whole, channel, 1])
        if pixels > whole:
            rest = samples[whole * samples_per_pixel :]
            found[whole, channel] = rest.min(), rest.max()
    return np.clip(np.rint(found * 32_768), -32_768, 32_767).astype(np.int16)
