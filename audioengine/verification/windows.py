# SPDX-License-Identifier: Apache-2.0
"""Whether the windows of an output follow one another as the standard has it, read from the bits.

A granule's window overlaps the next one's: long or stop, then long or start; start or short, then
short or stop (ISO/IEC 11172-3, 2.4.3.4.10.3). After any other succession what one window folds into
the overlap is not taken back by the other, and decoders part: measured over 246 such outputs, by up
to -19 dB of the signal for some 20 ms.
"""

from __future__ import annotations

import numpy as np

from audioengine.plan.grid import Flags, FrameRange, ranges_of
from audioengine.report import Check, Figure
from audioengine.verification.case import Case
from audioengine.verification.frames import Compared
from audioengine.verification.window_types import SHORT, Windows, read_windows

_CHUNK_FRAMES = 512
_NAMED_AT_MOST = 5
_NAMES = ("long", "start", "short", "stop")

# The window's own second half, and the first half that the next one must have: 1 where it is short.
_ENDS_SHORT = np.array((0, 1, 1, 0), dtype=np.uint8)
_BEGINS_SHORT = np.array((0, 0, 1, 1), dtype=np.uint8)


def windows_check(case: Case, compared: Compared) -> Check:
    """Whether no succession of windows is illegal that the source does not itself have.

    Judged from granule to granule of each channel, but where both are a source's and follow one
    another there too, and after a granule without main data: in it nothing is folded.
    """
    joined, zero = _joined(case, compared), compared.frames.first
    judged = 0
    wrong: list[tuple[int, int, int, int]] = []
    near = ~np.logical_and.reduce(joined)
    near[:-1] |= near[1:]
    for part in ranges_of(near, zero):
        for first in range(part.first, part.last, _CHUNK_FRAMES):
            # One frame before each chunk, to judge its first granule by.
            chunk = FrameRange(max(zero, first - 1), min(first + _CHUNK_FRAMES, part.last))
            own = FrameRange(chunk.first - zero, chunk.last - zero)
            windows = read_windows(case.output, case.output_index, own)
            here = slice(chunk.first - zero, chunk.last - zero)
            for channel, flags in enumerate(joined):
                found = _illegal(windows, channel, flags[here])
                judged += windows.types.shape[1] * chunk.count - 1
                wrong += [(chunk.first + frame, channel, a, b) for frame, a, b in found]
    wrong = sorted(set(wrong))
    measured: dict[str, Figure] = {"judged": judged, "illegal": len(wrong)}
    if wrong:
        named = "; ".join(
            f"frame {frame}, channel {channel}: {_NAMES[before]}, then {_NAMES[after]}"
            for frame, channel, before, after in wrong[:_NAMED_AT_MOST]
        )
        more = len(wrong) - _NAMED_AT_MOST
        message = f"Windows do not fit the ones before them: {named}"
        message += f", and {more:,} more." if more > 0 else "."
        return Check("windows", False, measured, message)
    return Check("windows", True, measured, "Every window fits the one before it.")


def short_frames(case: Case, frames: FrameRange) -> list[Flags]:
    """By channel, which of the output's frames, counted from its first, have short windows."""
    types = read_windows(case.output, case.output_index, frames).types
    return [(types[:, :, channel] == SHORT).any(axis=1) for channel in range(types.shape[2])]


def _joined(case: Case, compared: Compared) -> list[Flags]:
    """By channel, which frames are a source's and stand behind the one that they have there."""
    owner = np.zeros(compared.frames.count, dtype=np.int64)
    for number, patch in enumerate(case.compared(compared.frames), 1):
        first = patch.frames.first - compared.frames.first
        owner[first : first + patch.frames.count] = number
    lost = np.zeros(compared.frames.count, dtype=bool)
    for frame in case.plan.lost:
        if 0 <= frame - compared.frames.first < len(lost):
            lost[frame - compared.frames.first] = True
    out = []
    for kept in compared.kept:
        # What is lost in the source is silent here, and follows what it followed there.
        own = kept | lost & compared.empty
        flags = np.zeros(len(own), dtype=bool)
        flags[1:] = own[1:] & own[:-1] & (owner[1:] == owner[:-1])
        out.append(flags)
    return out


def _illegal(windows: Windows, channel: int, joined: Flags) -> list[tuple[int, int, int]]:
    """Frames whose windows do not fit, and the kinds of the one before and of theirs."""
    granules = windows.types.shape[1]
    types = windows.types[:, :, channel].ravel()
    sounding = windows.bits[:, :, channel].ravel() > 0
    free = np.zeros((len(joined), granules), dtype=bool)
    free[:, 0] = joined
    # Both granules of a frame that is a source's are; its first one may follow another's.
    free[:-1, 1:] |= joined[1:, None]
    free[:, 1:] |= joined[:, None]
    fits = _ENDS_SHORT[types[:-1]] == _BEGINS_SHORT[types[1:]]
    places = np.flatnonzero(~fits & sounding[:-1] & ~free.ravel()[1:]) + 1
    return [(int(p) // granules, int(types[p - 1]), int(types[p])) for p in places]
