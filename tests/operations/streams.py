# SPDX-License-Identifier: Apache-2.0
"""Streams that use all of the standard, and what of it a stream uses.

Encoders from wheels write the most of it. What none of them writes (mixed blocks, intensity stereo,
CRCs, free format, dual channel, every bitrate) is made by writing their frames anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from io import BytesIO
from itertools import cycle, repeat

import av
import numpy as np
import soundfile
import soxr

from fixtures import mpeg
from tests.operations import bits
from tests.operations.helpers import Pcm, lame, talk

RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
FEW_RATES = (8000, 16_000, 44_100)
SECONDS = 1.5
LSF_KBPS, MPEG_1_KBPS = 40, 128
# Of what each scalefac_compress says of MPEG-1's first scale factors.
_SLEN1 = (0, 0, 0, 0, 3, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4)


def _kbps(rate: int) -> int:
    return LSF_KBPS if rate < 32_000 else MPEG_1_KBPS


def by_soundfile(pcm: Pcm, rate: int, mode: str) -> bytes:
    """As libsndfile writes it, in CONSTANT, AVERAGE or VARIABLE bitrate."""
    out = BytesIO()
    soundfile.write(out, pcm, rate, format="MP3", bitrate_mode=mode, compression_level=0.6)
    return out.getvalue()


def by_ffmpeg(pcm: Pcm, rate: int, kbps: int, **options: str) -> bytes:
    """As libavformat writes it: Lavf in its tag, ID3v2 before it."""
    out = BytesIO()
    with av.open(out, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=rate, options=options)
        stream.bit_rate, stream.layout = kbps * 1000, "stereo"
        samples = np.ascontiguousarray(pcm.T.astype(np.float32))
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return out.getvalue()


# Frames written anew


def _fewer_if_mixed(scalefac_compress: int, lsf: bool) -> int:
    """Bits of scale factors that a mixed block has less than a short one."""
    if not lsf:
        return _SLEN1[scalefac_compress]
    if scalefac_compress < 400:
        return 3 * ((scalefac_compress >> 4) // 5)
    if scalefac_compress < 500:
        return 3 * ((scalefac_compress - 400 >> 2) // 5)
    return 3 * ((scalefac_compress - 500) // 3)


def laid(
    frames: Sequence[mpeg.Frame], bitrates: Iterator[int], *, more: int = 0, protected: bool = False
) -> bytes:
    """The frames at other bitrates, by index, main data in the reservoir as far back as it goes.

    more: bytes by which each is longer than its bitrate says, in free format then.
    """
    out = b""
    slots = bytearray()
    free = 0
    heads = []
    for sound in bits.sounds(frames):
        frame = sound.frame
        assert sound.adu is not None
        lsf = frame.version != 3
        start = len(slots) - min(free, 255 if lsf else 511)
        index = next(bitrates)
        begins = 4 + 2 * protected + frame.side_length
        while len(slots) + _size(frame, index) + more - begins < start + len(sound.adu):
            index += 1
        head = bytes((
            0xFF,
            frame.data[1] & 0xFE if protected else frame.data[1] | 1,
            (0 if more else index << 4) | frame.data[2] & 0x0C,
            frame.data[3],
        ))  # fmt: skip
        side = int.from_bytes(sound.head[-frame.side_length :], "big")
        width = 8 * frame.side_length - (8 if lsf else 9)
        side = side & (1 << width) - 1 | len(slots) - start << width
        data = head + bytes(2 * protected) + side.to_bytes(frame.side_length, "big")
        if protected:
            data = head + bits.frame_crc(mpeg.Frame(0, data)) + data[6:]
        slot = _size(frame, index) + more - begins
        heads.append((data, slot))
        slots += bytes(slot)
        slots[start : start + len(sound.adu)] = sound.adu
        free = len(slots) - start - len(sound.adu)
    for data, slot in heads:
        out += data + slots[:slot]
        del slots[:slot]
    return out


def _size(frame: mpeg.Frame, index: int) -> int:
    return bits.frame_size(frame.data, index)


def _index(rate: int, kbps: int) -> int:
    return (mpeg.V2_KBPS if rate < 32_000 else mpeg.V1_KBPS).index(kbps)


def _changed(data: bytes, change: Callable[[bits.Sound], mpeg.Frame | None]) -> bytes:
    """The stream with frames changed, at the bitrate that it has, or higher where that's short."""
    frames = mpeg.sound(data)
    wide = [change(sound) or sound.frame for sound in bits.sounds(bits.repacked(frames))]
    return laid(wide, repeat(_index(frames[0].rate, frames[0].kbps)))


