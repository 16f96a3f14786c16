# SPDX-License-Identifier: Apache-2.0
"""Nothing of a source reaches libmpg123 or LAME that the index has not accepted.

Both are spied on at the one place where they are called: libmpg123 is only ever given whole frames
of the source as the index has them, or frames made here, behind a tag that counts them; LAME only
finite samples that came of decoding those, and no more than there are frames to make.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.errors import AudioEngineError
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.main_data import Frame, read_frames
from audioengine.mp3.scan import scan
from audioengine.mp3.side_info import SideInfo, main_data_bits
from audioengine.pcm import decode
from audioengine.pcm.lame import Encoder
from fuzzing.seeds import findings
from tests.strategies import edited_bytes, examples
from tests.support import DAMAGED, FREE_FORMAT, Bytes, fixture

NAMES = (*DAMAGED, *FREE_FORMAT, "naive-concat", "crc-16k", "mono-8k-16k", "vbr-44k")
# The samples of frames that LAME is given beyond those that are made: warm-up and look-ahead.
ENCODER_FRAMES = 16

EDITS: tuple[tuple[ae.Modification, dict[str, Any]], ...] = (
    (ae.Modification(mask={"caller": [ae.Interval(0.2, 0.4)]}), {}),
    (ae.Modification(trim=ae.Interval(0.1, 0.35), mask={"both": [ae.Interval(0.2, 0.3)]}), {}),
    (ae.Modification(trim=ae.Interval(0.05, None)), {"render": "full"}),
)


@contextmanager
def spied(to_decoder: list[bytes], to_encoder: list[np.ndarray[Any, Any]]) -> Iterator[None]:
    """Note all that libmpg123 and LAME are given."""
    opened, encoded = decode._open_in_memory, Encoder.encode

    def open_in_memory(data: bytes) -> Any:
        to_decoder.append(data)
        return opened(data)

    def encode(encoder: Encoder, pcm: Any) -> bytes:
        to_encoder.append(pcm)
        return encoded(encoder, pcm)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "_open_in_memory", open_in_memory)
        patch.setattr(Encoder, "encode", encode)
        yield


def main_bytes(frame: Frame) -> bytes:
    """What of the frame makes a sound; empty where it is silent."""
    return frame.adu if main_data_bits(frame.side_info, frame.header.format) else b""


Sound: TypeAlias = tuple[bytes, SideInfo]


def sound_of(frame: Frame) -> Sound:
    """What is heard of a frame, wherever in the reservoir it is."""
    return main_bytes(frame), frame.side_info._replace(main_data_begin=0)


def accepted(source: bytes) -> tuple[FrameIndex, set[Sound]]:
    """The index, and the sound of all frames that aren't lost."""
    index = scan(Bytes(source))
    frames = read_frames(Bytes(source), index, 0, index.frames)
    return index, {sound_of(frame) for frame in frames if frame.intact}


def assert_accepted(given_bytes: bytes, source: FrameIndex, sounds: set[Sound]) -> None:
    """What libmpg123 is given is a file in which the index finds nothing amiss."""
    made = scan(Bytes(given_bytes))
    assert made.info_tag is not None
    assert made.info_tag.frames == made.frames
    assert made.tagged
    assert (made.junk, made.tags, made.incomplete_last, made.lost) == ((), (), None, ())
    assert len(made.segments) == 1
    assert made.free_format == source.free_format
    assert made.format == source.format
    for frame in read_frames(Bytes(given_bytes), made, 0, made.frames):
        assert frame.intact
        assert not main_bytes(frame) or sound_of(frame) in sounds


def assert_entries(source: bytes) -> int:
    """Edit and decode it, and look at all that goes to the libraries; how often that was."""
    to_decoder: list[bytes] = []
    to_encoder: list[np.ndarray[Any, Any]] = []
    for modification, options in EDITS:
        with spied(to_decoder, to_encoder), suppress(AudioEngineError):
            ae.store(source, BytesIO(), modification, ae.StoreOptions(**options), workers=1)
    count = len(to_encoder)
    with spied(to_decoder, to_encoder), suppress(AudioEngineError):
        ae.decode(source, 0.1, 0.3)
    assert len(to_encoder) == count
    if to_decoder:
        index, sounds = accepted(source)
        most = (index.frames + ENCODER_FRAMES) * index.format.samples_per_frame
        for one in to_decoder:
            assert_accepted(one, index, sounds)
        for samples in to_encoder:
            assert np.isfinite(samples).all()
            assert samples.shape[1] <= most
    return len(to_decoder)


@pytest.mark.parametrize("name", NAMES)
def test_the_decoder_is_given_accepted_frames_of_damaged_recordings(name: str) -> None:
    assert assert_entries(fixture(name)) > 0


@pytest.mark.parametrize("name", findings())
def test_the_decoder_is_given_accepted_frames_of_findings(name: str) -> None:
    assert_entries(findings()[name])


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "vbr-16k", "freeformat-16k"])
@given(data=st.data())
@examples(8)
def test_the_decoder_is_given_accepted_frames_of_anything(name: str, data: st.DataObject) -> None:
    """Cut, pasted, and with wrong bytes in headers and side information."""
    source = bytearray(data.draw(edited_bytes(name, most=8000)))
    syncs = [match.start() for match in re.finditer(rb"\xff[\xe2-\xff]", source)]
    for _ in range(data.draw(st.integers(0, 20)) if syncs else 0):
        at = data.draw(st.sampled_from(syncs)) + data.draw(st.integers(0, 37))
        if at < len(source):
            source[at] = data.draw(st.integers(0, 255))
    assert_entries(bytes(source))


def test_there_are_no_other_entries() -> None:
    """MP3 is decoded and encoded in one module each; other files are opened in `sources`."""
    folder = Path(ae.__file__).parent
    others = {"operations/audio_player.py", "sources/opening.py", "sources/sndfile.py"}
    for word, places in (
        ("soundfile", {"pcm/decode.py", *others}),
        ("lameenc", {"pcm/lame.py"}),
    ):
        found = {
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*.py")
            if re.search(
                rf"^\s*(from {word}|import {word} as)|\b{word}\.(?!__\w*version__)\w",
                path.read_text(),
                re.MULTILINE,
            )
        }
        assert found == places
