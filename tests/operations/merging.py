# SPDX-License-Identifier: Apache-2.0
"""What the tests of `merge` share: what it makes of recordings, and recordings to draw from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from io import BytesIO
from typing import Any

from hypothesis import strategies as st

import audioengine as ae
from audioengine.report import PartReport
from fixtures import mpeg
from tests.operations import bits
from tests.operations.bits import Sound, sounds
from tests.operations.helpers import DECODERS, Pcm, Recording, lame, recorded, recording, talk
from tests.operations.timelines import Part, Timeline, timeline
from tests.support import arguments


@lru_cache(maxsize=4)
def _decoded(data: bytes, decoder: str) -> Pcm:
    return DECODERS[decoder](data)


@dataclass(frozen=True)
class Merged:
    """What `merge` made of recordings."""

    parts: tuple[Part, ...]
    """As they were given."""
    data: bytes
    report: ae.MergeReport
    options: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def model(self) -> Timeline:
        return timeline(self.parts)

    def decoded(self, decoder: str) -> Pcm:
        return _decoded(self.data, decoder)

    @cached_property
    def sounds(self) -> list[Sound]:
        """Its audio frames."""
        frames = list(mpeg.frames(self.data))
        assert mpeg.join(frames) == self.data
        return sounds(frames[1:])

    def part(self, name: str) -> PartReport:
        return next(one for one in self.report.parts if one.id == name)

    @property
    def codes(self) -> list[str]:
        return [notice.code for notice in self.report.warnings]


def merge(*parts: Part, **options: Any) -> Merged:
    """Merge recordings in memory."""
    out = BytesIO()
    report = ae.merge([one.asked for one in parts], out, **arguments(ae.MergeOptions, options))
    return Merged(parts, out.getvalue(), report, options)


def frames_of(merged: Merged, one: Part) -> list[tuple[int, int]]:
    """Frames of the output that are the recording's: their numbers there and in the recording.

    Frames are told by what they hold: their header, side information and main data.
    """
    source = one.source
    known: dict[tuple[bytes, bytes], list[int]] = {}
    for number, sound in enumerate(source.sounds):
        if sound.adu:
            known.setdefault((_essence(sound), sound.adu), []).append(number)
    out = []
    for place, sound in enumerate(merged.sounds):
        numbers = known.get((_essence(sound), sound.adu or b""), ())
        out += [(place, number) for number in numbers]
    return out


def _essence(sound: Sound) -> bytes:
    """Header and side information without what says where its main data and slots are."""
    frame = sound.frame
    side = bytearray(sound.data[frame.side_offset : frame.side_offset + frame.side_length])
    side[0] = 0
    if frame.version == 3:
        side[1] &= 0x7F
    return bytes([sound.data[1] | 1, sound.data[3]]) + bytes(side)


@cache
def conversation(number: int, seconds: float, rate: int = 8000, kbps: int = 32) -> Recording:
    """One of many different calls, tagged as recorders do."""
    start = 8 * number
    pcm = talk(rate, start + seconds)[start * rate :]
    frames = list(mpeg.frames(lame(pcm, rate, kbps)))
    padding = len(frames) * (576 if rate < 32_000 else 1152) - 576 - len(pcm)
    return recorded(f"conversation {number}", bits.with_tag(frames, 576, padding))


# Recordings to merge

AT_8K = (
    "mpeg25-8k-32k",
    "stereo-8k",
    "telephone-8k",
    "vbr-8k",
    "untagged-8k",
    "nores-8k",
    "mono-8k",
)
AT_16K = ("mpeg2-16k-48k", "vbr-16k", "midside-16k", "crc-16k", "nores-16k", "untagged-16k")
AT_44K = ("stereo-44k", "mono-44k", "nores-44k")
# Recordings of one rate, of two, and what is slow to decode seldom.
POOLS = (AT_8K, AT_8K, AT_8K, AT_16K, AT_8K + AT_16K, AT_8K + AT_16K, AT_8K + AT_44K)
LATEST_MS = 11_000

starts_ms = st.one_of(
    st.just(0),
    st.integers(0, LATEST_MS),
    # Frames at 8 and 16 kHz last 72 and 36 ms: these fall on one another's.
    st.integers(0, LATEST_MS // 72).map(lambda frames: 72 * frames),
)
segments_ms = st.builds(
    lambda start, length: (start, None if length is None else start + length),
    st.integers(-2000, LATEST_MS + 4000),
    st.one_of(st.none(), st.integers(1, 9000), st.integers(1, 9000)),
)


@st.composite
def merges(draw: st.DrawFn, *, most: int = 4) -> tuple[Part, ...]:
    """One to four recordings, in any order, with conferences or without."""
    names = draw(
        st.lists(
            st.sampled_from(draw(st.sampled_from(POOLS))), min_size=1, max_size=most, unique=True
        )
    )
    first = draw(st.one_of(st.just(0), st.integers(-5000, 5000)))
    confers = draw(st.booleans())
    every = st.lists(segments_ms, max_size=3) if confers else st.just([])
    return tuple(
        Part(
            recording(name),
            first + draw(starts_ms),
            tuple((first + a, None if b is None else first + b) for a, b in draw(every)),
        )
        for name in names
    )
