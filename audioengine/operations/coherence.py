# SPDX-License-Identifier: Apache-2.0
"""Whether a masked voice may be heard on the other party's channel too."""

from __future__ import annotations

from dataclasses import dataclass

from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.index import FrameIndex
from audioengine.notices import Notice
from audioengine.pcm.coherence import Coherence
from audioengine.pcm.decode import decode_raw
from audioengine.plan.store import PlannedMask


@dataclass(frozen=True, slots=True)
class MeasuredCoherence:
    """The coherence of the channels under one mask of one party."""

    value: float
    """0 to 1."""
    threshold: float
    """Above it, the voice is probably on both channels."""

    def notice(self, planned: PlannedMask) -> Notice | None:
        """The warning that the voice may be on the other channel, if it may."""
        if self.value <= self.threshold:
            return None
        mask = planned.mask
        return Notice(
            "crosstalk",
            f"The mask of {mask.party} at samples {mask.applied.start} to {mask.applied.end} may "
            f"leave the voice on the other party's channel (echo or side tone): coherence "
            f"{self.value:.2f}, {self.threshold:.2f} is expected at most.",
        )


def measure_coherence(
    source: ByteSource, index: FrameIndex, planned: PlannedMask
) -> MeasuredCoherence | None:
    """Measure under a mask; None where it covers all channels or the trim removes it."""
    if len(planned.channels) == index.format.channels or not planned.core.count:
        return None
    coherence = Coherence(index.format.rate_hz)
    span = planned.mask.applied
    start, end = index.start + span.start, index.start + span.end
    for block in range(start, end, coherence.block):
        coherence.add(decode_raw(source, index, block, min(end, block + coherence.block)))
    return MeasuredCoherence(coherence.value(), coherence.threshold())
