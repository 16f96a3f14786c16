# SPDX-License-Identifier: Apache-2.0
"""The arguments of `store` and `merge` as values, for those who call them many times alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from audioengine.choices import (
    Align,
    CallerChannel,
    Fallback,
    MaskScope,
    Missing,
    Render,
    SharedFrames,
)
from audioengine.edits import Beep, Modification
from audioengine.times import Number

DAY_S = 86_400
HOUR_S = 3600

# For pydantic, where settings hold these.
_FORM = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How recordings are edited; the arguments of `store` of the same names."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _FORM

    render: Render = "smart"
    beep: Beep = field(default_factory=Beep)
    caller_channel: CallerChannel = "left"
    shared_frames: SharedFrames = "keep"
    fallback: Fallback = "full"
    allow_truncated: bool = False
    fail_on_crosstalk: bool = False
    verify: bool = False
    """Whether only what passes verification is published; of no influence on the output."""
    encoder_delay: int = 0
    guard_ms: Number | tuple[Number, Number] = 0
    """Of requests that say nothing of it."""

    def arguments(self) -> dict[str, Any]:
        """The arguments of `store`; the guard is a modification's."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "guard_ms"}

    def guarded(self, modification: Modification) -> Modification:
        """A modification with the guard, where it says nothing of one."""
        if modification.guard_ms:
            return modification
        return replace(modification, guard_ms=self.guard_ms)


@dataclass(frozen=True, slots=True)
class MergeOptions:
    """What a merge takes beyond `StoreOptions`; the arguments of `merge` of the same names."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _FORM

    align: Align = "sample"
    missing: Missing = "fail"
    mask_scope: MaskScope = "part"
    max_timeline_s: Number = DAY_S
    max_gap_s: Number = HOUR_S
    """Of no influence on the output."""

    def arguments(self, store: StoreOptions) -> dict[str, Any]:
        """The arguments of `merge`, with those of `store` that it takes too."""
        # Delays are the parts' own, and a merge always falls back by parts.
        shared = {
            name: value
            for name, value in store.arguments().items()
            if name not in ("encoder_delay", "fallback")
        }
        return {**shared, **{one.name: getattr(self, one.name) for one in fields(self)}}
