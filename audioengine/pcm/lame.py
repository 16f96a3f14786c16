# SPDX-License-Identifier: Apache-2.0
"""LAME's own C interface, as the shared object in lameenc's wheel exports it.

lameenc's Python class sets bitrate, rate and quality, and takes 16-bit samples. Re-made frames also
need LAME's low-pass, its option for long windows only, and float samples.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import lameenc
import numpy as np
import numpy.typing as npt

LIMIT = 2.0
"""Samples are clipped at this multiple of full scale, 6 dB above what any decoder plays."""

_MODES = {1: 3, 2: 0}  # MPEG_mode: mono, and stereo without mid/side

# lame.h multiplies "IEEE" floats by 32767; everyone else's full scale is 32768.
_FULL_SCALE = 32_768 / 32_767

# LAME's rule for choosing a quantisation of a granule: the fewest bands with noise above the mask,
# then the least noise above it. The default, 9, weighs by squares; its calls are 0.2 to 1.4 dB
# further from the source in the same time.
_FEWEST_BANDS = 0

_Handle = ctypes.c_void_p
_Report = ctypes.c_void_p
_Bytes = ctypes.POINTER(ctypes.c_char)
_Samples = np.ctypeslib.ndpointer(np.float32, ndim=1, flags="C_CONTIGUOUS")

_FUNCTIONS: dict[str, tuple[type | None, list[type]]] = {
    "lame_init": (_Handle, []),
    "lame_init_params": (ctypes.c_int, [_Handle]),
    "lame_close": (ctypes.c_int, [_Handle]),
    "lame_get_scale": (ctypes.c_float, [_Handle]),
    "lame_get_short_threshold_lrm": (ctypes.c_float, [_Handle]),
    "lame_set_short_threshold_lrm": (ctypes.c_int, [_Handle, ctypes.c_float]),
    "lame_encode_buffer_ieee_float": (
        ctypes.c_int,
        [_Handle, _Samples, _Samples, ctypes.c_int, _Bytes, ctypes.c_int],
    ),
    "lame_encode_flush": (ctypes.c_int, [_Handle, _Bytes, ctypes.c_int]),
    **{
        f"lame_set_{name}": (ctypes.c_int, [_Handle, ctypes.c_int])
        for name in (
            "in_samplerate",
            "out_samplerate",
            "num_channels",
            "mode",
            "brate",
            "quality",
            "quant_comp",
            "quant_comp_short",
            "lowpassfreq",
            "no_short_blocks",
            "bWriteVbrTag",
            "error_protection",
        )
    },
    **{
        f"lame_set_{name}": (ctypes.c_int, [_Handle, _Report])
        for name in ("errorf", "debugf", "msgf")
    },
}


@cache
def _library() -> ctypes.CDLL:
    """LAME, with the argument and result types of its functions."""
    library = ctypes.CDLL(lameenc.__file__)
    missing = [name for name in _FUNCTIONS if not hasattr(library, name)]
    if missing:
        raise ImportError(
            f"lameenc's wheel at {lameenc.__file__} does not export LAME's functions "
            f"({', '.join(missing)}): install lameenc from a wheel that does, 1.7 to 1.9 for "
            "Linux or macOS"
        )
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Encoder:
    """A running encoder; `encoder` makes and closes it."""

    def __init__(self, handle: int, library: ctypes.CDLL) -> None:
        self._handle = handle
        self._library = library
        # At a constant bitrate LAME attenuates its input, by 0.45 dB at most rates of calls.
        self._scale = np.float32(_FULL_SCALE / library.lame_get_scale(handle))

    @property
    def attack_threshold(self) -> float:
        """The rise in level of a third of a granule that counts as an attack."""
        threshold: float = self._library.lame_get_short_threshold_lrm(self._handle)
        return threshold

    def encode(self, pcm: npt.NDArray[np.float32]) -> bytes:
        """Encode samples, [shape=(channels, n)], full scale ±1; return the bytes that are ready.

        Raises ValueError for NaN and infinities, because LAME ends the whole process on them.
        """
        if not np.isfinite(pcm).all():
            raise ValueError("NaN or infinity among the samples")
        scaled = pcm * self._scale
        most = np.float32(LIMIT) * self._scale
        np.clip(scaled, -most, most, out=scaled)
        count = pcm.shape[1]
        # lame.h: at most 1.25 bytes per sample, plus 7200.
        out = ctypes.create_string_buffer(count * 5 // 4 + 7200)
        size = self._library.lame_encode_buffer_ieee_float(
            self._handle, scaled[0], scaled[-1], count, out, len(out)
        )
        return self._taken(out, size)

    def flush(self) -> bytes:
        """Encode silence that fills the last frame; return the remaining bytes."""
        out = ctypes.create_string_buffer(7200)
        return self._taken(out, self._library.lame_encode_flush(self._handle, out, len(out)))

    def _taken(self, out: ctypes.Array[ctypes.c_char], size: int) -> bytes:
        if size < 0:
            raise RuntimeError(f"LAME stopped with error {size}")
        return ctypes.string_at(out, size)


def _lowpass(lowpass_hz: int | None, rate_hz: int) -> int:
    """The low-pass in LAME's form: 0 for LAME's choice, -1 for none."""
    if lowpass_hz is None:
        return 0
    return -1 if 2 * lowpass_hz >= rate_hz else lowpass_hz


@contextmanager
def encoder(
    rate_hz: int,
    channels: int,
    kbps: int,
    quality: int,
    *,
    lowpass_hz: int | None,
    short_blocks: bool,
    attacks_as_kbps: int | None = None,
) -> Iterator[Encoder]:
    """An encoder of one or two channels at a constant bitrate, without a tag frame.

    Output has the level of the input. Two channels are coded left/right in every frame, and share
    the bits as they need them. Different encoders may run in different threads.

    kbps: LAME takes its nearest bitrate, in MPEG-2.5 at most 64.
    quality: LAME's noise shaping, 0 (best) to 9 (fastest).
    lowpass_hz: frequencies above it are left out, to the nearest of 32 bands of equal width; half
    the rate or more leaves out nothing. None for LAME's choice by rate and bitrate. At 16 kHz LAME
    codes nothing above 7.3 kHz.
    short_blocks: whether attacks get short windows; if false, all windows are long.
    attacks_as_kbps: detect attacks as at this bitrate, so that the windows are those of an encoder
    at that bitrate.

    Raises ValueError if LAME lacks the rate.
    """
    library = _library()
    handle = library.lame_init()
    if not handle:
        raise MemoryError("LAME has no memory for an encoder")
    try:
        # LAME would print messages.
        for report in ("errorf", "debugf", "msgf"):
            getattr(library, f"lame_set_{report}")(handle, None)
        settings = {
            "in_samplerate": rate_hz,
            "out_samplerate": rate_hz,
            "num_channels": channels,
            "mode": _MODES[channels],
            "brate": kbps,
            "quality": quality,
            "quant_comp": _FEWEST_BANDS,
            "quant_comp_short": _FEWEST_BANDS,
            "lowpassfreq": _lowpass(lowpass_hz, rate_hz),
            "no_short_blocks": not short_blocks,
            "bWriteVbrTag": 0,
            "error_protection": 0,
        }
        done = [
            getattr(library, f"lame_set_{name}")(handle, value) for name, value in settings.items()
        ]
        if attacks_as_kbps is not None:
            threshold = _attack_threshold(rate_hz, channels, attacks_as_kbps)
            done.append(library.lame_set_short_threshold_lrm(handle, threshold))
        if min(done) < 0 or library.lame_init_params(handle) < 0:
            raise ValueError(f"LAME can't encode at {rate_hz} Hz and {kbps} kbit/s")
        yield Encoder(handle, library)
    finally:
        library.lame_close(handle)


@cache
def _attack_threshold(rate_hz: int, channels: int, kbps: int) -> float:
    with encoder(rate_hz, channels, kbps, 5, lowpass_hz=None, short_blocks=True) as lame:
        return lame.attack_threshold
