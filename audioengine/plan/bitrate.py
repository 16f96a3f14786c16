# SPDX-License-Identifier: Apache-2.0
"""The bitrate of re-made frames: chosen from frames that stay, never from removed ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from audioengine.mp3.header import StreamFormat, Version
from audioengine.mp3.index import FrameIndex
from audioengine.plan.grid import FrameRange


def nominal_bitrate(index: FrameIndex, outside: Iterable[FrameRange]) -> tuple[int, bool]:
    """The bitrate_index of a source's re-made frames, and whether its bitrate is constant.

    outside: the source's frames that no edit touches.
    """
    format = index.format
    if not index.frames:
        # Only its format decides how a recording of samples is encoded.
        return index.header.bitrate_index, True
    if index.free_format:
        kbps = index.size(0) * 8 * format.rate_hz / format.samples_per_frame / 1000
        return format.bitrate_index_at_least(kbps), False
    parts = tuple(outside)
    counts = np.zeros(16, dtype=np.int64)
    for part in parts:
        counts += index.bitrate_counts(part.first, part.last)
    if not parts:
        counts = index.bitrate_counts(0, index.frames)
        if np.count_nonzero(counts) > 1:
            # Removed audio alone chose these bitrates.
            return format.bitrate_index_at_least(usual_kbps(format)), False
    used = np.flatnonzero(counts)
    if len(used) == 1:
        return int(used[0]), True
    rates = np.array([*format.bitrates_kbps, 0])
    return format.bitrate_index_at_least(float((counts * rates).sum() / counts.sum())), False


def usual_kbps(format: StreamFormat) -> int:
    """The bitrate that call recorders use for stereo at such sampling rates."""
    if format.version is Version.MPEG_1:
        return 128
    return 48 if format.version is Version.MPEG_2 else 32


# By highest sampling rate, for stereo and mono: bitrates that keep the whole band, except the top
# that LAME never codes and, at 128 kbit/s, everything above 16.5 kHz.
_FIRST_KBPS = {12_000: (32, 16), 16_000: (48, 32), 24_000: (64, 48), 48_000: (128, 64)}


def first_kbps(format: StreamFormat) -> int:
    """The bitrate of audio that is encoded for the first time."""
    stereo, mono = next(of for most, of in _FIRST_KBPS.items() if format.rate_hz <= most)
    return stereo if format.channels == 2 else mono