def with_mixed_blocks(sound: bits.Sound) -> mpeg.Frame | None:
    """A frame whose short blocks are mixed: the lowest lines are in a long one.

    The lowest scale factors are those of eight long bands then, in LSF of six, and not of three
    short ones. What leads into short blocks and out of them has the long window there too.
    """
    lsf = sound.frame.version != 3
    parts = []
    for channel in sound.channels:
        fields, data = list(channel.fields), list(channel.data)
        for number, packed in enumerate(channel.fields):
            granule = Granule(packed, lsf)
            if granule.block_type == 0:
                continue
            fewer = granule.fewer_if_mixed if granule.block_type == 2 else 0
            shift = channel.width - 12
            fields[number] = (packed | 1 << granule.mixed_shift) - (fewer << shift)
            data[number] = data[number][fewer:]
        parts.append(replace(channel, fields=tuple(fields), data=tuple(data)))
    return bits.joined(sound.frame, parts)


def with_intensity(sound: bits.Sound) -> mpeg.Frame | None:
    """A frame in intensity stereo, if its second channel is empty: all of its positions are 0."""
    frame = sound.frame
    if frame.mode != 1 or any(any(granule[1:]) for granule in frame.part2_3_lengths):
        return None
    return frame.with_byte(3, frame.data[3] | 0x10)


def with_partial_intensity(sound: bits.Sound) -> mpeg.Frame | None:
    """A frame whose second channel has its own low bands, and intensity positions above them."""
    frame = sound.frame
    return frame.with_byte(3, frame.data[3] | 0x10) if frame.mode == 1 else None


def as_dual_channel(sound: bits.Sound) -> mpeg.Frame | None:
    """A frame of two independent channels; it must be coded left/right."""
    assert not sound.coupled
    return sound.frame.with_byte(3, sound.frame.data[3] & 0x0F | 0x80)


@cache
def sound(rate: int) -> Pcm:
    """[shape=(n, 2)] Both parties talking."""
    return np.array(soxr.resample(talk(RATES[-1], SECONDS), RATES[-1], rate))


def half_equal(pcm: Pcm) -> Pcm:
    """Both parties on both channels in the second half: there the side channel is empty."""
    out = np.array(pcm)
    half = len(pcm) // 2
    out[half:] = pcm[half:].mean(axis=1, keepdims=True)
    return out


def _joint(rate: int) -> bytes:
    return lame(sound(rate), rate, _kbps(rate))


def _stereo(rate: int) -> bytes:
    return by_ffmpeg(sound(rate), rate, _kbps(rate), joint_stereo="0")


def _anew(rate: int, bitrates: Iterator[int], *, more: int = 0, protected: bool = False) -> bytes:
    return laid(mpeg.sound(_joint(rate)), bitrates, more=more, protected=protected)


def _own(rate: int) -> int:
    return _index(rate, _kbps(rate))


