# SPDX-License-Identifier: Apache-2.0
"""Detects a masked voice that may be on the other party's channel too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audioengine.mp3.header import StreamFormat
from audioengine.notices import Notice
from audioengine.pcm.coherence import LEAST_MS, Coherence
from audioengine.plan.masks import PlannedMask

if TYPE_CHECKING:
    from audioengine.render.timeline import ReadRaw


@dataclass(frozen=True, slots=True)
class MeasuredCoherence:
    """The coherence of the channels under one mask of one party."""

    value: float
    """0 to 1."""
    threshold: float
    """Above it, the voice is probably on both channels."""

    def notice(self, planned: PlannedMask) -> Notice | None:
        """The warning that the voice may be on the other channel; None below the threshold."""
        if self.value <= self.threshold:
            return None
        mask = planned.mask
        return Notice(
            "crosstalk",
            f"The mask of {mask.party} at samples {mask.applied.start} to {mask.applied.end} may "
            f"leave the voice on the other party's channel (echo or side tone): coherence "
            f"{self.value:.2f}, at most {self.threshold:.2f} is expected.",
        )


def measured_coherence(
    masks: Sequence[PlannedMask], found: Mapping[int, Coherence]
) -> tuple[MeasuredCoherence | None, ...]:
    """The coherence under each mask; None if nothing was measured."""
    return tuple(
        MeasuredCoherence(found[number].value(), found[number].threshold())
        if number in found
        else None
        for number in range(len(masks))
    )


def coherence_under(
    mask: PlannedMask, read_raw: ReadRaw, format: StreamFormat
) -> MeasuredCoherence | None:
    """The coherence of the source's channels under a one-party mask; None if not measurable."""
    span = mask.span
    if format.channels == 1 or len(mask.channels) == 2:
        return None
    if span.length < format.rate_hz * LEAST_MS // 1000:
        return None
    found = Coherence(format.rate_hz)
    for start in range(span.start, span.end, found.block):
        found.add(read_raw(start, min(span.end, start + found.block)))
    return MeasuredCoherence(found.value(), found.threshold())
