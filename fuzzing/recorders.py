# SPDX-License-Identifier: Apache-2.0
"""Files of recorders, broken: they are read to the sample they promise, or refused by name."""

from __future__ import annotations

import struct
from contextlib import suppress
from io import BytesIO

import numpy as np
import soundfile

import audioengine as ae
from audioengine.sources.leg import as_float
from audioengine.sources.opening import open_sound
from audioengine.sources.raw import CODECS, RawFormat
from audioengine.storage.objects import BytesSource

_BLOCK = 4099
_MOST_SAMPLES = 1 << 21
_RATE, _SAMPLES = 8000, 300

_KINDS = (
    ("WAV", "PCM_16"),
    ("WAV", "PCM_U8"),
    ("WAV", "FLOAT"),
    ("WAV", "ULAW"),
    ("WAV", "GSM610"),
    ("WAV", "IMA_ADPCM"),
    ("RF64", "PCM_24"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("AIFF", "PCM_16"),
    ("AU", "ALAW"),
    ("CAF", "PCM_16"),
)
# Beginnings of files that FFmpeg reads.
_MAGIC = (
    b"#!AMR\n" + 8 * (b"\x3c" + bytes(31)),
    b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x86\x81\x01",
    b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0",
)


def containers(data: bytes) -> None:
    """Any bytes are a sound of as many samples as it says, the same from anywhere, or refused."""
    mode, data = data[:1] or b"\0", data[1:]
    raw = None
    if mode[0] & 1:
        codec = sorted(CODECS)[mode[0] >> 2 & 7]
        raw = RawFormat(codec, _RATE, 1 + (mode[0] >> 5 & 1))
    with suppress(ae.AudioEngineError):
        sound = open_sound(BytesSource(data), raw, allow_truncated=bool(mode[0] & 2)).sound
        if sound.length > _MOST_SAMPLES:
            # What a few bytes promise may take minutes; a part of it must be right too.
            next(iter(sound.blocks(_BLOCK)))
            return
        whole = [as_float(block) for block in sound.blocks(_BLOCK)]
        pcm = np.concatenate(whole)
        assert pcm.shape == (sound.length, sound.channels), "as many samples as it says"
        assert np.isfinite(pcm).all(), "samples are numbers"
        start = sound.length // 3
        rest = np.concatenate([as_float(block) for block in sound.blocks(_BLOCK, start)])
        assert np.array_equal(rest, pcm[start:]), "the same wherever the reading starts"


def seeds() -> list[bytes]:
    """A small file of each kind."""
    pcm = 0.3 * np.sin(np.arange(_SAMPLES * 2).reshape(-1, 2) / 7)
    out = []
    for format, subtype in _KINDS:
        channels = 1 if subtype == "GSM610" else 2
        file = BytesIO()
        soundfile.write(file, pcm[:, :channels], _RATE, format=format, subtype=subtype)
        out.append(file.getvalue())
    head = struct.pack("<HHIIHHH", 0x83, 1, _RATE, 1000, 10, 0, 0)
    wave = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", 40)
    out.append(b"RIFF" + struct.pack("<I", len(wave) + 40) + wave + bytes(range(40)))
    files = [mode + file for file in (*out, *_MAGIC) for mode in (b"\0", b"\2")]
    return [*files, *(bytes((1 | number << 2,)) + bytes(range(256)) for number in range(8))]
