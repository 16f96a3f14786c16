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
    WarningCode,
)
from audioengine.edits import (
    CLIP_TOLERANCE_S,
    Beep,
    IfUntagged,
    Modification,
    short_mask_problems,
)
from audioengine.errors import InvalidRequestError
from audioengine.times import Number, exact, plain

DAY_S = 86_400
HOUR_S = 3600

# For pydantic, where settings hold these.
_FORM = {"extra": "forbid", "allow_inf_nan": False}


def _text(value: object) -> str:
    """A word, a number or two of them, the same however it is given."""
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    return value if isinstance(value, str) else plain(exact(value, ""))


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
    refuse: tuple[WarningCode, ...] = ()
    """Warnings that are failures."""
    verify: bool = False
    """Whether only what passes verification is published; of no influence on the output."""
    encoder_delay: int = 0
    """Of sources that tell none."""
    guard_ms: Number | tuple[Number, Number] = 0
    """Of requests that say nothing of it."""
    clip_tolerance_s: Number = CLIP_TOLERANCE_S
    """By how much a bound may lie beyond its recording's end."""
    allow_short_masks: bool = False
    """Whether commands and manifests may mask less than 50 ms."""

    def arguments(self) -> dict[str, Any]:
        """The arguments of `store`; the rest is a modification's, or of commands and manifests."""
        given = {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if one.name not in ("guard_ms", "clip_tolerance_s", "allow_short_masks")
        }
        return {**given, "encoder_delay": IfUntagged(self.encoder_delay)}

    def sound(self) -> dict[str, str]:
        """What decides what is masked, where, and what is heard there, as text."""
        names = ("beep", "caller_channel", "shared_frames", "encoder_delay", "guard_ms")
        told = {name: getattr(self, name) for name in names}
        beep = {f"beep.{one.name}": getattr(self.beep, one.name) for one in fields(Beep)}
        return {name: _text(value) for name, value in {**told, **beep}.items() if name != "beep"}

    def guarded(self, modification: Modification) -> Modification:
        """A modification with the tolerance, and with the guard where it says nothing of one."""
        guard_ms = modification.guard_ms or self.guard_ms
        return replace(modification, guard_ms=guard_ms, clip_tolerance_s=self.clip_tolerance_s)

    def check_masks(self, modification: Modification, path: str = "") -> None:
        """Raise InvalidRequestError where a command or manifest masks less than it may.

        path: of the modification, before the paths of its fields.
        """
        problems = [] if self.allow_short_masks else short_mask_problems(modification)
        if problems:
            at = f"{path}." if path else ""
            raise InvalidRequestError([replace(one, path=at + one.path) for one in problems])


def options_of(given: object, default: StoreOptions | None) -> StoreOptions:
    """Return the options that are given, else those by default.

    Raises InvalidRequestError where they are no StoreOptions.
    """
    if given is None:
        return default or StoreOptions()
    if not isinstance(given, StoreOptions):
        raise InvalidRequestError.of("options", given, "must be StoreOptions or None")
    return given


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
