# SPDX-License-Identifier: Apache-2.0
"""Frames apart by channel and together again, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3.side_info import BlockType, granule_layout, main_data_bits, side_is_empty
from audioengine.mp3.splice import (
    ChannelFrame,
    amplified,
    join_channels,
    silent_channel,
    split_channels,
)
from tests.strategies import channel_frames, formats
from tests.support import READABLE, decode_miniaudio, decode_soundfile, indexed, read, stream


@pytest.mark.parametrize("name", READABLE)
def test_every_frame_of_every_recording_joins_to_what_was_split(name: str) -> None:
    format = indexed(name).format
    joined = 0
    for frame in read(name):
        if not frame.intact:
            continue
        parts = split_channels(frame.side_info, frame.adu, format)
        assert len(parts) == format.channels
        info, adu = join_channels(parts, format, frame.side_info.main_data_begin)
        assert info == frame.side_info
        assert len(adu) == len(frame.adu)
        # Bits behind the last code word belong to nobody.
        spare = 8 * len(adu) - main_data_bits(info, format)
        assert 0 <= spare < 8
        got, expected = int.from_bytes(adu, "big"), int.from_bytes(frame.adu, "big")
        assert got == expected >> spare << spare
        joined += 1
    assert joined


@given(st.data())
def test_what_is_joined_is_split(data: st.DataObject) -> None:
    format = data.draw(formats)
    channels = tuple(data.draw(channel_frames(format)) for _ in range(format.channels))
    begin = data.draw(st.integers(0, format.max_main_data_begin))
    info, adu = join_channels(channels, format, begin)
    assert info.main_data_begin == begin
    bits = sum(channel.bits(format) for channel in channels)
    assert main_data_bits(info, format) == bits
    assert len(adu) == (bits + 7) // 8
    assert split_channels(info, adu, format) == channels


@given(st.data())
def test_main_data_runs_granule_by_granule_and_channel_by_channel(data: st.DataObject) -> None:
    """The order of 2.4.1.7, in digits."""
    format = data.draw(formats)
    channels = [data.draw(channel_frames(format, max_bits=100)) for _ in range(format.channels)]
    layout = granule_layout(format.lsf)
    digits = ""
    for granule in range(format.granules):
        for channel in channels:
            length = layout.part2_3_length(channel.granules[granule])
            digits += f"{channel.data[granule]:0{length}b}" if length else ""
    _, adu = join_channels(channels, format)
    padded = digits.ljust(8 * len(adu), "0")
    assert adu == bytes(int(padded[i : i + 8], 2) for i in range(0, len(padded), 8))


@pytest.mark.parametrize("name", ["stereo-8k", "stereo-44k", "dual-16k"])
def test_exchanged_channels_sound_exchanged_and_otherwise_the_same(name: str) -> None:
    format = indexed(name).format
    parts = [split_channels(frame.side_info, frame.adu, format) for frame in read(name)]
    plain = decode_miniaudio(stream(format, parts))
    exchanged = decode_miniaudio(stream(format, [pair[::-1] for pair in parts]))
    assert (plain[:, 0] != plain[:, 1]).any()
    np.testing.assert_array_equal(exchanged, plain[:, ::-1])


@pytest.mark.parametrize("name", ["stereo-8k", "stereo-44k"])
def test_a_silenced_channel_leaves_the_other_as_it_is(name: str) -> None:
    format = indexed(name).format
    parts = [split_channels(frame.side_info, frame.adu, format) for frame in read(name)]
    plain = decode_soundfile(stream(format, parts))
    silent = silent_channel(format)
    assert silent.bits(format) == 0
    assert silent.block_types(format) == (BlockType.LONG,) * format.granules
    got = decode_soundfile(stream(format, [(left, silent) for left, _ in parts]))
    np.testing.assert_array_equal(got[:, 0], plain[:, 0])
    assert not got[:, 1].any()


@pytest.mark.parametrize("name", ["mono-8k", "mono-44k"])
@pytest.mark.parametrize("steps", [-4, 1, 2])
def test_gain_steps_are_quarters_of_a_factor_of_two(name: str, steps: int) -> None:
    format = indexed(name).format
    parts = [split_channels(frame.side_info, frame.adu, format) for frame in read(name)]
    plain = decode_soundfile(stream(format, parts))
    got = decode_soundfile(stream(format, [(amplified(part, steps, format),) for (part,) in parts]))
    np.testing.assert_allclose(got, plain * 2 ** (steps / 4), rtol=0, atol=1e-6)
    assert np.abs(plain).max() > 0.1


def gains(channel: ChannelFrame, lsf: bool) -> list[int | None]:
    """global_gain of each granule, None of an empty one."""
    layout = granule_layout(lsf)
    return [
        layout.global_gain(granule) if layout.part2_3_length(granule) else None
        for granule in channel.granules
    ]


@given(st.data(), st.integers(-300, 300))
def test_a_gain_is_changed_exactly_or_refused(data: st.DataObject, steps: int) -> None:
    format = data.draw(formats)
    channel = data.draw(channel_frames(format, max_bits=40))
    before = gains(channel, format.lsf)
    fits = all(gain is None or 0 <= gain + steps <= 255 for gain in before)
    if not fits:
        with pytest.raises(ValueError, match="global_gain"):
            amplified(channel, steps, format)
        return
    louder = amplified(channel, steps, format)
    assert gains(louder, format.lsf) == [None if gain is None else gain + steps for gain in before]
    assert (louder.scfsi, louder.data) == (channel.scfsi, channel.data)
    assert amplified(louder, -steps, format) == channel


@given(st.data())
def test_windows_are_those_of_the_granules(data: st.DataObject) -> None:
    format = data.draw(formats)
    channel = data.draw(channel_frames(format, max_bits=8))
    layout = granule_layout(format.lsf)
    assert channel.block_types(format) == tuple(map(layout.block_type, channel.granules))
    assert channel.bits(format) == sum(map(layout.part2_3_length, channel.granules))


@given(st.data())
def test_the_side_is_empty_where_channel_1_has_no_main_data(data: st.DataObject) -> None:
    format = data.draw(formats.filter(lambda one: one.channels == 2))
    parts = [data.draw(channel_frames(format, max_bits=2)) for _ in range(2)]
    info, _ = join_channels(parts, format)
    assert side_is_empty(info, format) == (parts[1].bits(format) == 0)
