# SPDX-License-Identifier: Apache-2.0
"""Recordings that are no MP3: their samples are edited and encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audioengine.edits import Span
from audioengine.errors import UnsupportedAudioError
from audioengine.operations.workers import worker_count
from audioengine.plan.encode import RATES_HZ, format_for
from audioengine.plan.samples import SampleIndex, sample_index
from audioengine.render.section import SECTION_SAMPLES
from audioengine.sources.leg import Samples
from audioengine.sources.opening import Opened, open_sound
from audioengine.sources.raw import RawFormat
from audioengine.sources.windows import SoundWindows
from audioengine.storage import Source


@dataclass(frozen=True, slots=True)
class Sampled:
    """The samples of a recording."""

    opened: Opened
    index: SampleIndex
    windows: SoundWindows

    def read(self, spans: Sequence[Span]) -> list[Samples]:
        """[shape=(span.length, channels)] The samples of each span; 0 outside the recording."""
        return self.windows(spans)

    def window(self, start: int, end: int) -> Samples:
        """[shape=(end - start, channels)] The samples of one stretch."""
        (pcm,) = self.read([Span(start, end)])
        return pcm


def open_sampled(source: Source, raw: RawFormat | None, *, allow_truncated: bool) -> Sampled:
    """Open a sound file that is no MP3; one without a header by what `raw` says.

    Raises MalformedAudioError, UnsupportedAudioError, also for a sampling rate that MP3 lacks,
    LimitError and StorageError.
    """
    opened = open_sound(source, raw, allow_truncated=allow_truncated)
    sound = opened.sound
    format = format_for(sound.rate, sound.channels)
    if format is None:
        rates = ", ".join(map(str, RATES_HZ))
        raise UnsupportedAudioError(
            f"this is {opened.kind} at {sound.rate:,} Hz, which MP3 does not have (it has {rates} "
            "Hz); resampled sound can't be edited sample-exactly, so convert it first"
        )
    return Sampled(
        opened,
        sample_index(format, sound.length),
        SoundWindows(sound, SECTION_SAMPLES, worker_count(None)),
    )
