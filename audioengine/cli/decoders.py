# SPDX-License-Identifier: Apache-2.0
"""Decoders that share nothing with audioengine, for verifying what it wrote."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from io import BytesIO
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from audioengine.errors import VerificationError

Pcm = npt.NDArray[Any]
"""[shape=(n, channels)] Full scale ±32 768 (int16) or ±1 (float32)."""


class Decoder(Protocol):
    """An independent decoder that honours the gapless tag."""

    name: str

    def decode(self, data: bytes) -> Pcm:
        """All samples that it plays."""
        ...


def decoder_for(data: bytes, samples: int) -> tuple[Decoder, Pcm]:
    """The first decoder that is installed and plays a recording of so many samples; what it plays.

    They agree on what most recordings hold, but not, for instance, on those whose tag frame carries
    a CRC, which minimp3 plays.

    Raises VerificationError where there is none.
    """
    decoders = [made() for module, made in _DECODERS.items() if find_spec(module)]
    if not decoders:
        raise VerificationError(
            "nothing is verified: that takes a decoder that isn't ours; "
            "install miniaudio or av (PyAV), and run this again"
        )
    for decoder in decoders:
        pcm = decoder.decode(data)
        if len(pcm) == samples:
            return decoder, pcm
    names = " and ".join(decoder.name for decoder in decoders)
    raise VerificationError(
        f"nothing is verified: {names} won't play the {samples:,} samples of this source"
    )


class Miniaudio:
    """minimp3, by way of miniaudio; its samples are integers."""

    def __init__(self) -> None:
        self.name = f"miniaudio {version('miniaudio')} (minimp3)"

    def decode(self, data: bytes) -> Pcm:
        """All samples that it plays."""
        import miniaudio

        sound = miniaudio.mp3_read_s16(data)
        return np.array(sound.samples, dtype=np.int16).reshape(-1, sound.nchannels)


class PyAV:
    """FFmpeg, by way of PyAV."""

    def __init__(self) -> None:
        self.name = f"PyAV {version('av')} (FFmpeg)"

    def decode(self, data: bytes) -> Pcm:
        """All samples that it plays."""
        import av

        with av.open(BytesIO(data), format="mp3") as container:
            planes = [frame.to_ndarray() for frame in container.decode(audio=0)]
        return np.ascontiguousarray(np.concatenate(planes, axis=1).T)


_DECODERS: dict[str, Callable[[], Decoder]] = {"miniaudio": Miniaudio, "av": PyAV}
