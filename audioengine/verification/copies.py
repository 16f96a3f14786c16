# SPDX-License-Identifier: Apache-2.0
"""What must be the source's bit for bit, what must not, and what may not be left between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audioengine.edits import Span
from audioengine.mp3.header import StreamFormat
from audioengine.plan.grid import Flags, FrameRange, flags_of, merged, ranges_of
from audioengine.report import Check, Figure
from audioengine.verification.case import Case
from audioengine.verification.frames import Compared

_NAMED_AT_MOST = 5


@dataclass(frozen=True)
class Allowed:
    """By channel, flags of the output's frames."""

    made: list[Flags]
    """They may be made anew: the edit requires it, or the end of a run may have moved there."""
    depends: list[Flags]
    """Their coded data depends on samples that the output must not know of."""
    silent: Flags
    """They have lost their sound in the source, and no edit is near."""


def allowed(case: Case, compared: Compared) -> Allowed:
    """What the request allows of each frame.

    The samples that an edit changes are the plan's; which frames depend on those is worked out here
    once more, from the standard: a granule codes 1632 samples.
    """
    frames, channels = compared.frames, range(case.format.channels)
    patches = case.compared(frames)
    depends = [
        flags_of(
            merged(
                part
                for patch in patches
                for part in _dependent(case.format, case.removed(patch, channel), patch.frames)
            ),
            frames,
        )
        for channel in channels
    ]
    if case.plan.render == "full":
        every = np.ones(frames.count, dtype=bool)
        return Allowed([every for _ in channels], depends, ~every)
    made = [
        flags_of(merged((*of_channel, *borders)), frames)
        for of_channel, borders in zip(case.plan.made, case.plan.borders, strict=True)
    ]
    # Where no source has a frame, or the output is silent, there is nothing to be copied.
    outside = ~compared.there | flags_of(case.plan.silences, frames)
    lost = flags_of([FrameRange(n, n + 1) for n in case.plan.lost], frames)
    outside |= lost
    # As in a gap between what is kept: what would have to be copied must not be.
    outside |= np.logical_and.reduce(depends)
    near = np.logical_or.reduce(made)
    return Allowed([flags | outside for flags in made], depends, lost & ~near)


