# SPDX-License-Identifier: Apache-2.0
"""The arguments of `store` and `merge` as values, for those who call them many times alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from audioengine.edits import Beep
from audioengine.operations.gathering import MaskScope, Missing
from audioengine.plan.masks import CallerChannel, SharedFrames
from audioengine.plan.merge import Align
from audioengine.plan.rendering import Render
from audioengine.plan.store import Fallback
from audioengine.times import Number

DAY_S = 86_400

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
    encoder_delay: int = 0
    guard_ms: Number | tuple[Number, Number] = 0
    """Of requests that say nothing of it."""


@dataclass(frozen=True, slots=True)
class MergeOptions:
    """What a merge takes beyond `StoreOptions`; the arguments of `merge` of the same names."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _FORM

    align: Align = "sample"
    missing: Missing = "fail"
    mask_scope: MaskScope = "part"
    max_timeline_s: Number = DAY_S
