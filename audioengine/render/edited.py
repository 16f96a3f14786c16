# SPDX-License-Identifier: Apache-2.0
"""The PCM of re-made frames: the source's samples with the edits applied."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np

from audioengine.edits import Span, join, touching
from audioengine.pcm.decode import Samples
from audioengine.pcm.tone import BeepTone
from audioengine.plan.rendering import RenderPlan

_NEAR_SAMPLES = 1 << 14

ReadPcm: TypeAlias = Callable[[Sequence[Span]], list[Samples]]
"""Returns the raw samples of each span, shape (span.length, channels)."""


class EditedPcm:
    """Windows of the recording, each decoded once for both channels.

    `channel` returns no sample of the source where that channel is masked or the output is silent.
    """

    def __init__(
        self,
        read_pcm: ReadPcm,
        plan: RenderPlan,
        tone: BeepTone,
        windows: Iterable[Span],
    ) -> None:
        self._plan = plan
        self._tone = tone
        spans = list(_near_joined(windows))
        self._windows = list(zip(spans, read_pcm(spans), strict=True))

    def unedited(self, span: Span) -> Samples:
        """[shape=(span.length, channels)] The source's raw samples, inside one of the windows."""
        place = bisect_right(self._windows, span.start, key=lambda pair: pair[0].start)
        window, decoded = self._windows[place - 1]
        return decoded[span.start - window.start : span.end - window.start]

    def channel(self, channel: int, span: Span) -> Samples:
        """[shape=(span.length,)] Edited raw samples of one channel, inside one of the windows."""
        pcm: Samples = self.unedited(span)[:, channel].copy()
        self._tone.paint(pcm, span.start, touching(self._plan.masked[channel], span))
        kept = self._plan.kept
        pcm[: max(0, kept.start - span.start)] = 0
        pcm[max(0, kept.end - span.start) :] = np.float32(0)
        return pcm


def _near_joined(windows: Iterable[Span]) -> Iterable[Span]:
    """The windows, with close ones joined, because starting a decode is costly."""
    widened = join(Span(window.start, window.end + _NEAR_SAMPLES) for window in windows)
    return (Span(window.start, window.end - _NEAR_SAMPLES) for window in widened)
