# SPDX-License-Identifier: Apache-2.0
"""Which frames, and which channels of them, are a source's bit for bit.

Most frames of most outputs are whole copies, and so are their neighbours: those are compared as
bytes. Of long silence it is enough that nothing is there. Only what is near other frames is taken
apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from audioengine.mp3.assemble import frame_head
from audioengine.mp3.header import HEADER_BYTES
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.main_data import Frame, read_frames
from audioengine.mp3.side_info import granule_layout, main_data_bits
from audioengine.plan.grid import Flags, FrameRange, flags_of, merged, ranges_of
from audioengine.verification.case import Case, Patch

_CHUNK_FRAMES = 512
_MODE_EXTENSION = 0x30  # of a header's last byte


@dataclass
class Compared:
    """Flags of the output's frames, in their order, and by channel where there are several."""

    frames: FrameRange
    """Their numbers, the plan's."""
    there: Flags
    """A source has a frame to compare them with."""
    whole: Flags
    """Header, side information and main data are the source's."""
    kept: list[Flags]
    """By channel: its granules are the source's, bit for bit, or both are empty."""
    silent: list[Flags]
    """By channel: the source has no main data there, or nothing that can be heard."""
    coupled: Flags
    """The source codes both channels together."""
    empty: Flags
    """The output has no main data."""
    malformed: list[int] = field(default_factory=list)
    """Frames whose main data is not all there, or whose head is not as the standard has it."""
    stale: list[int] = field(default_factory=list)
    """Frames with bytes in their slots that are nobody's main data and not zero."""
    low_bitrate: list[int] = field(default_factory=list)
    """Frames that are made and smaller than the plan makes them."""
    stale_bytes: int = 0


def compare(case: Case) -> Compared:
    """Compare the output's frames with the sources' that stand in the same places."""
    frames = case.frames
    channels = range(case.format.channels)
    patches = case.compared(frames)
    there = flags_of(merged(patch.frames for patch in patches), frames)
    equal = np.zeros(frames.count, dtype=bool)
    for patch in patches:
        here = slice(patch.frames.first - frames.first, patch.frames.last - frames.first)
        equal[here] = _equal_bytes(case, patch)
    equal &= ~flags_of([FrameRange(n, n + 1) for n in case.plan.lost], frames)
    blank = _blank(case)
    out = Compared(
        frames=frames,
        there=there,
        whole=equal.copy(),
        kept=[equal.copy() for _ in channels],
        silent=[np.zeros(frames.count, dtype=bool) for _ in channels],
        coupled=np.zeros(frames.count, dtype=bool),
        empty=blank.copy(),
    )
    reach = _reach(case)
    differs = flags_of(case.plan.clusters, frames) | ~equal & ~blank
    near = ranges_of(_dilated(differs, reach), frames.first)
    for part in near:
        for first in range(part.first, part.last, _CHUNK_FRAMES):
            chunk = FrameRange(first, min(first + _CHUNK_FRAMES, part.last))
            _compare_parsed(case, out, chunk, equal, reach)
    return out


def _equal_bytes(case: Case, patch: Patch) -> Flags:
    """[shape=(frames of the patch,)] Which frames are the source's, byte for byte."""
    frames, source = patch.frames, case.voices[patch.voice]
    equal = np.zeros(frames.count, dtype=bool)
    zero = case.frames.first
    for first in range(frames.first, frames.last, _CHUNK_FRAMES):
        last = min(first + _CHUNK_FRAMES, frames.last)
        ours = case.output_index.read_frames(case.output, first - zero, last - zero)
        own = (first - patch.shift, last - patch.shift)
        theirs = source.index.read_frames(source.source, *own)
        here = slice(first - frames.first, last - frames.first)
        if ours == theirs:
            equal[here] = True
            continue
        pieces = zip(
            _pieces(ours, case.output_index, first - zero, last - zero),
            _pieces(theirs, source.index, *own),
            strict=True,
        )
        equal[here] = [our == their for our, their in pieces]
    return equal


def _blank(case: Case) -> Flags:
    """Which frames of long silence are headers and nothing else but zeros."""
    frames, index = case.frames, case.output_index
    blank = np.zeros(frames.count, dtype=bool)
    for part in case.plan.silences:
        low, high = (min(max(n - frames.first, 0), frames.count) for n in (part.first, part.last))
        for first in range(low, high, _CHUNK_FRAMES):
            last = min(first + _CHUNK_FRAMES, high)
            data = np.frombuffer(index.read_frames(case.output, first, last), dtype=np.uint8)
            sizes = index.sizes[index.byte2[first:last]].astype(np.int64)
            starts = np.cumsum(sizes) - sizes
            heads = np.unique(data[starts[:, None] + (0, 1, 3)], axis=0)
            plain = len(heads) == 1 and not heads[0, 2] & _MODE_EXTENSION
            if plain and np.count_nonzero(data) == np.count_nonzero(
                data[starts[:, None] + np.arange(HEADER_BYTES)]
            ):
                blank[first:last] = True
    return blank


def _pieces(data: bytes, index: FrameIndex, first: int, last: int) -> Iterator[bytes]:
    position = 0
    for size in index.sizes[index.byte2[first:last]].tolist():
        yield data[position : position + size]
        position += size


