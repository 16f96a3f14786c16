# SPDX-License-Identifier: Apache-2.0
"""The digest of a recording's decoded samples, not of the file's bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import soundfile

from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.index import FrameIndex
from audioengine.pcm.decode import decode_raw

ENCODING = "int16 little-endian, channels interleaved, float32 rounded to even"

_BLOCK_SAMPLES = 1 << 18


@dataclass(frozen=True, slots=True)
class PcmDigest:
    """The digest of a recording's samples."""

    sha256: str
    samples: int
    """Per channel."""
    channels: int
    rate_hz: int
    decoder: str
    """With its version, because other versions round differently."""
    encoding: str = ENCODING


def pcm_digest(source: ByteSource, index: FrameIndex) -> PcmDigest:
    """Decode a whole recording, in blocks, and hash its samples.

    Without damage the digest is the SHA-256 of ``numpy.clip(numpy.rint(x * 32768), -32768,
    32767).astype("<i2")``, where x is the file read by soundfile as float32.

    Raises MalformedAudioError if the decoder refuses a frame.
    """
    digest = hashlib.sha256()
    end = index.start + index.samples
    for start in range(index.start, end, _BLOCK_SAMPLES):
        pcm = decode_raw(source, index, start, min(end, start + _BLOCK_SAMPLES))
        rounded = np.clip(np.rint(pcm * np.float32(32_768)), -32_768, 32_767)
        digest.update(rounded.astype("<i2").tobytes())
    return PcmDigest(
        sha256=digest.hexdigest(),
        samples=index.samples,
        channels=index.format.channels,
        rate_hz=index.format.rate_hz,
        decoder=f"libsndfile {soundfile.__libsndfile_version__} (soundfile "
        f"{soundfile.__version__})",
    )
