# SPDX-License-Identifier: Apache-2.0
"""Recognises Layers I and II, so that the error can name them."""

from __future__ import annotations

from audioengine.errors import UnsupportedAudioError
from audioengine.mp3.header import BITRATES_LSF_KBPS, HEADER_BYTES, SAMPLING_RATES_HZ, Version
from audioengine.mp3.read_buffer import Window

_CHAINED_HEADERS = 3

# ISO/IEC 11172-3 2.4.2.3 and ISO/IEC 13818-3 2.4.2.3. Layer II in LSF shares its table with
# Layer III.
_LAYER_I_MPEG_1_KBPS = tuple(32 * step for step in range(15))
_LAYER_I_LSF_KBPS = (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256)
_LAYER_II_MPEG_1_KBPS = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)


def refuse_other_layers(window: Window, position: int) -> None:
    """Raise UnsupportedAudioError if consecutive frames of another layer start at `position`."""
    at = position
    layer = 0
    for _ in range(_CHAINED_HEADERS):
        found = _other_layer_frame(window.bytes_at(at, HEADER_BYTES))
        if found is None or (layer and found[0] != layer):
            return
        layer, size = found
        at += size
    raise UnsupportedAudioError(
        f"this is MPEG audio Layer {'I' * layer}; only Layer III (MP3) can be edited", position
    )


def _other_layer_frame(word: bytes) -> tuple[int, int] | None:
    """The layer (1 or 2) and size of the frame with the header `word`."""
    if len(word) < HEADER_BYTES or word[0] != 0xFF or word[1] & 0xE0 != 0xE0:
        return None
    layer = 4 - (word[1] >> 1 & 3)
    version = word[1] >> 3 & 3
    rate_index, bitrate_index = word[2] >> 2 & 3, word[2] >> 4
    if layer not in (1, 2) or version == 1 or rate_index == 3 or bitrate_index in (0, 15):
        return None
    rate = SAMPLING_RATES_HZ[Version(version)][rate_index]
    padding = word[2] >> 1 & 1
    lsf = version != Version.MPEG_1.value
    if layer == 1:
        kbps = (_LAYER_I_LSF_KBPS if lsf else _LAYER_I_MPEG_1_KBPS)[bitrate_index]
        return 1, (12_000 * kbps // rate + padding) * 4
    kbps = (BITRATES_LSF_KBPS if lsf else _LAYER_II_MPEG_1_KBPS)[bitrate_index]
    return 2, 144_000 * kbps // rate + padding