def _reach(case: Case) -> int:
    """Frames whose slots together hold all that a main_data_begin can reach back to."""
    format = case.format
    overhead = 4 + 2 + format.side_info_bytes
    least = min(
        int(index.sizes[np.unique(index.byte2)].min())
        for index in (*(voice.index for voice in case.voices), case.output_index)
        if index.format == format and index.frames
    )
    return min(64, -(-format.max_main_data_begin // max(1, least - overhead)) + 1)


def _dilated(flags: Flags, reach: int) -> Flags:
    """The flags, and `reach` neighbours on either side of each."""
    total = np.concatenate(([0], np.cumsum(flags, dtype=np.int64)))
    places = np.arange(len(flags))
    low, high = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(flags))
    out: Flags = total[high] > total[low]
    return out


def _compare_parsed(
    case: Case, out: Compared, frames: FrameRange, equal: Flags, reach: int
) -> None:
    zero = case.frames.first
    after = min(frames.last + reach, case.frames.last)
    ours = read_frames(case.output, case.output_index, frames.first - zero, after - zero)
    theirs: dict[int, Frame] = {}
    sources_owned: dict[int, npt.NDArray[np.bool_]] = {}
    for patch in case.compared(frames):
        index, shift = case.voices[patch.voice].index, patch.shift
        last = min(patch.frames.last + reach - shift, index.frames)
        read = read_frames(case.voices[patch.voice].source, index, patch.frames.first - shift, last)
        owned = _owned(read)
        for frame in read[: patch.frames.count]:
            theirs[frame.number + shift] = frame
            sources_owned[frame.number + shift] = owned[frame.number]
    for frame in ours[: frames.count]:
        _compare_frame(case, out, frame.number, frame, theirs.get(frame.number + zero))
    owned = _owned(ours)
    for frame in ours[: frames.count]:
        place = frame.number
        slots = np.frombuffer(frame.data, dtype=np.uint8)[frame.header.main_data_offset :]
        stale = (slots != 0) & ~owned[frame.number]
        if equal[place] or out.whole[place]:
            # Stuffing of a copied frame may stay, also where slots beside it are rewritten; what
            # was main data may not.
            source = np.frombuffer(theirs[frame.number + zero].data, dtype=np.uint8)
            changed = slots != source[len(source) - len(slots) :]
            stale &= sources_owned[frame.number + zero] | changed
        count = int(np.count_nonzero(stale))
        count += not equal[place] and not out.whole[place] and _has_trailing_bits(frame)
        if count:
            out.stale.append(frame.number + zero)
            out.stale_bytes += count


def _compare_frame(
    case: Case, out: Compared, place: int, ours: Frame, theirs: Frame | None
) -> None:
    format = case.format
    number = place + out.frames.first
    lost = number in case.lost
    out.empty[place] = not ours.adu
    if not ours.intact:
        out.malformed.append(number)
    here = ours.channels() if theirs is not None else None
    there = theirs.channels() if theirs is not None and not lost else None
    if theirs is not None and not lost:
        out.coupled[place] = there is None
        offset = ours.header.main_data_offset
        same_head = ours.data[:offset] == theirs.data[: theirs.header.main_data_offset]
        intact = ours.intact and theirs.intact
        out.whole[place] = intact and same_head and ours.adu == theirs.adu
    layout = granule_layout(format.lsf)
    for channel in range(format.channels):
        same = bool(out.whole[place])
        if here is not None and there is not None:
            same = here[channel] == there[channel]
            silent = all(layout.part2_3_length(g) == 0 for g in there[channel].granules)
            out.silent[channel][place] = silent
        out.kept[channel][place] = same
    if not out.whole[place]:
        head = ours.data[: ours.header.main_data_offset]
        plain = ours.header.mode_extension == 0 and ours.header.flags in case.flags
        if not plain or head != frame_head(ours.header, ours.side_info):
            out.malformed.append(number)
        lower = ours.header.bitrate_index < case.plan.bitrate_index
        if lower and not _is_bare_silence(case, number, ours):
            out.low_bitrate.append(number)


def _is_bare_silence(case: Case, number: int, ours: Frame) -> bool:
    """Whether a frame is of a gap and empty, and so may be the smallest where bitrates vary."""
    in_gap = any(number in part for part in case.plan.silences)
    return in_gap and not (case.plan.padded or ours.adu) and ours.header.bitrate_index == 1


def _has_trailing_bits(frame: Frame) -> bool:
    """Whether bits behind the main data, in its last byte, are set."""
    bits = main_data_bits(frame.side_info, frame.header.format) if frame.intact else 0
    spare = -bits % 8
    return bool(spare and frame.adu[-1] & (1 << spare) - 1)


def _owned(frames: Sequence[Frame]) -> dict[int, npt.NDArray[np.bool_]]:
    """By frame number, which bytes of its slots are main data of any of the frames."""
    starts = {}
    position = 0
    for frame in frames:
        starts[frame.number] = position
        position += frame.slot_bytes
    owned = np.zeros(position, dtype=bool)
    for frame in frames:
        begin = starts[frame.number] - frame.side_info.main_data_begin
        bits = main_data_bits(frame.side_info, frame.header.format)
        # What is lost may say that it has more than there is.
        end = min(begin + (bits + 7) // 8, starts[frame.number] + frame.slot_bytes)
        owned[max(0, begin) : max(0, end)] = True
    return {
        frame.number: owned[starts[frame.number] : starts[frame.number] + frame.slot_bytes]
        for frame in frames
    }
