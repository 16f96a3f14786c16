# SPDX-License-Identifier: Apache-2.0
"""The format of files without a header, as the user gives it: `ulaw:8000:1`."""

from __future__ import annotations

from dataclasses import dataclass

from audioengine.errors import InvalidRequestError

LEAST_RATE_HZ, MOST_RATE_HZ = 4_000, 384_000
"""Lower rates hold no voice, and no recorder has higher ones."""

CODECS = {
    "ulaw": ("ULAW", 1),
    "alaw": ("ALAW", 1),
    "s8": ("PCM_S8", 1),
    "u8": ("PCM_U8", 1),
    "s16": ("PCM_16", 2),
    "s24": ("PCM_24", 3),
    "s32": ("PCM_32", 4),
    "f32": ("FLOAT", 4),
}
"""By name: libsndfile's name, and bytes per sample; all little-endian."""

_RULE = (
    f"must be CODEC:RATE:CHANNELS, the codec one of {', '.join(CODECS)}, the rate in Hz, and 1 or "
    "2 channels: for instance ulaw:8000:1"
)


@dataclass(frozen=True, slots=True)
class RawFormat:
    """The format of a file without a header."""

    codec: str
    rate: int
    channels: int

    def __post_init__(self) -> None:
        rate_fits = isinstance(self.rate, int) and LEAST_RATE_HZ <= self.rate <= MOST_RATE_HZ
        if self.codec not in CODECS or not rate_fits or self.channels not in (1, 2):
            raise InvalidRequestError.of("raw", self.text, _RULE)

    @classmethod
    def of(cls, text: str) -> RawFormat:
        """Parse a text like ``ulaw:8000:1``.

        Raises InvalidRequestError.
        """
        codec, *numbers = text.split(":") if isinstance(text, str) else [""]
        if len(numbers) != 2 or not all(one.isascii() and one.isdigit() for one in numbers):
            raise InvalidRequestError.of("raw", text, _RULE)
        return cls(codec, int(numbers[0][:9]), int(numbers[1][:9]))

    @property
    def subtype(self) -> str:
        """The codec, by its name in libsndfile."""
        return CODECS[self.codec][0]

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return CODECS[self.codec][1] * self.channels

    @property
    def text(self) -> str:
        """The same as `of` reads it."""
        return f"{self.codec}:{self.rate}:{self.channels}"

    def __str__(self) -> str:
        return f"headerless {self.codec}"


def raw_format(raw: RawFormat | str | None) -> RawFormat | None:
    """The format of a file without a header, parsed if it is text.

    Raises InvalidRequestError.
    """
    return RawFormat.of(raw) if isinstance(raw, str) else raw
