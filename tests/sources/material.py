# SPDX-License-Identifier: Apache-2.0
"""Files as recorders leave them, made in memory."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
import soundfile as sf

Pcm = npt.NDArray[np.float32]

SNDFILE = {
    "wav-pcm8": ("WAV", "PCM_U8"),
    "wav-pcm16": ("WAV", "PCM_16"),
    "wav-pcm24": ("WAV", "PCM_24"),
    "wav-pcm32": ("WAV", "PCM_32"),
    "wav-float": ("WAV", "FLOAT"),
    "wav-alaw": ("WAV", "ALAW"),
    "wav-ulaw": ("WAV", "ULAW"),
    "wav-gsm": ("WAV", "GSM610"),
    "wav-ima": ("WAV", "IMA_ADPCM"),
    "wav-ms": ("WAV", "MS_ADPCM"),
    "wavex": ("WAVEX", "PCM_16"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "flac24": ("FLAC", "PCM_24"),
    "ogg-vorbis": ("OGG", "VORBIS"),
    "ogg-opus": ("OGG", "OPUS"),
    "aiff": ("AIFF", "PCM_16"),
    "au-ulaw": ("AU", "ULAW"),
    "caf": ("CAF", "PCM_16"),
}
"""By name, libsndfile's format and subtype."""

RAW = {"ulaw": "ULAW", "alaw": "ALAW", "s16": "PCM_16", "s8": "PCM_S8", "f32": "FLOAT"}

BY_FFMPEG = {"m4a": ("ipod", "aac", 16_000), "webm": ("webm", "libopus", 48_000)}


def tones(rate: int, samples: int, channels: int) -> Pcm:
    """Sounds that say where they are: other tones in each channel, rising from nothing."""
    at = np.arange(samples) / rate
    rise = np.minimum(1, at / 0.02)
    out = np.stack(
        [
            0.3 * rise * np.sin(2 * np.pi * (300 + 170 * channel) * at * (1 + at / 8))
            for channel in range(channels)
        ],
        axis=1,
    )
    return out.astype(np.float32)


def written(pcm: Pcm, rate: int, format: str, subtype: str) -> bytes:
    """A file as libsndfile writes it."""
    file = io.BytesIO()
    endian = "LITTLE" if format == "RAW" else None
    sf.write(file, pcm, rate, format=format, subtype=subtype, endian=endian)
    return file.getvalue()


def by_ffmpeg(pcm: Pcm, rate: int, container: str, codec: str) -> bytes:
    """A file as FFmpeg writes it."""
    out = io.BytesIO()
    layout = "mono" if pcm.shape[1] == 1 else "stereo"
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(pcm.T), format="fltp", layout=layout
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        resampler = av.AudioResampler(stream.format, layout, rate, stream.frame_size or None)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return out.getvalue()


def decoded_by_ffmpeg(data: bytes) -> Pcm:
    """[shape=(n, channels)] What FFmpeg makes of a file."""
    blocks = []
    with av.open(io.BytesIO(data)) as file:
        resampler = None
        for frame in file.decode(audio=0):
            if resampler is None:
                resampler = av.AudioResampler("fltp", frame.layout, frame.sample_rate)
            blocks += [one.to_ndarray().T for one in resampler.resample(frame)]
    return np.concatenate(blocks)


def wav(tag: int, channels: int, rate: int, bits: int, data: bytes, more: bytes = b"") -> bytes:
    """A WAV file of any codec."""
    block = max(1, channels * bits // 8)
    head = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits) + more
    body = b"fmt " + struct.pack("<I", len(head)) + head
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body


def g729_wav() -> bytes:
    """Speech of G.729 in a WAV file: any bits are."""
    frames = np.random.default_rng(1).integers(0, 256, 1000, dtype=np.uint8).tobytes()
    head = struct.pack("<HHIIHHH", 0x83, 1, 8000, 1000, 10, 0, 0)
    body = b"fmt " + struct.pack("<I", len(head)) + head
    body += b"data" + struct.pack("<I", len(frames)) + frames
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body


def amr() -> bytes:
    """Speech of AMR-NB at 12.2 kbit/s (RFC 4867, 5)."""
    noise = np.random.default_rng(2)
    frames = (noise.integers(0, 256, 31, dtype=np.uint8).tobytes() for _ in range(50))
    return b"#!AMR\n" + b"".join(b"\x3c" + frame for frame in frames)
