# SPDX-License-Identifier: Apache-2.0
"""Whether two decoders play the same where it is hard: at both ends, and where frames meet.

Decoders differ in what they forgive, so what one plays well is not yet right.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from audioengine.edits import Span, touching
from audioengine.mp3.info_tag import DECODER_DELAY
from audioengine.plan.grid import FrameRange, merged
from audioengine.report import Check, Figure
from audioengine.verification.case import Case
from audioengine.verification.decoder import (
    Pcm,
    UndecodableError,
    decode_frames,
    decode_source,
)
from audioengine.verification.frames import Compared
from audioengine.verification.second_decoder import SecondDecoder
from audioengine.verification.voice import OVERLAP, Voice

Sound = npt.NDArray[np.float64]
"""[shape=(n, channels)] Full scale ±1."""

_END_MS = 200
_SHORT_FRAMES = 64
_AT_ONCE_FRAMES = 512
_LAST_FRAMES = 8
_BEFORE_FRAMES, _AFTER_FRAMES = 2, 3
"""Around the first frame behind a seam: an overlap is heard in it and the next one."""
_MOST_APART = 0.0002
_SAME_IN_SOURCE = 0.5


@dataclass
class Agreement:
    """What two decoders make of an output."""

    announced: int = 0
    """Samples that the second one says it will play."""
    ended_off: int = 0
    """Samples that it plays too many at the end."""
    stretches: int = 0
    seams: int = 0
    apart: list[Apart] = field(default_factory=list)
    sources_end_off: list[int] = field(default_factory=list)
    """By recording whose tag promises more than there is: samples that it plays beyond the last
    one that the request is judged by."""
    undecodable: list[str] = field(default_factory=list)
    most_apart: float = 0.0


@dataclass(frozen=True, slots=True)
class Apart:
    """Where they do not play the same."""

    sample: int
    """Of the output, from the first that is played."""
    channel: int
    difference: float


def agreement(case: Case, compared: Compared) -> Agreement:
    """Play both ends of an output and its seams with either decoder.

    Raises VerificationError where there is no second decoder.
    """
    out = Agreement()
    with closing(SecondDecoder()) as second:
        try:
            _ends(case, compared, second, out)
            out.sources_end_off = [
                off for voice in case.voices for off in _plays_beyond(voice, second)
            ]
            seams = _seams(compared)
            out.seams = len(seams)
            zero = compared.frames.first
            for part in merged(
                FrameRange(max(zero, seam - _BEFORE_FRAMES), seam + _AFTER_FRAMES) for seam in seams
            ):
                end = min(part.last - zero, case.output_index.frames)
                for first in range(part.first - zero, end, _AT_ONCE_FRAMES):
                    frames = FrameRange(first, min(first + _AT_ONCE_FRAMES, end))
                    _stretch(case, compared, second, frames, out)
        except UndecodableError as error:
            out.undecodable.append(str(error))
    return out


def decoders_check(case: Case, found: Agreement) -> Check:
    """Whether mpg123 plays what minimp3 plays: at both ends and wherever frames meet.

    Compared are the first and the last 200 ms, as the file has players begin and end, and two
    frames before and three after each border between frames that are a source's and frames that
    are not, by channel. No sample is 0.0002 of full scale apart: of 1,300 outputs with legal
    windows the most was 0.000046, and illegal windows reach 0.001 to 0.07 (see `windows`). Not
    where the source is broken, nor in copied frames of which the decoders make as different
    things there: intensity stereo, illegal windows of its own. And mpg123 announces, and plays to
    the end, the samples that were asked for.
    """
    wanted = case.plan.kept.length
    measured: dict[str, Figure] = {
        "seams": found.seams,
        "stretches": found.stretches,
        "apart": len(found.apart),
        "most_apart": round(found.most_apart, 6),
        "announced_samples": found.announced,
        "ended_late_samples": found.ended_off,
    }
    if found.undecodable:
        message = f"mpg123 does not play it: {found.undecodable[0]}."
        return Check("decoders", False, measured, message)
    if found.announced != wanted or found.ended_off:
        message = (
            f"mpg123 announces {found.announced:,} samples, {wanted:,} were asked for, and ends "
            f"{found.ended_off} samples late."
        )
        return Check("decoders", False, measured, message)
    if found.apart:
        first, rate = found.apart[0], case.format.rate_hz
        message = (
            f"Decoders do not play the same at {first.sample / rate:.3f} s, channel "
            f"{first.channel}: they are {first.difference:.4f} of full scale apart"
        )
        more = len(found.apart) - 1
        message += f", and so at {more:,} more places." if more else "."
        return Check("decoders", False, measured, message)
    message = f"Two decoders play the same at both ends and at {found.seams:,} seams."
    return Check("decoders", True, measured, message)


def _seams(compared: Compared) -> list[int]:
    """The frames that are a source's and follow one that is not, or the reverse."""
    out: set[int] = set()
    for kept in compared.kept:
        out |= set((np.flatnonzero(np.diff(kept)) + 1 + compared.frames.first).tolist())
    return sorted(out)


