# SPDX-License-Identifier: Apache-2.0
"""The PCM that re-made frames are encoded from: the source's, with the edits applied."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from audioengine.edits import Span, join
from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.index import FrameIndex
from audioengine.pcm.decode import Samples, decode_raw
from audioengine.pcm.tone import Tone
from audioengine.plan.store import StorePlan


class EditedPcm:
    """Windows of the edited recording, each decoded once for both channels.

    Nothing of the source is in them where a channel is masked or where the output is silent.
    """

    def __init__(
        self,
        source: ByteSource,
        index: FrameIndex,
        plan: StorePlan,
        tone: Tone,
        windows: Iterable[Span],
    ) -> None:
        self._plan = plan
        self._tone = tone
        self._windows = [
            (window, decode_raw(source, index, window.start, window.end))
            for window in join(windows)
        ]

    def channel(self, channel: int, span: Span) -> Samples:
        """[shape=(span.length,)] Edited raw samples of one channel, inside one of the windows."""
        window, decoded = next(
            (window, decoded)
            for window, decoded in self._windows
            if window.start <= span.start and span.end <= window.end
        )
        start = span.start - window.start
        pcm: Samples = decoded[start : start + span.length, channel].copy()
        self._tone.paint(pcm, span.start, self._plan.masked[channel])
        kept = self._plan.kept
        pcm[: max(0, kept.start - span.start)] = 0
        pcm[max(0, kept.end - span.start) :] = np.float32(0)
        return pcm
