# SPDX-License-Identifier: Apache-2.0
"""Writes peaks in both formats of BBC's audiowaveform, version 2.

https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md describes them. Its table of byte
offsets is for version 1; in version 2 the data begins at byte 24, where waveform-data.js reads it.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from audioengine.errors import InvalidRequestError

if TYPE_CHECKING:
    from audioengine.reviewing.peaks import Peaks

_VERSION = 2
_HEAD = struct.Struct("<iIiiIi")
_EIGHT_BITS = 1  # bit 0 of the flags


def to_json(peaks: Peaks, bits: int) -> str:
    """The peaks as JSON, on one line."""
    return json.dumps(
        {
            "version": _VERSION,
            "channels": 2,
            "sample_rate": peaks.rate_hz,
            "samples_per_pixel": peaks.samples_per_pixel,
            "bits": bits,
            "length": len(peaks),
            "data": numbers(peaks, bits).tolist(),
        },
        separators=(",", ":"),
    )


def to_dat(peaks: Peaks, bits: int) -> bytes:
    """The peaks as binary data."""
    packed = numbers(peaks, bits)
    head = _HEAD.pack(
        _VERSION,
        _EIGHT_BITS if bits == 8 else 0,
        peaks.rate_hz,
        peaks.samples_per_pixel,
        len(peaks),
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