def _ends(case: Case, compared: Compared, second: SecondDecoder, out: Agreement) -> None:
    """The file as it begins, and as it ends; all of a short one at once."""
    index, spf = case.output_index, case.format.samples_per_frame
    end_samples = case.format.rate_hz * _END_MS // 1000
    begin, end = case.hidden, case.hidden + case.whole.length
    frames = min(index.frames, -(-(begin + end_samples) // spf) + _AFTER_FRAMES)
    whole = index.frames <= max(frames, _SHORT_FRAMES)
    if whole:
        frames = index.frames
    played = second.play(case.output.read(0, index.offset(frames)))
    out.announced = played.samples
    head = played.pcm if whole else played.pcm[:end_samples]
    theirs = as_sound(decode_frames(case.output, index, 0, frames))[begin : begin + len(head)]
    _compare(case, compared, begin, theirs, head[: len(theirs)], second, out)
    if whole:
        out.ended_off = len(head) - case.whole.length
        return
    first = max(0, end - end_samples) // spf
    tag = index.info_tag
    padding = (tag.padding or 0) if tag else DECODER_DELAY
    tail = second.end(case.output, index, first, index.frames, padding)
    theirs = as_sound(decode_frames(case.output, index, first, index.frames))
    out.ended_off = first * spf + len(tail) - end
    common = min(len(tail), len(theirs))
    _compare(case, compared, first * spf, theirs[:common], tail[:common], second, out)


def _plays_beyond(voice: Voice, second: SecondDecoder) -> list[int]:
    """How many samples a recording is played beyond what its index ends with.

    Players take a tag's padding off the end that it promises. Where that is cut off, or the tag
    counts no frames, they play all that there is.
    """
    index = voice.index
    tag = index.info_tag
    if tag is None or not tag.gapless or tag.encoder_delay is None or index.free_format:
        return []
    promised = tag.frames or 0
    if 0 < promised <= index.frames:
        return []
    first = max(0, index.frames - _LAST_FRAMES)
    try:
        end = second.end(voice.source, index, first, promised, tag.padding or 0)
    except UndecodableError:
        return []
    played = first * index.format.samples_per_frame + len(end)
    return [played - index.start - index.samples]


def _stretch(
    case: Case, compared: Compared, second: SecondDecoder, frames: FrameRange, out: Agreement
) -> None:
    """Some of the output's frames, counted from its first one."""
    ours = as_sound(decode_frames(case.output, case.output_index, frames.first, frames.last))
    theirs = second.frames(case.output, case.output_index, frames.first, frames.last)
    if len(theirs) != len(ours):
        raise UndecodableError(
            f"frames {frames.first} to {frames.last} are {len(theirs)} samples, not {len(ours)}"
        )
    _compare(
        case, compared, frames.first * case.format.samples_per_frame, ours, theirs, second, out
    )


def _compare(
    case: Case,
    compared: Compared,
    raw: int,
    ours: Sound,
    theirs: Sound,
    second: SecondDecoder,
    out: Agreement,
) -> None:
    """Add where two sounds of an output, from its raw sample `raw` on, are apart."""
    out.stretches += 1
    spf = case.format.samples_per_frame
    difference = np.abs(ours - theirs)
    # What the tag hides is left to `hidden`.
    difference[: max(0, case.hidden - raw)] = 0
    difference[max(0, case.hidden + case.whole.length - raw) :] = 0
    for voice in case.voices:
        for span in touching(voice.unsure, Span(raw - case.hidden, raw - case.hidden + len(ours))):
            low, high = (max(0, place + case.hidden - raw) for place in (span.start, span.end))
            difference[low:high] = 0
    for frame in range(raw // spf, -(-(raw + len(ours)) // spf)):
        here = difference[max(0, frame * spf - raw) : (frame + 1) * spf - raw]
        for channel, most in enumerate(here.max(axis=0, initial=0.0).tolist()):
            excused = most > _MOST_APART and _is_so_in_source(
                case, compared, frame, channel, most, second
            )
            if not excused:
                out.most_apart = max(out.most_apart, most)
            if most > _MOST_APART and not excused:
                sample = max(raw, frame * spf) + int(np.argmax(here[:, channel])) - case.hidden
                out.apart.append(Apart(sample, channel, most))


def _is_so_in_source(
    case: Case, compared: Compared, frame: int, channel: int, most: float, second: SecondDecoder
) -> bool:
    """Whether a frame, or one that is still heard in it, is a source's that they play as unlike."""
    number = frame + compared.frames.first
    back = -(-OVERLAP // case.format.samples_per_frame)
    for patch in case.compared(FrameRange(number - back, number + 1)):
        kept = compared.kept[channel][max(0, frame - back) : frame + 1]
        voice, own = case.voices[patch.voice], number - patch.shift
        if not kept.any() or voice.index.free_format or not 0 <= own < voice.index.frames:
            continue
        near = max(0, own - back), own + 1
        ours = as_sound(decode_source(voice.source, voice.index, *near))
        try:
            theirs = second.frames(voice.source, voice.index, *near)
        except UndecodableError:
            continue
        if len(ours) == len(theirs) and np.abs(ours - theirs).max() > _SAME_IN_SOURCE * most:
            return True
    return False


def as_sound(pcm: Pcm) -> Sound:
    """Integer samples as full scale ±1."""
    sound: Sound = pcm / 32768.0
    return sound
