# SPDX-License-Identifier: Apache-2.0
"""The codecs of RTP payloads: their clocks, durations and samples.

Payload types up to 34 are those of RFC 3551, table 4; the caller names others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import gcd
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from audioengine.captures.rtp import Packets
from audioengine.errors import UnsupportedAudioError

Samples = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

_NS = 1_000_000_000


class Decoder(Protocol):
    """Decodes payloads, in order."""

    def place(
        self, block: Samples, places: Numbers, data: Bytes, offsets: Numbers, sizes: Numbers
    ) -> None:
        """Write the samples of each payload to its position in `block`.

        places: [shape=(n,)] The first sample of each payload in `block`.
        offsets: [shape=(n,)] Its first byte in `data`.
        sizes: [shape=(n,)] Its size in bytes.
        """
        ...


@dataclass(frozen=True, slots=True)
class Codec:
    """A payload format for sound."""

    name: str
    clock_hz: int
    """The rate of its RTP timestamps."""
    rate_hz: int
    """The rate of its samples. G.722 has 16,000 on a clock of 8,000 (RFC 3551, 4.5.2)."""
    count: Callable[[Packets], Numbers]
    """Returns the samples of each payload, by its first bytes and its size."""
    decoder: Callable[[], Decoder]

    def nanoseconds(self, ticks: Numbers) -> Numbers:
        """RTP timestamps as nanoseconds; 48 kHz does not divide a second's."""
        shared = gcd(_NS, self.clock_hz)
        return ticks * (_NS // shared) // (self.clock_hz // shared)


TELEPHONE_EVENT, COMFORT_NOISE = "telephone-event", "cn"
NO_SOUND = (TELEPHONE_EVENT, COMFORT_NOISE)
"""Payloads without samples: events (RFC 4733) and comfort noise (RFC 3389)."""


class _G711:
    """ITU-T G.711: one byte per sample, decoded by a table."""

    def __init__(self, table: npt.NDArray[np.float32]) -> None:
        self._table = table

    def place(
        self, block: Samples, places: Numbers, data: Bytes, offsets: Numbers, sizes: Numbers
    ) -> None:
        """Write all payloads of one size at once: most calls have a single size."""
        for size in np.unique(sizes).tolist():
            of_size = sizes == size
            each = np.arange(size)
            codes = data[offsets[of_size, None] + each]
            block[places[of_size, None] + each] = self._table[codes]


@cache
def _mu_law() -> npt.NDArray[np.float32]:
    """[shape=(256,)] G.711, table 2a, in 16 bits."""
    code = ~np.arange(256) & 0xFF
    magnitude = (((code & 15) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return (np.where(code & 0x80, -magnitude, magnitude) / 32_768).astype(np.float32)


@cache
def _a_law() -> npt.NDArray[np.float32]:
    """[shape=(256,)] G.711, table 1a, in 16 bits."""
    code = np.arange(256) ^ 0x55
    step, segment = code & 15, code >> 4 & 7
    magnitude = np.where(
        segment, (step << 4) + 0x108 << np.maximum(segment - 1, 0), (step << 4) + 8
    )
    return (np.where(code & 0x80, magnitude, -magnitude) / 32_768).astype(np.float32)


class _Av:
    """An FFmpeg decoder, from the extra ``audioengine[av]``."""

    def __init__(self, name: str, rate_hz: int) -> None:
        try:
            import av
        except ImportError as error:
            raise UnsupportedAudioError(
                f"payloads of {name} need the extra: pip install 'audioengine[av]'"
            ) from error
        self._av = av
        context: Any = av.CodecContext.create(name, "r")
        self._context = context
        context.sample_rate = rate_hz
        context.layout = "mono"
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)

    def place(
        self, block: Samples, places: Numbers, data: Bytes, offsets: Numbers, sizes: Numbers
    ) -> None:
        """Write one payload after another: each depends on the decoder's state."""
        ranges = zip(places.tolist(), offsets.tolist(), sizes.tolist(), strict=True)
        for place, offset, size in ranges:
            part = block[place:]
            samples = self._decoded(data[offset : offset + size].tobytes())[: len(part)]
            part[: len(samples)] = samples

    def _decoded(self, payload: bytes) -> Samples:
        try:
            frames = self._context.decode(self._av.Packet(payload)) if payload else []
        except self._av.FFmpegError:
            frames = []  # a payload that can't be decoded is silence, like one that is lost
        parts = [
            resampled.to_ndarray().reshape(-1).astype(np.float32)
            for frame in frames
            for resampled in self._resampler.resample(frame)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _sizes(packets: Packets) -> Numbers:
    return packets["size"].astype(np.int64)


def _g722(packets: Packets) -> Numbers:
    return 2 * _sizes(packets)


def _g729(packets: Packets) -> Numbers:
    """Ten bytes are 10 ms; two at the end describe comfort noise (RFC 3551, 4.5.6)."""
    return _sizes(packets) // 10 * 80


# RFC 6716, 3.1: samples at 48 kHz of a frame, by the configuration in the first byte.
_OPUS_FRAME = np.array(
    [480, 960, 1920, 2880] * 3 + [480, 960] * 2 + [120, 240, 480, 960] * 4, np.int64
)


def _opus(packets: Packets) -> Numbers:
    """Of one frame, two, or as many as the second byte says (RFC 6716, 3.2)."""
    first = packets["first"]
    several = packets["second"] & 0x3F
    frames = np.where(first & 3 == 3, several, np.array([1, 2, 2, 0], np.int64)[first & 3])
    return np.where(packets["size"] > 0, _OPUS_FRAME[first >> 3] * frames, 0)


CODECS = {
    codec.name: codec
    for codec in (
        Codec("pcmu", 8_000, 8_000, _sizes, lambda: _G711(_mu_law())),
        Codec("pcma", 8_000, 8_000, _sizes, lambda: _G711(_a_law())),
        Codec("g722", 8_000, 16_000, _g722, lambda: _Av("g722", 16_000)),
        Codec("g729", 8_000, 8_000, _g729, lambda: _Av("g729", 8_000)),
        Codec("opus", 48_000, 48_000, _opus, lambda: _Av("opus", 48_000)),
    )
}
"""By name, in lower case."""

STATIC_TYPES = {0: "pcmu", 8: "pcma", 9: "g722", 13: COMFORT_NOISE, 18: "g729"}
"""RFC 3551, table 4: the supported payload types with a fixed meaning."""
