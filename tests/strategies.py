# SPDX-License-Identifier: Apache-2.0
"""Generators of bitstream values for property tests."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

from audioengine.mp3.header import FrameHeader, Mode, StreamFormat, Version
from audioengine.mp3.side_info import SideInfo, granule_layout
from audioengine.mp3.splice import ChannelFrame
from tests.support import fixture

FORMATS = tuple(
    StreamFormat(version, rate_index, channels)
    for version in Version
    for rate_index in range(3)
    for channels in (1, 2)
)

formats = st.sampled_from(FORMATS)
bitrate_indices = st.integers(1, 14)
bits = st.integers(0, 1)


def examples(count: int) -> settings:
    """So many examples where the usual number is 50; more where the profile says more."""
    assert settings.default is not None
    return settings(max_examples=max(1, count * settings.default.max_examples // 50))


def one_of_mode(format: StreamFormat) -> st.SearchStrategy[Mode]:
    """A mode that a stream of this format can have."""
    if format.channels == 1:
        return st.just(Mode.SINGLE_CHANNEL)
    return st.sampled_from((Mode.STEREO, Mode.JOINT_STEREO, Mode.DUAL_CHANNEL))


@st.composite
def headers(draw: st.DrawFn, *, free_format: bool = True) -> FrameHeader:
    """Any Layer III header."""
    format = draw(formats)
    return FrameHeader(
        format=format,
        protected=draw(st.booleans()),
        bitrate_index=draw(st.integers(0 if free_format else 1, 14)),
        padding=draw(bits),
        mode=draw(one_of_mode(format)),
        mode_extension=draw(st.integers(0, 3)),
        flags=draw(st.integers(0, 15)),
    )


@st.composite
def side_infos(draw: st.DrawFn, format: StreamFormat) -> SideInfo:
    """Side information with any value in every field; its main data need not exist."""
    packed = st.integers(0, (1 << granule_layout(format.lsf).bits) - 1)
    granule = st.tuples(*[packed] * format.channels)
    scfsi = st.just(0) if format.lsf else st.integers(0, 15)
    return SideInfo(
        main_data_begin=draw(st.integers(0, format.max_main_data_begin)),
        scfsi=draw(st.tuples(*[scfsi] * format.channels)),
        granules=draw(st.tuples(*[granule] * format.granules)),
    )


@st.composite
def channel_frames(draw: st.DrawFn, format: StreamFormat, *, max_bits: int = 4095) -> ChannelFrame:
    """A channel's part of a frame, with as much main data as its side information says."""
    layout = granule_layout(format.lsf)
    rest = layout.bits - 12
    granules, data = [], []
    for _ in range(format.granules):
        length = draw(st.integers(0, max_bits))
        granules.append(length << rest | draw(st.integers(0, (1 << rest) - 1)))
        size = (length + 7) // 8
        data.append(
            int.from_bytes(draw(st.binary(min_size=size, max_size=size)), "big")
            >> (8 * size - length)
        )
    scfsi = 0 if format.lsf else draw(st.integers(0, 15))
    return ChannelFrame(scfsi, tuple(granules), tuple(data))


@st.composite
def edited_bytes(draw: st.DrawFn, name: str, *, most: int = 1 << 16) -> bytes:
    """The beginning of a fixture with a few pieces cut out, put in, repeated or overwritten."""
    data = bytearray(fixture(name)[:most])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 2000))
        junk = draw(
            st.one_of(
                st.binary(max_size=64),
                st.binary(min_size=1, max_size=8).map(lambda piece: piece * 250),
                st.sampled_from((b"TAG", b"ID3\x04\0\0\0\0\x07\x7f", b"APETAGEX", b"LYRICS200")),
            )
        )
        match draw(st.sampled_from(("cut", "insert", "overwrite", "repeat", "truncate"))):
            case "cut":
                del data[at : at + length]
            case "insert":
                data[at:at] = junk
            case "overwrite":
                data[at : at + len(junk)] = junk
            case "repeat":
                data[at:at] = data[max(0, at - length) : at]
            case _:
                del data[at:]
    return bytes(data)
