# SPDX-License-Identifier: Apache-2.0
"""The index of a recording that is no MP3: it has a clock like any other, but no frames."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from audioengine.mp3.header import StreamFormat
from audioengine.mp3.index import FrameIndex
from audioengine.plan.bitrate import first_kbps
from audioengine.plan.encode import header_for


@dataclass(frozen=True)
class SampleIndex(FrameIndex):
    """The index of a recording of samples; its raw samples are those of its clock."""

    count: int = 0
    """Samples per channel."""

    @property
    def raw_samples(self) -> int:
        """The number of samples."""
        return self.count

    @property
    def tells_delay(self) -> bool:
        """Whether the delay is known: always, because no encoder added one."""
        return True

    @cached_property
    def _gapless(self) -> tuple[int, int]:
        return 0, self.count


def sample_index(format: StreamFormat, samples: int) -> SampleIndex:
    """The index of `samples` samples that will be encoded in `format`."""
    bitrate_index = format.bitrates_kbps.index(first_kbps(format))
    return SampleIndex(
        header=header_for(format, bitrate_index),
        byte2=np.zeros(0, dtype=np.uint8),
        segments=(),
        sizes=np.zeros(256, dtype=np.uint16),
        info_tag=None,
        tags=(),
        junk=(),
        incomplete_last=None,
        lost=(),
        inner_tags=(),
        free_format=False,
        count=samples,
    )
