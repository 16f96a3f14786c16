# SPDX-License-Identifier: Apache-2.0
"""Writes peaks in both formats of BBC's audiowaveform, version 2.

https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md describes them. Its table of byte
offsets is for version 1; in version 2 the data begins at byte 24, where waveform-data.js reads it.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from audioengine.errors import InvalidRequestError

Extremes = npt.NDArray[np.int16]

_VERSION = 2
_HEAD = struct.Struct("<iIiiIi")
_EIGHT_BITS = 1  # bit 0 of the flags


@dataclass(frozen=True, eq=False)
class Peaks:
    """The waveform of both parties, a pixel a row.

    `to_json` and `to_dat` write it as audiowaveform does; peaks.js, waveform-data.js and
    wavesurfer.js read that.
    """

    caller: Extremes
    """[shape=(pixels, 2)] The lowest and the highest sample, full scale 32,768."""
    callee: Extremes
    """[shape=(pixels, 2)] The same array as `caller` where the recording is mono."""
    rate_hz: int
    samples_per_pixel: int
    """The last pixel may hold fewer."""
    samples: int

    def __len__(self) -> int:
        """How many pixels there are."""
        return len(self.caller)

    def __repr__(self) -> str:
        return (
            f"Peaks({len(self)} pixels of {self.samples_per_pixel} samples, {self.rate_hz} Hz, "
            f"{self.samples / self.rate_hz:.3f} s)"
        )

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.samples / self.rate_hz

    def to_json(self, bits: int = 8) -> str:
        """JSON of audiowaveform's version 2, of 8 or 16 bits a number.

        Raises InvalidRequestError where `bits` is neither.
        """
        return json.dumps(
            {
                "version": _VERSION,
                "channels": 2,
                "sample_rate": self.rate_hz,
                "samples_per_pixel": self.samples_per_pixel,
                "bits": bits,
                "length": len(self),
                "data": numbers(self, bits).tolist(),
            },
            separators=(",", ":"),
        )

    def to_dat(self, bits: int = 8) -> bytes:
        """Binary data of audiowaveform's version 2, of 8 or 16 bits a number.

        Raises InvalidRequestError where `bits` is neither.
        """
        packed = numbers(self, bits)
        head = _HEAD.pack(
            _VERSION,
            _EIGHT_BITS if bits == 8 else 0,
            self.rate_hz,
            self.samples_per_pixel,
            len(self),
            2,
        )
        return head + packed.astype("<i2" if bits == 16 else "i1").tobytes()


def numbers(peaks: Peaks, bits: int) -> npt.NDArray[Any]:
    """[shape=(4 * pixels,)] For each pixel the caller's lowest and highest, then the callee's.

    Raises InvalidRequestError where `bits` is neither 8 nor 16.
    """
    if bits not in (8, 16):
        raise InvalidRequestError.of("bits", bits, "must be 8 or 16")
    both = np.concatenate((peaks.caller, peaks.callee), axis=1).reshape(-1)
    if bits == 16:
        return both
    return np.clip(np.rint(both / 256), -128, 127).astype(np.int8)