# By kind, what makes it of a rate, and which rates. On mixed blocks in MPEG-2.5 no decoders agree.
KINDS: dict[str, tuple[Callable[[int], bytes], tuple[int, ...]]] = {
    "joint": (_joint, RATES),
    "stereo": (_stereo, RATES),
    "mono": (lambda rate: by_soundfile(sound(rate)[:, :1], rate, "CONSTANT"), RATES),
    "vbr": (lambda rate: by_soundfile(sound(rate), rate, "VARIABLE"), FEW_RATES),
    "abr": (lambda rate: by_soundfile(sound(rate), rate, "AVERAGE"), FEW_RATES),
    "mixed": (
        lambda rate: _changed(_joint(rate), with_mixed_blocks),
        (16_000, 24_000, 44_100, 48_000),
    ),
    "intensity": (
        lambda rate: _changed(lame(half_equal(sound(rate)), rate, _kbps(rate)), with_intensity),
        FEW_RATES,
    ),
    "partial-intensity": (
        lambda rate: _changed(_joint(rate), with_partial_intensity),
        (32_000, 44_100),
    ),
    "dual": (lambda rate: _changed(_stereo(rate), as_dual_channel), FEW_RATES),
    "crc": (lambda rate: _anew(rate, repeat(_own(rate) + 1), protected=True), FEW_RATES),
    "free": (lambda rate: _anew(rate, repeat(_own(rate)), more=13), FEW_RATES),
    "bitrates": (lambda rate: _anew(rate, cycle(range(1, 15))), FEW_RATES),
}
NAMES = tuple(f"{kind}-{rate}" for kind, (_, rates) in KINDS.items() for rate in rates)


@cache
def generated(name: str) -> bytes:
    """One of the streams."""
    kind, _, rate = name.rpartition("-")
    return KINDS[kind][0](int(rate))


# What a stream uses


class Granule:
    """The fields of a granule's side information, of one channel."""

    def __init__(self, packed: int, lsf: bool) -> None:
        width, compress = (63, 9) if lsf else (59, 4)
        self._packed = packed
        self._left = width
        self._take(12 + 9 + 8)
        scalefac_compress = self._take(compress)
        self.fewer_if_mixed = _fewer_if_mixed(scalefac_compress, lsf)
        self.block_type = 0
        self.mixed = False
        self.mixed_shift = self._left - 4
        if self._take(1):
            self.block_type = self._take(2)
            self.mixed = bool(self._take(1))
            self._take(10)
            self.subblock_gain = self._take(9)
        else:
            self.subblock_gain = 0
            self._take(22)
        self.preflag = 0 if lsf else self._take(1)
        self.scalefac_scale = self._take(1)
        self.count1table_select = self._take(1)

    def _take(self, count: int) -> int:
        self._left -= count
        return self._packed >> self._left & (1 << count) - 1


BLOCKS = ("long", "start", "short", "stop")


def features(data: bytes) -> Counter[str]:
    """In how many frames, or granules of a channel, a stream uses what of the standard."""
    out: Counter[str] = Counter()
    frames = mpeg.sound(data)
    for sound in bits.sounds(frames):
        frame = sound.frame
        out[f"{frame.rate} Hz, {mpeg.MODE_NAMES[frame.mode]}"] += 1
        out["mid/side"] += frame.mode_extension == 2
        out["intensity"] += frame.mode_extension & 1
        out["CRC"] += frame.protected
        out["free format"] += not frame.kbps
        out["padding"] += frame.data[2] >> 1 & 1
        out["reservoir"] += frame.main_data_begin > 0
        out[f"{mpeg.VERSION_NAMES[frame.version]}, {frame.kbps} kbit/s"] += 1
        for channel in sound.channels:
            out["scfsi"] += bool(channel.scfsi)
            for packed in channel.fields:
                granule = Granule(packed, frame.version != 3)
                out[BLOCKS[granule.block_type]] += 1
                out["mixed"] += granule.mixed
                out["subblock_gain"] += granule.subblock_gain > 0
                out["preflag"] += granule.preflag
                out["scalefac_scale"] += granule.scalefac_scale
                out["count1table_select"] += granule.count1table_select
    tag = next(mpeg.frames(data))
    if tag.is_tag:
        method = tag.data[4 + tag.side_length + 129] & 15
        out["ABR"] += (method == 2) * len(frames)
        out["VBR"] += (method > 2) * len(frames)
    return +out
