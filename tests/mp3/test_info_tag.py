# SPDX-License-Identifier: Apache-2.0
"""The Xing/Info frame: written, and read back by a reading of the layout that is the test's own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from audioengine.mp3.crc import tag_crc
from audioengine.mp3.header import FrameHeader, parse_header
from audioengine.mp3.info_tag import (
    InfoTag,
    build_info_tag,
    parse_info_tag,
    tag_frame_bytes,
    tag_header,
)
from fixtures import mpeg
from tests.strategies import examples, headers
from tests.support import (
    READABLE,
    decode_miniaudio,
    decode_pyav,
    decode_soundfile,
    fixture,
    sound,
)


@dataclass(frozen=True)
class Layout:
    """A tag frame that has all fields, read by the offsets of mp3-facts 1."""

    frame: bytes

    @property
    def start(self) -> int:
        head = mpeg.Frame(0, self.frame)
        return 4 + head.side_length

    def number(self, offset: int, size: int) -> int:
        at = self.start + offset
        return int.from_bytes(self.frame[at : at + size], "big")

    def text(self, offset: int, size: int) -> bytes:
        return self.frame[self.start + offset : self.start + offset + size]


fields12 = st.integers(0, 4095)


@given(
    like=headers(free_format=False),
    constant=st.booleans(),
    frames=st.integers(1, 1 << 24),
    size=st.integers(1, 1 << 31),
    crc=st.integers(0, 0xFFFF),
    shares=st.lists(st.floats(0, 1), min_size=100, max_size=100),
    encoder=st.sampled_from((b"LAME3.100", b"Lavc59.37", b"LAME")),
    delay=fields12,
    padding=fields12,
    kbps=st.sampled_from((8, 32, 128, 320)),
)
def test_every_field_is_where_decoders_look_for_it(
    like: FrameHeader,
    constant: bool,
    frames: int,
    size: int,
    crc: int,
    shares: list[float],
    encoder: bytes,
    delay: int,
    padding: int,
    kbps: int,
) -> None:
    offsets = sorted(int(share * size) for share in shares)
    frame = build_info_tag(
        like,
        constant_bitrate=constant,
        lowest_kbps=kbps,
        frames=frames,
        audio_bytes=size,
        audio_crc=crc,
        frame_offsets=offsets,
        encoder=encoder,
        encoder_delay=delay,
        padding=padding,
    )
    tag = Layout(frame)
    assert len(frame) == tag_frame_bytes(like)
    assert not any(frame[4 : tag.start]), "mpg123 plays a tag behind side information"
    assert tag.text(0, 4) == (b"Info" if constant else b"Xing")
    assert tag.number(4, 4) == 15
    assert tag.number(8, 4) == frames
    total = len(frame) + size
    assert tag.number(12, 4) == total
    assert list(tag.text(16, 100)) == [
        min(255, 256 * (len(frame) + offset) // total) for offset in offsets
    ]
    assert tag.text(120, 9) == encoder.ljust(9, b"\0")
    revision, method = divmod(tag.number(129, 1), 16)
    assert (revision, method) == (0, 1 if constant else 0)
    assert tag.number(130, 10) == 0, "low-pass, peak and gains tell of removed audio"
    assert tag.number(140, 1) == min(255, kbps)
    assert divmod(tag.number(141, 3), 4096) == (delay, padding)
    assert tag.number(148, 4) == total
    assert tag.number(152, 2) == crc
    assert tag.number(154, 2) == mpeg.crc16_arc(frame[: tag.start + 154])
    assert not any(frame[tag.start + 156 :])

    header = parse_header(frame)
    assert header is not None
    assert parse_info_tag(frame, header) == InfoTag(
        "Info" if constant else "Xing", frames, total, encoder.ljust(9, b"\0"), delay, padding
    )


@given(headers())
def test_the_tag_frame_is_the_smallest_of_its_stream_without_crc(like: FrameHeader) -> None:
    header = tag_header(like)
    format = like.format
    assert (header.format, header.mode, header.flags) == (format, like.mode, like.flags)
    assert (header.protected, header.padding, header.mode_extension) == (False, 0, 0)
    need = 4 + format.side_info_bytes + 156
    size = tag_frame_bytes(like)
    assert size == format.frame_bytes(header.bitrate_index) >= need
    assert header.bitrate_index == 1 or format.frame_bytes(header.bitrate_index - 1) < need


@pytest.mark.parametrize("field", ["encoder_delay", "padding"])
@pytest.mark.parametrize("value", [-1, 4096])
def test_what_twelve_bits_cannot_hold_is_refused(field: str, value: int) -> None:
    like = parse_header(fixture("mpeg2-16k-48k"))
    assert like is not None
    given_fields = {"encoder_delay": 0, "padding": 0, field: value}
    with pytest.raises(ValueError, match=field):
        build_info_tag(
            like,
            constant_bitrate=True,
            lowest_kbps=48,
            frames=1,
            audio_bytes=1,
            audio_crc=0,
            frame_offsets=[0] * 100,
            encoder=b"LAME3.100",
            **given_fields,
        )


@pytest.mark.parametrize("name", ["untagged-8k", "untagged-16k", "untagged-44k", "crc-44k"])
@given(delay=fields12, padding=fields12)
@examples(8)
def test_decoders_cut_by_it_to_the_sample(name: str, delay: int, padding: int) -> None:
    """What they play is the stretch of the untagged stream that delay and padding leave."""
    every = sound(name)[:60]
    body = mpeg.join(list(every))
    like = parse_header(body)
    assert like is not None
    spf = like.format.samples_per_frame
    start, end = delay + 529, len(every) * spf - max(0, padding - 529)
    # FFmpeg cuts too little where both ends fall into one frame.
    assume(start // spf < (end - 1) // spf)
    sizes = [len(frame.data) for frame in every]
    marks = [0, *accumulate(sizes)]
    tagged = build_info_tag(
        like,
        constant_bitrate=True,
        lowest_kbps=1,
        frames=len(every),
        audio_bytes=len(body),
        audio_crc=tag_crc(body),
        frame_offsets=[marks[len(every) * percent // 100] for percent in range(100)],
        encoder=b"LAME3.100",
        encoder_delay=delay,
        padding=padding,
    )
    np.testing.assert_array_equal(
        decode_miniaudio(tagged + body), decode_miniaudio(body)[start:end]
    )
    np.testing.assert_array_equal(decode_pyav(tagged + body), decode_pyav(body)[start:end])
    whole = decode_soundfile(body)[start:end]
    got = decode_soundfile(tagged + body)
    assert len(got) == end - start
    np.testing.assert_allclose(got[: len(whole)], whole, rtol=0, atol=6e-8)


@pytest.mark.parametrize("name", [name for name in READABLE if name != "junk-at-start"])
def test_tags_of_recordings_read_as_laid_out(name: str) -> None:
    every = list(mpeg.frames(fixture(name)))
    frame = every[0]
    header = parse_header(frame.data)
    assert header is not None
    tag = parse_info_tag(frame.data, header)
    assert (tag is not None) == frame.is_tag
    if tag is None:
        return
    if tag.kind == "VBRI":
        assert tag == InfoTag("VBRI", 193, len(fixture(name)), None, None, None)
        assert not tag.gapless
        return
    layout = Layout(frame.data)
    assert layout.number(4, 4) == 15
    encoder = layout.text(120, 9)
    if not any(encoder):
        assert tag == InfoTag(tag.kind, layout.number(8, 4), layout.number(12, 4), None, None, None)
        assert not tag.gapless
        return
    delay, padding = divmod(layout.number(141, 3), 4096)
    assert tag == InfoTag(
        layout.text(0, 4).decode(),
        layout.number(8, 4),
        layout.number(12, 4),
        encoder,
        delay,
        padding,
    )
    assert tag.gapless == (encoder[:4] in (b"LAME", b"Lavf", b"Lavc"))
    if tag.gapless and "promises" not in name and name != "naive-concat":
        assert (tag.encoder_delay, tag.frames) == (
            576 if "lavf" not in name else delay,
            len(every) - 1,
        )


@given(st.integers(0, 15), st.integers(0, 1 << 31), st.integers(0, 1 << 31), fields12, fields12)
def test_fields_that_the_flags_leave_out_are_not_there(
    flags: int, frames: int, size: int, delay: int, padding: int
) -> None:
    """The LAME extension moves forward by what is left out."""
    header = parse_header(bytes.fromhex("fffb9000"))
    assert header is not None
    body = b"Xing" + flags.to_bytes(4, "big")
    body += frames.to_bytes(4, "big") if flags & 1 else b""
    body += size.to_bytes(4, "big") if flags & 2 else b""
    body += bytes(100) if flags & 4 else b""
    body += bytes(4) if flags & 8 else b""
    body += b"LAME3.99r" + bytes(12) + (delay << 12 | padding).to_bytes(3, "big")
    data = (header.word + bytes(32) + body).ljust(417, b"\0")
    assert parse_info_tag(data, header) == InfoTag(
        "Xing",
        frames if flags & 1 else None,
        size if flags & 2 else None,
        b"LAME3.99r",
        delay,
        padding,
    )


@given(headers(), st.binary(max_size=300), st.sampled_from((b"", b"Xing", b"Info", b"VBRI")))
def test_any_bytes_are_a_tag_or_none(header: FrameHeader, rest: bytes, word: bytes) -> None:
    for gap in (header.format.side_info_bytes, header.format.side_info_bytes + 2, 32):
        data = header.word + bytes(gap) + word + rest
        tag = parse_info_tag(data, header)
        assert tag is None or tag.kind in ("Xing", "Info", "VBRI")


@pytest.mark.parametrize("name", ["mpeg2-16k-48k", "mpeg1-44k-128k", "mono-8k"])
def test_an_audio_frame_is_no_tag(name: str) -> None:
    for frame in sound(name):
        header = parse_header(frame.data)
        assert header is not None
        assert parse_info_tag(frame.data, header) is None