def _dependent(
    format: StreamFormat, removed: Sequence[Span], frames: FrameRange
) -> list[FrameRange]:
    """The frames with a sample of `removed` among the 1632 (2208) from their first one."""
    spf = format.samples_per_frame
    support = 1632 + spf - 576
    out = []
    for span in removed:
        first = max((span.start - support) // spf + 1, frames.first)
        last = min((span.end - 1) // spf + 1, frames.last)
        if first < last:
            out.append(FrameRange(first, last))
    return out


def copied_check(compared: Compared, may: Allowed) -> Check:
    """Whether every frame that no edit touches is the source's.

    Header, side information and main data, bit for bit. Frames beside what an edit requires may
    be made as far as the nearest long slopes, where the windows ask for it; all others may not.
    """
    must = ~np.logical_or.reduce(may.made)
    changed = must & ~compared.whole
    wrong = changed | may.silent & ~compared.empty
    measured: dict[str, Figure] = {
        "must_be_copied": int(must.sum()),
        "copied": int(compared.whole.sum()),
        "changed": int(wrong.sum()),
    }
    if wrong.any():
        places = _places(wrong, compared)
        return Check("copied_frames", False, measured, f"Changed, though no edit is near: {places}")
    count = measured["must_be_copied"]
    message = f"All {count:,} frames that no edit touches are the source's, bit for bit."
    if not count:
        message = "The request leaves no frame to be copied."
    return Check("copied_frames", True, measured, message)


def other_party_check(case: Case, compared: Compared, may: Allowed) -> Check:
    """Whether a party that is not masked keeps its granules, bit for bit, where the other is.

    Not where the source codes both together (mid/side, intensity): there it is made anew, and
    `kept_sound` listens.
    """
    channels = range(case.format.channels)
    wrong = np.zeros(compared.frames.count, dtype=bool)
    judged = 0
    for channel in channels:
        others = np.logical_or.reduce([may.made[c] for c in channels if c != channel] or [wrong])
        must = others & ~may.made[channel]
        judged += int(must.sum())
        wrong |= must & ~compared.kept[channel]
    measured: dict[str, Figure] = {"must_be_kept": judged, "changed": int(wrong.sum())}
    if wrong.any():
        message = f"The other party is not the source's in {_places(wrong, compared)}"
        return Check("other_party", False, measured, message)
    message = f"In {judged:,} frames one party is made anew and the other is the source's."
    return Check("other_party", True, measured, message)


def suspects(compared: Compared, may: Allowed) -> list[list[FrameRange]]:
    """By channel, frames that depend on removed samples and are the source's all the same.

    Frames without main data are left out: nothing is coded there.
    """
    flags = [
        depends & kept & ~silent & ~compared.empty
        for depends, kept, silent in zip(may.depends, compared.kept, compared.silent, strict=True)
    ]
    return [ranges_of(channel, compared.frames.first) for channel in flags]


def removed_check(
    compared: Compared, may: Allowed, guilty: Sequence[Sequence[FrameRange]]
) -> Check:
    """Whether no frame's coded data depends on removed samples, and lead-in frames are empty.

    guilty: by channel, such frames that are the source's, and in which the source sounds otherwise
    than the request wants it to.
    """
    wrong = np.logical_or.reduce([flags_of(merged(ranges), compared.frames) for ranges in guilty])
    depends = np.logical_or.reduce(may.depends)
    measured: dict[str, Figure] = {"dependent": int(depends.sum()), "still_there": int(wrong.sum())}
    if wrong.any():
        message = f"They code removed audio as the source did: {_places(wrong, compared)}"
        return Check("removed_audio", False, measured, message)
    message = f"{measured['dependent']:,} frames depend on removed audio; all are made anew."
    return Check("removed_audio", True, measured, message)


def leftovers_check(case: Case, compared: Compared) -> Check:
    """Whether frames hold nothing but what the standard has decoders read.

    Slot bytes that are no frame's main data are zero in what is made, and in copied frames are
    what they were in the source, where they were no frame's either; so are the bits behind main
    data and the private bits. Re-made frames have the plan's bitrate or, to fit, more; frames in
    front of those that the request needs are empty.
    """
    frames = compared.frames
    lead = frames.first, case.plan.grid.frames.first
    noisy = [n for n in range(*lead) if not compared.empty[n - lead[0]]]
    measured: dict[str, Figure] = {
        "stale_frames": len(compared.stale),
        "stale_bytes": compared.stale_bytes,
        "malformed_frames": len(compared.malformed),
        "too_small_frames": len(compared.low_bitrate),
        "audible_lead_in_frames": len(noisy),
    }
    found = {
        "stale bytes": compared.stale,
        "malformed": compared.malformed,
        "smaller than re-made frames are": compared.low_bitrate,
        "lead-in that is not empty": noisy,
    }
    wrong = [f"{what}: {_named(list(numbers))}" for what, numbers in found.items() if numbers]
    if wrong:
        return Check("leftovers", False, measured, f"{'; '.join(wrong)}.")
    return Check("leftovers", True, measured, "No byte is left that no frame owns.")


def _places(flags: Flags, compared: Compared) -> str:
    return f"{_named((np.flatnonzero(flags) + compared.frames.first).tolist())}."


def _named(numbers: list[int]) -> str:
    """Frames, the plan's numbers, a few of many."""
    shown = ", ".join(map(str, numbers[:_NAMED_AT_MOST]))
    more = len(numbers) - _NAMED_AT_MOST
    return f"frames {shown}" + (f" and {more:,} more" if more > 0 else "")
