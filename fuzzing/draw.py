# SPDX-License-Identifier: Apache-2.0
"""Requests and choices, made of bytes: any bytes give some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import audioengine as ae

T = TypeVar("T")

REQUEST_BYTES = 24
"""What a request is drawn from, at the most."""

_EXTREMES = (0.0, -1.0, 1e-9, 1e9, 1e18, float("nan"), float("inf"))


class Draw:
    """Takes values off the front of `data`; where nothing is left, all are zero."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def bytes(self, count: int) -> bytes:
        """The next bytes, zeros behind the end."""
        part = self._data[self._position : self._position + count]
        self._position += count
        return part.ljust(count, b"\0")

    def below(self, limit: int) -> int:
        """A number from 0 to before `limit`, which is at most 65 536."""
        return int.from_bytes(self.bytes(1 if limit <= 256 else 2), "big") % limit

    def one_of(self, values: Sequence[T]) -> T:
        """One of the values."""
        return values[self.below(len(values))]

    def seconds(self) -> float:
        """A time; seldom an extreme one."""
        number = self.below(1 << 16)
        return _EXTREMES[number % len(_EXTREMES)] if number >= 0xFFE0 else number / 65_000

    def interval(self) -> ae.Interval:
        """A stretch of at most 0.64 s, seldom one with any end."""
        start = self.seconds()
        length = self.below(256)
        return ae.Interval(start, self.seconds() if length == 255 else start + (length + 1) / 400)

    def modification(self) -> ae.Modification:
        """Up to three masks, and perhaps a trim."""
        kinds = self.below(256)
        mask: dict[str, list[ae.Interval]] = {}
        for _ in range(kinds & 3):
            party = self.one_of(("caller", "callee", "both"))
            mask.setdefault(party, []).append(self.interval())
        trim = ae.Interval(self.seconds(), None) if kinds & 4 else None
        if kinds & 8:
            trim = self.interval()
        return ae.Modification(trim=trim, mask=mask, guard_ms=40 if kinds & 16 else 0)

    def options(self) -> ae.StoreOptions:
        """Options that `store` and `verify` share."""
        kinds = self.below(256)
        return ae.StoreOptions(
            render="full" if kinds & 3 == 3 else "smart",
            shared_frames="mask_both" if kinds & 4 else "keep",
            fallback="refuse" if kinds & 24 == 24 else "full",
            caller_channel="right" if kinds & 32 else "left",
            beep=ae.Beep(fill="silence") if kinds & 64 else ae.Beep(),
            allow_truncated=not kinds & 128,
        )
